"""The imagery of a survey is shown where it lies, from where it may be read, and never from far away."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling

from parking.errors import SurveyError
from parking.survey.imagery import ShownSource, lies_in, read_tile
from parking.survey.sources import find_sources
from tests.parking.survey.drawing import GSD, write

ZOOM = 20


def shown(path: Path, stretch: tuple[float, float] = (0, 255)) -> ShownSource:
    (source,) = find_sources([str(path)], GSD)
    return ShownSource(path=str(path), gsd=source.gsd, bounds=source.bounds, stretch=stretch)


def tile_at(source: ShownSource, zoom: int = ZOOM) -> tuple[int, int, int]:
    """The tile of the middle of a source."""
    west, south, east, north = source.bounds
    latitude = math.radians((south + north) / 2)
    column = ((west + east) / 2 + 180) / 360
    row = (1 - math.asinh(math.tan(latitude)) / math.pi) / 2
    return zoom, int(column * 2**zoom), int(row * 2**zoom)


def picture(tile: bytes) -> NDArray[np.uint8]:
    """(H, W, 4), red first."""
    decoded = cv2.imdecode(np.frombuffer(tile, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA), np.uint8)


def ground(colour: tuple[int, int, int], kind: type = np.uint8, side: int = 700) -> NDArray[np.generic]:
    return np.full((side, side, 3), colour, kind)


def test_a_tile_shows_the_ground_and_is_clear_beside_it(tmp_path: Path) -> None:
    source = shown(write(tmp_path / "red.tif", ground((200, 30, 10))))
    zoom, column, row = tile_at(source)
    inside = picture(read_tile([source], zoom, column, row))
    assert inside.shape == (256, 256, 4)
    assert (inside == (200, 30, 10, 255)).all()
    assert not picture(read_tile([source], zoom, column + 40, row)).any()


def test_what_lies_on_top_is_shown_and_where_it_has_no_data_what_lies_below(tmp_path: Path) -> None:
    holed = ground((200, 30, 10))
    holed[:, 350:] = 0
    top = shown(write(tmp_path / "top.tif", holed, nodata=0))
    below = shown(write(tmp_path / "below.tif", ground((10, 20, 220))))
    seen = picture(read_tile([top, below], *tile_at(top, 19)))
    colours = {tuple(colour) for colour in seen[seen[:, :, 3] == 255][:, :3].tolist()}
    assert {(200, 30, 10), (10, 20, 220)} <= colours


def test_values_of_more_than_8_bits_have_the_stretch_of_the_survey(tmp_path: Path) -> None:
    source = shown(write(tmp_path / "deep.tif", ground((1000, 2000, 3000), np.uint16)), (1000, 3000))
    assert picture(read_tile([source], *tile_at(source)))[128, 128].tolist() == [0, 128, 255, 255]


def test_from_far_away_files_without_overviews_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "red.tif", ground((200, 30, 10)))
    far = tile_at(shown(path), 13)
    assert not picture(read_tile([shown(path)], *far)).any()
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([4, 16], Resampling.average)
    assert picture(read_tile([shown(path)], *far)).any()


def test_a_source_that_has_gone_is_clear_and_the_others_are_shown(tmp_path: Path) -> None:
    gone = shown(write(tmp_path / "gone.tif", ground((200, 30, 10))))
    there = shown(write(tmp_path / "there.tif", ground((10, 20, 220))))
    (tmp_path / "gone.tif").unlink()
    assert picture(read_tile([gone, there], *tile_at(gone)))[128, 128].tolist() == [10, 20, 220, 255]


def test_a_vrt_that_names_files_elsewhere_is_never_opened(tmp_path: Path) -> None:
    source = shown(write(tmp_path / "red.tif", ground((200, 30, 10))))
    disguised = tmp_path / "disguised.tif"
    disguised.write_text(
        f'<VRTDataset rasterXSize="700" rasterYSize="700"><SRS>EPSG:2154</SRS><GeoTransform>652000, {GSD}, 0, 6862000, '
        f'0, -{GSD}</GeoTransform><VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>'
        f"{source.path}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    vrt = source.model_copy(update={"path": str(disguised)})
    assert not picture(read_tile([vrt], *tile_at(source))).any()


def test_there_is_no_tile_beyond_the_edge_of_the_world() -> None:
    for zoom, column, row in ((3, 8, 0), (3, 0, 8), (25, 0, 0), (3, -1, 0)):
        with pytest.raises(SurveyError, match="no tile"):
            read_tile([], zoom, column, row)


def test_only_what_lies_in_a_place_that_was_named_may_be_read(tmp_path: Path) -> None:
    ortho, secret = tmp_path / "ortho", tmp_path / "secret.tif"
    ortho.mkdir()
    secret.touch()
    (ortho / "link.tif").symlink_to(secret)
    places = [str(ortho), "s3://city/2024"]
    assert lies_in(str(ortho / "a.tif"), places)
    assert lies_in("/vsis3/city/2024/a.tif", places)
    for path in (
        str(secret),
        str(ortho / "link.tif"),
        str(ortho / ".." / "secret.tif"),
        f"{ortho}-more/a.tif",
        "/vsis3/city/2024-secret/a.tif",
        "/vsis3/other/2024/a.tif",
        f"/vsizip/{ortho}/a.zip",
        "relative.tif",
        "WMS:http://127.0.0.1/",
    ):
        assert not lies_in(path, places), path
    assert not lies_in(str(ortho / "a.tif"), [])
