"""What a scene's texture says of it, and that the exported file says the same."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from parking.data.imagery import Raster
from parking.detection.detector import Detector
from parking.detection.golden import decode_tile
from parking.detection.scale import USUAL_GSD
from parking.learning import scene_embedding
from parking.learning.export import export_onnx, golden_grid
from parking.learning.network import PixelNetwork, build_network
from parking.learning.recipe import Recipe
from parking.learning.scene_embedding import (
    COMPONENTS,
    Features,
    Stem,
    fit_heads,
    fit_principal_components,
    fit_size,
    scene_features,
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
        found = Stem(SEEING)(tiles)[0]
    torch.testing.assert_close(found[: len(found) // 2], features.mean(2)[0])
    torch.testing.assert_close(found[len(found) // 2 :], features.std(2, correction=0)[0], rtol=1e-3, atol=1e-4)


def test_features_of_a_scene_are_computed_once_whatever_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(3)
    first = scene_features(SEEING, samples)
    assert first is not None
    monkeypatch.setattr("parking.learning.scene_embedding.cut_tiles", lambda *_: pytest.fail("computed again"))
    again = scene_features(SEEING, samples[::-1])
    assert again is not None
    np.testing.assert_array_equal(again[::-1], first)


@pytest.mark.parametrize(
    "encoder", ["resnet18", "vgg11", "mobilenet_v2", "efficientnet-b0", "mit_b0", "tu-convnext_atto"]
)
def test_other_encoders_with_weights_of_their_own_have_features_too(encoder: str, tmp_path: Path) -> None:
    recipe = SEEING.model_copy(update={"encoder": encoder, "encoder_weights": "none"})
    torch.save(build_network(recipe).state_dict(), tmp_path / "weights.pt")
    seeing = recipe.model_copy(update={"encoder_weights": str(tmp_path / "weights.pt")})
    features = scene_features(seeing, make_samples(2))
    assert features is not None
    assert np.isfinite(features).all()
    assert np.ptp(features) > 0


def test_an_encoder_that_starts_from_nothing_sees_nothing() -> None:
    assert stem_of(TINY) is None
    assert scene_features(TINY, make_samples(2)) is None
    assert fit_heads(TINY, make_samples(2)) is None


def zoomed(number: int, zoom: float) -> Sample:
    """A scene that has so many pixels at the recipe's resolution for each of its own."""
    return replace(make_sample(number), zoom=zoom)


def tell_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fourth of twelve features be what a place measures in the image that is looked at, and the rest noise."""
    rng = np.random.default_rng(0)

    def features(recipe: Recipe, samples: Sequence[Sample], zooms: Sequence[float]) -> Features:
        made = rng.normal(size=(len(samples), 12))
        made[:, 3] = [np.log(by / s.zoom) for s, by in zip(samples, zooms, strict=True)]
        return made

    monkeypatch.setattr(scene_embedding, "scene_features", features)


def test_the_size_is_learnt_where_the_features_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tell_size(monkeypatch)
    zooms = np.exp(np.random.default_rng(1).uniform(-0.7, 0.7, 40))
    guess = fit_size(SEEING, [zoomed(n, float(zoom)) for n, zoom in enumerate(zooms)])
    assert guess is not None
    features = np.zeros((9, 12))
    features[:, 3] = np.linspace(-0.8, 0.8, 9)
    expected = np.log(PLACE_SIZE_M / SEEING.gsd) + features[:, 3]
    assert np.corrcoef(guess(features)[:, 0], expected)[0, 1] > 0.99
    assert np.abs(guess(features)[:, 0] - expected).max() < 0.35


def test_features_that_nobody_has_seen_give_no_size_that_nobody_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    tell_size(monkeypatch)
    guess = fit_size(SEEING, [zoomed(n, zoom) for n, zoom in enumerate(np.linspace(0.5, 2, 20).tolist())])
    assert guess is not None
    features = np.zeros((2, 12))
    features[:, 3] = -1e6, 1e6
    usual = PLACE_SIZE_M / SEEING.gsd * USUAL_GSD / SEEING.gsd
    assert np.exp(guess(features)[:, 0]) == pytest.approx([usual * 0.7 / 2, usual * 1.4 / 0.5])


def test_scenes_whose_file_says_their_resolution_teach_nothing_of_guessing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tell_size(monkeypatch)
    unsaid = [zoomed(n, 1.0) for n in range(COMPONENTS)]
    said = [replace(s, scene=s.scene.model_copy(update={"gsd": 0.1}), zoom=9.0) for s in make_samples(20)]
    assert fit_size(SEEING, said) is None
    assert fit_size(SEEING, [*unsaid[1:], *said]) is None
    with_said, without = fit_size(SEEING, [*unsaid, *said]), fit_size(SEEING, unsaid)
    assert with_said is not None
    assert without is not None
    assert (with_said.low, with_said.high) == (without.low, without.high)


def test_components_are_in_standard_deviations() -> None:
    features = np.random.default_rng(1).normal(size=(60, 20)) * np.arange(1, 21)
    seen = fit_principal_components(features)(features)
    assert seen.shape == (60, COMPONENTS)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(np.corrcoef(seen.T), np.eye(COMPONENTS), atol=1e-6)


def test_few_scenes_leave_components_at_nothing() -> None:
    features = np.random.default_rng(1).normal(size=(3, 20))
    seen = fit_principal_components(features)(features)
    assert np.isfinite(seen).all()
    assert (seen[:, 3:] == 0).all()


def test_the_exported_file_says_what_was_learnt(tmp_path: Path) -> None:
    samples = make_samples(10)
    network, heads = build_network(SEEING), fit_heads(SEEING, samples)
    assert heads is not None
    assert heads.size is not None
    golden = decode_tile(doubles.contract().golden_tile)
    contract = doubles.contract(golden_grid=golden_grid(network, SEEING, golden))
    detector = Detector.load(export_onnx(network, SEEING, tmp_path / "model.onnx", contract, heads))
    features = scene_features(SEEING, samples)
    assert features is not None
    for n, sample in enumerate(samples[:3]):
        reading = detector.read(Raster(sample.pixels))
        assert reading.size_px == pytest.approx(np.exp(heads.size(features[n])[0]), rel=1e-3)
        np.testing.assert_allclose(reading.embedding, heads.components(features[n]), atol=0.02)
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    low, high = np.exp([heads.size.low, heads.size.high])
    assert low * 0.999 <= (detector.read(Raster(noise)).size_px or 0) <= high * 1.001


def test_a_file_without_an_embedding_gives_none(tmp_path: Path) -> None:
    detector = Detector.load(doubles.write_bright_model(tmp_path / "model.onnx"))
    reading = detector.read(Raster(make_sample(0).pixels))
    assert reading.size_px is None
    assert reading.embedding == ()
