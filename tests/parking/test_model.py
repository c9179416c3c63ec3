"""Two lines of Python: a model, and what it finds."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import parking
from parking import ParkingModel, Result, load_model
from parking.data.imagery import Raster, encode_png
from parking.errors import ImageError, ImageTooLargeError, ModelError, NotInstalledError
from parking.settings import Settings
from tests.doubles import write_bright_model

PARIS: dict[str, Any] = {"crs": "EPSG:2154", "transform": (0.15, 0.0, 652_000.0, 0.0, -0.15, 6_862_000.0), "gsd": 0.15}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ParkingModel:
    return load_model(write_bright_model(tmp_path_factory.mktemp("models") / "bright.onnx"))


@pytest.fixture
def pixels() -> Any:
    """Two bright bays on dark ground."""
    made = np.full((120, 160, 3), 20, np.uint8)
    made[40:73, 20:37] = made[40:73, 100:117] = 255
    return made


@pytest.fixture
def result(model: ParkingModel, pixels: Any) -> Result:
    return model.detect(pixels)


def test_an_image_may_be_given_in_any_form(model: ParkingModel, pixels: Any, tmp_path: Path) -> None:
    path = tmp_path / "bays.png"
    path.write_bytes(encode_png(pixels))
    with Image.open(path) as opened:
        for image in (pixels, path, str(path), path.read_bytes(), Raster(pixels), opened, opened.convert("RGBA")):
            assert model.detect(image).count == 2
    assert model.detect(str(path)).raster.name == "bays.png"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("https://example.org/a.png", "is an address"),
        ("nowhere.png", "cannot be read"),
        (b"no image", "is not a PNG"),
        (np.zeros((4, 4), np.uint8), r"shape \(4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "type float32"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (Image.new("CMYK", (4, 4)), "mode CMYK"),
    ],
)
def test_what_is_no_image_is_a_sentence(model: ParkingModel, image: Any, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        model.detect(image)


def test_an_image_beyond_the_limit_is_refused(model: ParkingModel, pixels: Any) -> None:
    small = replace(model, settings=Settings(max_megapixels=0.01))
    for image in (encode_png(pixels), pixels, Image.fromarray(pixels), Raster(pixels)):
        with pytest.raises(ImageTooLargeError):
            small.detect(image)


def test_the_caller_may_say_the_resolution(model: ParkingModel, pixels: Any) -> None:
    coarse = model.detect(pixels, gsd=0.3)
    assert (coarse.gsd, coarse.detection.gsd_source) == (0.3, "caller")
    assert sum(spot.area_m2 for spot in coarse) == pytest.approx(2 * 17 * 33 * 0.3**2, rel=0.1)
    for gsd in (0.0, -1.0, 7.0, float("nan")):
        with pytest.raises(ImageError, match="between"):
            model.detect(pixels, gsd=gsd)


def test_the_result_is_a_table_in_pixels_or_on_earth(model: ParkingModel, pixels: Any) -> None:
    table = model.detect(pixels).to_geodataframe()
    assert list(table.columns) == ["confidence", "area_m2", "kind", "geometry"]
    assert (len(table), table.crs, table.index.tolist()) == (2, None, [1, 2])
    assert table.attrs["model_version"] == model.version
    placed = model.detect(Raster(pixels, **PARIS)).to_geodataframe()
    assert placed.crs.to_epsg() == 4326
    assert placed.to_crs(2154).area.tolist() == pytest.approx([17 * 33 * 0.15**2] * 2, rel=0.02)
    nothing = model.detect(np.zeros((20, 20, 3), np.uint8)).to_geodataframe()
    assert (len(nothing), list(nothing.columns)) == (0, list(table.columns))


def test_without_geopandas_a_table_is_a_sentence_and_all_else_works(
    result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(NotInstalledError, match="--group notebook"):
        result.to_geodataframe()
    assert len(result.to_geojson()["features"]) == 2


def test_the_result_draws_itself_and_a_name_is_no_markup(model: ParkingModel, pixels: Any) -> None:
    drawn = model.detect(Raster(np.tile(pixels, (1, 10, 1)), name="<script>.png"))._repr_html_()
    assert "<script>" not in drawn
    assert drawn.count("<tr>") == 11
    assert "and 10 more" in drawn
    assert re.search('src="data:image/png;base64,[A-Za-z0-9+/=]{100,}"', drawn)
    assert "<table>" not in model.detect(np.zeros((20, 20, 3), np.uint8))._repr_html_()


def test_the_result_saves_itself(result: Result, tmp_path: Path) -> None:
    assert [file.name for file in result.save(tmp_path / "new", "bays")] == [
        "bays.pixels.json",
        "bays.overlay.png",
        "bays.prob.png",
    ]


def test_the_result_says_what_made_it(model: ParkingModel, result: Result) -> None:
    assert re.fullmatch("bright-[0-9a-f]{8}", model.version)
    assert (len(result), list(result)) == (2, list(result.spots))
    for part in ("2 free places", "0.15 m a pixel (assumed)", "unknown date", model.version):
        assert part in repr(result)


def test_without_a_name_and_a_registry_it_is_the_shipped_model(tmp_path: Path) -> None:
    model = load_model(settings=Settings(state_dir=tmp_path / "none"))
    assert model.is_shipped
    assert not (tmp_path / "none").exists(), "who only asks leaves nothing behind"


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx"):
        load_model(tmp_path / "none.onnx")


def test_the_package_imports_nothing_heavy_until_it_is_asked() -> None:
    script = (
        "import sys, parking; assert 'load_model' in dir(parking);"
        "heavy = {'numpy', 'onnxruntime', 'cv2', 'torch'}; assert not heavy & set(sys.modules);"
        "parking.load_model; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        parking.nothing  # noqa: B018
