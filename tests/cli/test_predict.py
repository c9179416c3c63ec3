"""`parking predict`: three files an image, and no image's failure or name costs another its answers."""

import io
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
    features = json.loads((tmp_path / "answers" / "park.pixels.json").read_text())["features"]
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
        said: dict[str, object] = json.loads((tmp_path / "answers" / "park.pixels.json").read_text())["gsd"]
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
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = parking("predict", text, cut, tmp_path / "none.png", empty, good, "--model", model, "--out", "o")
    assert answer.status == 1
    for name in ("text.png", "cut.jpg", "none.png", "empty"):
        assert name in answer.err
    assert answer.err.count("Error:") == 4
    assert "Traceback" not in answer.err
    assert (tmp_path / "o" / "good.pixels.json").exists()


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


def test_an_image_that_failed_keeps_its_name_from_no_other(parking: Command, model: Path, tmp_path: Path) -> None:
    bad = [tmp_path / folder / "bad.jpg" for folder in "ab"]
    for one in bad:
        one.parent.mkdir()
        one.write_text("no picture")
    good = picture(tmp_path / "c" / "bad.jpg")
    answer = parking("predict", *bad, good, "--model", model, "--out", "o")
    assert answer.status == 1
    assert "--out" not in answer.err
    assert size_of(tmp_path / "o" / "bad.prob.png") == (70, 50)


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


def test_a_folder_is_answered_with_all_below_it_but_for_answers_and_hidden_files(
    parking: Command, model: Path, tmp_path: Path
) -> None:
    for name in ("in/a.png", "in/sub/a.jpg", "in/.cache/b.png", "in/notes.txt"):
        picture(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).write_text("no image")
    for _ in range(2):
        answer = parking("predict", "in", "--model", model, "--out", "in/answers")
        assert answer.status == 0
        assert answer.out.count("80 % interval 0") == 2
    assert (tmp_path / "in/answers/a.pixels.json").exists()
    assert (tmp_path / "in/answers/sub/a.pixels.json").exists()
    assert "0 free places in 2 images; 0 could not be answered." in answer.out


def test_a_pattern_that_the_shell_has_left_is_matched_here(parking: Command, model: Path, tmp_path: Path) -> None:
    picture(tmp_path / "a[1].png")
    picture(tmp_path / "deep" / "b.png")
    assert "2 images" in parking("predict", "**/*.png", "--model", model).out
    assert parking("predict", "a[1].png", "--model", model).status == 0, "a name is no pattern where the file is there"
    answer = parking("predict", "*.jpg", "--model", model)
    assert (answer.status, answer.err) == (1, "Error: No file matches '*.jpg'. Correct the pattern.\n")


def test_standard_input_is_an_image(
    parking: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = picture(tmp_path / "a.png", bright=40).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    answer = parking("predict", "-", "--model", model)
    assert answer.status == 0
    assert (tmp_path / "predictions" / "stdin.pixels.json").exists()


@pytest.mark.parametrize("address", ["https://example.org/a.png", "s3://bucket/a.tif", "file:///a.png"])
def test_an_address_is_refused_with_what_to_do(parking: Command, model: Path, address: str) -> None:
    answer = parking("predict", address, "--model", model)
    assert answer.status == 1
    assert address in answer.err
    assert "parking predict -" in answer.err


def test_json_is_a_line_an_image_whatever_became_of_it(parking: Command, model: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", bright=40)
    (tmp_path / "bad.png").write_text("no image")
    answer = parking("predict", image, tmp_path / "bad.png", "--model", model, "--json", "--gsd", "0.3")
    assert answer.status == 1
    good, bad = map(json.loads, answer.out.splitlines())
    assert good["image"] == str(image)
    assert good["places"]["gsd"] == {"value": 0.3, "source": "caller"}
    assert good["places"]["model_version"].startswith("bright-")
    assert all(Path(file).exists() for file in good["files"])
    assert "is not a PNG" in bad["error"]


def test_quiet_prints_errors_alone_and_verbose_what_was_done(parking: Command, model: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png")
    answer = parking("predict", image, tmp_path / "none.png", "--model", model, "--quiet")
    assert (answer.status, answer.out, answer.err.count("\n")) == (1, "", 1)
    told = parking("predict", image, "--model", model, "--verbose").out
    assert "0.15 m a pixel (assumed)" in told
    assert "predictions/a.overlay.png" in told


@pytest.mark.parametrize("gsd", ["0", "-1", "7", "nan"])
def test_a_resolution_out_of_range_is_a_usage_error(parking: Command, model: Path, tmp_path: Path, gsd: str) -> None:
    answer = parking("predict", picture(tmp_path / "a.png"), "--model", model, "--gsd", gsd)
    # Typer's range lets "not a number" through; then the model refuses it.
    assert answer.status in {1, 2}
    assert ("--gsd" in answer.err) or ("resolution of nan" in answer.err)
    assert not (tmp_path / "predictions").exists()
