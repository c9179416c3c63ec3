"""`parking predict`: three files an image, and no image's failure or name costs another its answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parking.detection.contract import read_contract
from tests.cli.conftest import Command
from tests.doubles import write_bright_model, write_corrupt_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_bright_model(tmp_path / "models" / "bright.onnx")


def picture(path: Path, size: tuple[int, int] = (70, 50), bright: int = 0) -> Path:
    """A dark image with so many bright rows."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:bright] = 250
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_an_image_has_places_an_overlay_and_its_probabilities(parking: Command, model: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "park.jpg", bright=40)
    answer = parking("predict", image, "--model", model, "--out", "answers")
    assert answer.status == 0
    features = json.loads((tmp_path / "answers" / "park.geojson").read_text())["features"]
    assert f"{len(features)} free places" in answer.out
    assert all(0 < feature["properties"]["confidence"] <= 1 for feature in features)
    for name in ("park.overlay.png", "park.prob.png"):
        assert size_of(tmp_path / "answers" / name) == (70, 50)


def test_a_picture_that_does_not_say_its_resolution_has_the_models_or_the_settings(
    parking: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(tmp_path / "park.png", bright=40)

    def resolution() -> dict[str, object]:
        assert parking("predict", image, "--model", model, "--out", "answers").status == 0
        said: dict[str, object] = json.loads((tmp_path / "answers" / "park.geojson").read_text())["gsd"]
        return said

    assert resolution() == {"value": read_contract(model).gsd, "source": "assumed"}
    monkeypatch.setenv("PARKING_ASSUMED_GSD", "0.3")
    assert resolution() == {"value": 0.3, "source": "assumed"}


def test_a_resolution_that_none_has_is_refused(
    parking: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARKING_ASSUMED_GSD", "0.005")
    answer = parking("predict", picture(tmp_path / "park.png"), "--model", model)
    assert answer.status != 0
    assert "PARKING_ASSUMED_GSD='0.005'" in answer.err


def test_a_file_that_is_no_image_costs_the_others_nothing(parking: Command, model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(picture(tmp_path / "whole.jpg", (400, 300)).read_bytes()[:1500])
    good = picture(tmp_path / "good.png")
    answer = parking("predict", text, cut, tmp_path / "none.png", tmp_path, good, "--model", model, "--out", "o")
    assert answer.status == 1
    for name in ("text.png", "cut.jpg", "none.png", tmp_path.name):
        assert name in answer.err
    assert answer.err.count("Error:") == 4
    assert "Traceback" not in answer.err
    assert (tmp_path / "o" / "good.geojson").exists()


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P", "1", "I;16"])
def test_images_of_other_kinds_are_taken(parking: Command, model: Path, tmp_path: Path, mode: str) -> None:
    image = tmp_path / "image.png"
    grey = Image.fromarray(np.full((40, 60), 90, np.uint8))
    if mode == "I;16":
        Image.fromarray(np.full((40, 60), 90 * 257, np.uint16)).save(image)
    else:
        grey.convert("RGB").convert(mode).save(image)
    assert parking("predict", image, "--model", model, "--out", "o").status == 0
    assert size_of(tmp_path / "o" / "image.prob.png") == (60, 40)


def test_two_images_of_one_name_do_not_overwrite_each_other(parking: Command, model: Path, tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a" / "park.png"), picture(tmp_path / "b" / "park.png", (30, 20))
    answer = parking("predict", first, second, "--model", model, "--out", "o")
    assert answer.status == 1
    assert str(first) in answer.err
    assert str(second) in answer.err
    assert size_of(tmp_path / "o" / "park.prob.png") == (70, 50)


def test_an_image_named_twice_is_answered_once(parking: Command, model: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "park.png")
    answer = parking("predict", image, image, "--model", model, "--out", "o")
    assert (answer.status, answer.out.count("free places")) == (0, 1)


def test_names_with_brackets_are_shown_as_they_are(parking: Command, model: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "row[red] 3[bold].png")
    broken = tmp_path / "[" / "bad].png"
    broken.parent.mkdir()
    broken.write_text("no picture")
    answer = parking("predict", image, broken, "--model", model, "--out", "o")
    assert "row[red] 3[bold].png" in answer.out
    assert "[/bad].png" in answer.err


@pytest.mark.parametrize("which", ["absent", "corrupt"])
def test_a_model_file_that_cannot_be_used_is_named(parking: Command, tmp_path: Path, which: str) -> None:
    model = tmp_path / "model.onnx"
    if which == "corrupt":
        write_corrupt_model(model)
    answer = parking("predict", picture(tmp_path / "a.png"), "--model", model)
    assert answer.status == 1
    assert str(model) in answer.err
    assert answer.err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_named(parking: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    answer = parking("predict", picture(tmp_path / "a.png"), "--model", model, "--out", "taken")
    assert answer.status == 1
    assert "taken" in answer.err
