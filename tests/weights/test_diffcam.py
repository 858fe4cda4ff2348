"""Diff-CAM files of the authors' layout, written with torchvision's ResNet, and what is wrong with others."""

import crafted
import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

import weights
from weights.formats import diffcam
from weights.formats.checkpoint import Room

SPLIT, LAYERS = 2, [1, 1, 3, 1]


def published(k: int = 17) -> tuple[nn.Sequential, nn.Sequential, nn.Linear, dict]:
    """The two halves of a small ResNet, the head, and the state dict as their program saves it."""
    torch.manual_seed(0)
    net = ResNet(Bottleneck, LAYERS)
    parts = list(net.children())
    shared = nn.Sequential(*parts[:6], *parts[6][:SPLIT]).eval()
    classifier = nn.Sequential(*parts[6][SPLIT:], *parts[7:9]).eval()
    fc = nn.Linear(2048, k)
    state = {f"shared.{n}": v for n, v in shared.state_dict().items()}
    state |= {f"classifier.{n}": v for n, v in classifier.state_dict().items()}
    state |= {f"fc.{n}": v for n, v in fc.state_dict().items()}
    return shared, classifier, fc, state


@pytest.fixture(scope="module")
def theirs():
    return published()


def test_the_authors_file_gives_their_answers(theirs, tmp_path):
    shared, classifier, fc, state = theirs
    torch.save({f"module.{n}": v for n, v in state.items()}, tmp_path / "iter_1000")
    net = weights.read(tmp_path / "iter_1000", device="cpu")
    assert net.info.technique == "diffcam" and net.config["split"] == SPLIT and net.img_resolution == 256
    assert net.names[7] == "Eyeglasses" and net.names[15] == "Smiling" and net.names[0] == "Attribute 0"
    torch.manual_seed(1)
    before, after = torch.rand(2, 3, 256, 256) * 2 - 1, torch.rand(2, 3, 256, 256) * 2 - 1
    with torch.no_grad():
        expected = fc(classifier(shared(after) - shared(before)).flatten(1))
        assert torch.allclose(net(before, after), expected, atol=1e-3)
    again = weights.reopen(net.info.sha256, device="cpu")
    assert again is net


def test_another_number_of_attributes_has_no_names(theirs):
    state = {**theirs[3], "fc.weight": torch.zeros(3, 2048), "fc.bias": torch.zeros(3)}
    found = diffcam.interpret(state, Room(10**9))
    assert found.config["names"] == ["Attribute 0", "Attribute 1", "Attribute 2"]


@pytest.mark.parametrize("lost", ["shared.5.0.conv1.weight", "classifier.1.0.conv1.weight", "shared.4.0.bn1.weight"])
def test_what_is_missing_is_said(theirs, tmp_path, lost):
    torch.save({n: v for n, v in theirs[3].items() if n != lost}, tmp_path / "file")
    with pytest.raises(weights.RefusedFile) as refused:
        weights.read(tmp_path / "file", device="cpu")
    crafted.one_sentence(refused.value)


def test_a_head_of_another_width_does_not_fit(theirs):
    with pytest.raises(weights.RefusedFile, match="fit together"):
        diffcam.interpret({**theirs[3], "fc.weight": torch.zeros(17, 100)}, Room(10**9))
    with pytest.raises(weights.RefusedFile, match="missing"):
        diffcam.interpret({**theirs[3], "fc.weight": torch.zeros(17)}, Room(10**9))
