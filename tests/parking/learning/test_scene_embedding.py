"""What a scene's texture says of it, and that the exported file says the same."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from parking.data.imagery import Raster
from parking.detection.detector import USUAL_GSD, Detector
from parking.detection.golden import decode_tile
from parking.learning import scene_embedding
from parking.learning.export import export_onnx, golden_grid
from parking.learning.network import PixelNetwork, build_network
from parking.learning.recipe import Recipe
from parking.learning.scene_embedding import (
    COMPONENTS,
    Looks,
    Stem,
    learn_components,
    learn_glance,
    learn_size,
    looks_of,
    stem_of,
)
from parking.learning.scene_scale import PLACE_SIZE_M
from parking.learning.training_scenes import Sample
from tests import doubles
from tests.parking.learning.scenes import TINY, make_sample, make_samples

pytestmark = pytest.mark.e2e

SEEING = TINY.model_copy(update={"encoder_weights": "imagenet"})


def test_the_stem_sees_what_the_first_stages_of_the_network_see() -> None:
    tiles = torch.from_numpy(make_sample(0).pixels[None])
    whole = build_network(SEEING).eval()
    pixels = PixelNetwork(whole, SEEING)
    with torch.inference_mode():
        features = whole.encoder(pixels.normalise(tiles))[3].flatten(2)  # type: ignore[operator]
        look = Stem(SEEING)(tiles)[0]
    torch.testing.assert_close(look[: len(look) // 2], features.mean(2)[0])
    torch.testing.assert_close(look[len(look) // 2 :], features.std(2, correction=0)[0], rtol=1e-3, atol=1e-4)


def test_a_scene_is_looked_at_once_whatever_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(3)
    first = looks_of(SEEING, samples)
    assert first is not None
    monkeypatch.setattr("parking.learning.scene_embedding.cut_tiles", lambda *_: pytest.fail("it was looked at again"))
    again = looks_of(SEEING, samples[::-1])
    assert again is not None
    np.testing.assert_array_equal(again[::-1], first)


@pytest.mark.parametrize(
    "encoder", ["resnet18", "vgg11", "mobilenet_v2", "efficientnet-b0", "mit_b0", "tu-convnext_atto"]
)
def test_other_encoders_with_weights_of_their_own_have_a_look_too(encoder: str, tmp_path: Path) -> None:
    recipe = SEEING.model_copy(update={"encoder": encoder, "encoder_weights": "none"})
    torch.save(build_network(recipe).state_dict(), tmp_path / "weights.pt")
    seeing = recipe.model_copy(update={"encoder_weights": str(tmp_path / "weights.pt")})
    looks = looks_of(seeing, make_samples(2))
    assert looks is not None
    assert np.isfinite(looks).all()
    assert np.ptp(looks) > 0


def test_an_encoder_that_starts_from_nothing_sees_nothing() -> None:
    assert stem_of(TINY) is None
    assert looks_of(TINY, make_samples(2)) is None
    assert learn_glance(TINY, make_samples(2)) is None


def zoomed(number: int, zoom: float) -> Sample:
    """A scene that has so many pixels at the recipe's resolution for each of its own."""
    return replace(make_sample(number), zoom=zoom)


def tell_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fourth of twelve features be what a place measures in the image that is looked at, and the rest noise."""
    rng = np.random.default_rng(0)

    def looks(recipe: Recipe, samples: Sequence[Sample], zooms: Sequence[float]) -> Looks:
        made = rng.normal(size=(len(samples), 12))
        made[:, 3] = [np.log(by / s.zoom) for s, by in zip(samples, zooms, strict=True)]
        return made

    monkeypatch.setattr(scene_embedding, "looks_of", looks)


def test_the_size_is_learnt_where_the_look_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tell_size(monkeypatch)
    zooms = np.exp(np.random.default_rng(1).uniform(-0.7, 0.7, 40))
    guess = learn_size(SEEING, [zoomed(n, float(zoom)) for n, zoom in enumerate(zooms)])
    assert guess is not None
    looks = np.zeros((9, 12))
    looks[:, 3] = np.linspace(-0.8, 0.8, 9)
    expected = np.log(PLACE_SIZE_M / SEEING.gsd) + looks[:, 3]
    assert np.corrcoef(guess(looks)[:, 0], expected)[0, 1] > 0.99
    assert np.abs(guess(looks)[:, 0] - expected).max() < 0.35


def test_a_look_that_nobody_has_seen_gives_no_size_that_nobody_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    tell_size(monkeypatch)
    guess = learn_size(SEEING, [zoomed(n, zoom) for n, zoom in enumerate(np.linspace(0.5, 2, 20).tolist())])
    assert guess is not None
    looks = np.zeros((2, 12))
    looks[:, 3] = -1e6, 1e6
    usual = PLACE_SIZE_M / SEEING.gsd * USUAL_GSD / SEEING.gsd
    assert np.exp(guess(looks)[:, 0]) == pytest.approx([usual * 0.7 / 2, usual * 1.4 / 0.5])


def test_scenes_whose_file_says_their_resolution_teach_nothing_of_guessing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tell_size(monkeypatch)
    unsaid = [zoomed(n, 1.0) for n in range(COMPONENTS)]
    said = [replace(s, scene=s.scene.model_copy(update={"gsd": 0.1}), zoom=9.0) for s in make_samples(20)]
    assert learn_size(SEEING, said) is None
    assert learn_size(SEEING, [*unsaid[1:], *said]) is None
    with_said, without = learn_size(SEEING, [*unsaid, *said]), learn_size(SEEING, unsaid)
    assert with_said is not None
    assert without is not None
    assert (with_said.low, with_said.high) == (without.low, without.high)


def test_components_are_in_standard_deviations() -> None:
    looks = np.random.default_rng(1).normal(size=(60, 20)) * np.arange(1, 21)
    seen = learn_components(looks)(looks)
    assert seen.shape == (60, COMPONENTS)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(np.corrcoef(seen.T), np.eye(COMPONENTS), atol=1e-6)


def test_few_scenes_leave_components_at_nothing() -> None:
    looks = np.random.default_rng(1).normal(size=(3, 20))
    seen = learn_components(looks)(looks)
    assert np.isfinite(seen).all()
    assert (seen[:, 3:] == 0).all()


def test_the_exported_file_says_what_was_learnt(tmp_path: Path) -> None:
    samples = make_samples(10)
    network, glance = build_network(SEEING), learn_glance(SEEING, samples)
    assert glance is not None
    assert glance.size is not None
    golden = decode_tile(doubles.contract().golden_tile)
    contract = doubles.contract(golden_grid=golden_grid(network, SEEING, golden))
    detector = Detector.load(export_onnx(network, SEEING, tmp_path / "model.onnx", contract, glance))
    looks = looks_of(SEEING, samples)
    assert looks is not None
    for n, sample in enumerate(samples[:3]):
        reading = detector.read(Raster(sample.pixels))
        assert reading.size_px == pytest.approx(np.exp(glance.size(looks[n])[0]), rel=1e-3)
        np.testing.assert_allclose(reading.embedding, glance.components(looks[n]), atol=0.02)
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    low, high = np.exp([glance.size.low, glance.size.high])
    assert low * 0.999 <= (detector.read(Raster(noise)).size_px or 0) <= high * 1.001


def test_a_file_without_a_look_says_nothing_of_it(tmp_path: Path) -> None:
    detector = Detector.load(doubles.write_bright_model(tmp_path / "model.onnx"))
    reading = detector.read(Raster(make_sample(0).pixels))
    assert reading.size_px is None
    assert reading.embedding == ()
