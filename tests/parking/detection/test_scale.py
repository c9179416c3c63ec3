"""An image that does not say its ground resolution gets one from its vehicles, else from its texture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from parking.data.imagery import Raster
from parking.detection.detector import Detector
from parking.detection.scale import by_texture, by_vehicles
from parking.detection.spots import Spot
from parking.errors import ImageTooLargeError
from tests.doubles import CYAN, GREEN, MAGENTA, RED, write_colour_model


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(write_colour_model(tmp_path_factory.mktemp("model") / "model.onnx"), threads=1)


def rectangle(
    pixels: NDArray[np.uint8], x: float, y: float, length: float, width: float, colours: tuple[tuple[int, ...], ...]
) -> None:
    """An upright place or vehicle with its core, in pixels."""
    for inset, colour in zip((0.0, 0.24 * width), colours, strict=True):
        corners = np.round([x + inset, y + inset, x + width - inset, y + length - inset]).astype(int)
        pixels[corners[1] : corners[3], corners[0] : corners[2]] = colour


def street(gsd: float, cars: int = 8, places: int = 3) -> Raster:
    """Cars of 4.6 x 1.9 m in a row, and free places of 5 x 2.5 m below them."""
    pixels = np.full((round(30 / gsd), round(40 / gsd), 3), 10, np.uint8)
    for n in range(cars):
        rectangle(pixels, (2 + 3 * n) / gsd, 3 / gsd, 4.6 / gsd, 1.9 / gsd, (GREEN, CYAN))
    for n in range(places):
        rectangle(pixels, (2 + 3 * n) / gsd, 15 / gsd, 5 / gsd, 2.5 / gsd, (RED, MAGENTA))
    return Raster(pixels)


@pytest.mark.parametrize("gsd", [0.06, 0.11, 0.15, 0.18, 0.2, 0.25])
def test_vehicles_tell_the_resolution(detector: Detector, gsd: float) -> None:
    found = detector.detect(street(gsd))
    assert found.gsd_source == "vehicles"
    assert found.gsd == pytest.approx(gsd, rel=0.08)
    assert found.gsd_spread is not None
    assert 0.02 < found.gsd_spread < 0.1
    assert found.count == 3
    assert [spot.area_m2 for spot in found.spots] == pytest.approx([12.5] * 3, rel=0.3)
    assert found.taken == 8
    assert found.share_taken == pytest.approx(8 / 11, abs=1e-3)


def test_what_the_file_or_the_caller_says_is_not_estimated(detector: Detector) -> None:
    raster = street(0.15)
    said = detector.detect(Raster(raster.pixels, gsd=0.15))
    assert (said.gsd, said.gsd_source, said.gsd_spread) == (0.15, "file", None)
    assumed = detector.detect(raster, assumed_gsd=0.15)
    assert (assumed.gsd, assumed.gsd_source, assumed.gsd_spread) == (0.15, "assumed", None)
    assert said.count == assumed.count == 3


def test_an_image_without_vehicles_is_taken_as_usual_where_the_model_knows_no_texture(detector: Detector) -> None:
    found = detector.detect(street(0.11, cars=0))
    assert (found.gsd, found.gsd_source) == (0.11, "assumed")
    assert (found.taken, found.share_taken) == (0, 0.0)


def test_no_guess_makes_an_image_larger_than_memory(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parking.detection.detector.LARGEST", 30_000)
    assert detector.detect(street(0.15)).gsd_source == "vehicles"
    coarse = street(0.25, cars=12)
    with pytest.raises(ImageTooLargeError, match=r"seems to have 0\.2\d m a pixel, by its vehicles.*`gsd`"):
        detector.detect(Raster(np.tile(coarse.pixels, (2, 1, 1))))


def test_places_and_vehicles_lie_where_they_were_drawn(detector: Detector) -> None:
    found = detector.detect(street(0.15))
    assert found.vehicles is not None
    tops = sorted(min(y for _, y in spot.ring) * 0.15 for spot in found.vehicles)
    assert tops == pytest.approx([3.0] * 8, abs=0.3)
    lefts = sorted(min(x for x, _ in spot.ring) * 0.15 for spot in found.spots)
    assert lefts == pytest.approx([2.0, 5.0, 8.0], abs=0.3)


def test_several_scales_are_averaged(detector: Detector) -> None:
    found = detector.detect(street(0.15), scales=(1.0, 0.8))
    assert found.count == 3
    assert found.probability.shape == street(0.15).pixels.shape[:2]


def test_too_few_vehicles_say_nothing() -> None:
    car = Spot(((0.0, 0.0), (46.0, 0.0), (46.0, 19.0), (0.0, 19.0)), 0.9, 8.7)
    assert by_vehicles([car] * 4, 4.6) is None
    many = by_vehicles([car] * 40, 4.6)
    few = by_vehicles([car] * 5, 4.6)
    assert many is not None
    assert few is not None
    assert many.gsd == pytest.approx(0.1)
    assert many.spread is not None
    assert few.spread is not None
    assert many.spread < few.spread


def test_an_estimate_stays_within_what_can_be_marked() -> None:
    assert by_texture(1e6, 3.4).gsd == pytest.approx(0.02)
    assert by_texture(1e-6, 3.4).gsd == pytest.approx(1.0)


def test_a_turned_image_has_the_same_places(detector: Detector) -> None:
    raster = street(0.15)
    height, width = raster.pixels.shape[:2]
    turned = cv2.warpAffine(
        raster.pixels, cv2.getRotationMatrix2D((width / 2, height / 2), 30, 0.8), (width, height), borderValue=(10,) * 3
    )
    found = detector.detect(Raster(np.asarray(turned, np.uint8), gsd=0.15 / 0.8))
    assert (found.count, found.taken) == (3, 8)


def test_the_state_of_known_bays_is_read(detector: Detector, tmp_path: Path) -> None:
    raster = street(0.15)

    def bay(x: float, y: float) -> tuple[tuple[float, float], ...]:
        return tuple((a / 0.15, b / 0.15) for a, b in ((x, y), (x + 2.5, y), (x + 2.5, y + 5), (x, y + 5)))

    bays = [bay(2, 15), bay(5, 15), bay(1.7, 2.8), bay(4.7, 2.8)]
    read = detector.occupancy(raster, bays)
    assert [one.state for one in read] == ["free", "free", "occupied", "occupied"]
    assert [one.ring for one in read] == bays


def test_a_larger_threshold_gives_fewer_places(detector: Detector) -> None:
    raster = street(0.15)
    pale = raster.pixels.copy()
    # Half as red and blue: a probability of about 0.6 where it was nearly 1.
    pale[round(14 / 0.15) :, : round(4.8 / 0.15)] = (pale[round(14 / 0.15) :, : round(4.8 / 0.15)] * 0.53).astype(
        np.uint8
    )
    counts = [detector.detect(Raster(pale, gsd=0.15), threshold=value).count for value in (0.2, 0.5, 0.9)]
    assert counts == [3, 3, 2]
    assert detector.detect(Raster(pale, gsd=0.15)).count == 3
