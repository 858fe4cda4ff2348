"""Diff-CAM: its mask is Grad-CAM as autograd computes it, equal pictures give none, the published sizes are right."""

import copy

import pytest
import torch
import torch.nn.functional as F

from models.diffcam import PUBLISHED, DiffCAM
from weights import store

NAMES = ["Smiling", "Eyeglasses", "Young"]
RESNET = {"img_resolution": 64, "body": "resnet", "widths": (4, 4, 8, 8), "layers": (1, 1, 3, 1), "split": 2}


def make(**options) -> DiffCAM:
    torch.manual_seed(0)
    net = DiffCAM(NAMES, **{"img_resolution": 32, "widths": (4, 8, 8), "head": (8, 12), **options})
    with torch.no_grad():  # norms that do something
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
                module.bias.normal_(0, 0.3)
    return net.eval().requires_grad_(False)


def pictures(n=3, size=32) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(n, 3, size, size) * 2 - 1, torch.rand(n, 3, size, size) * 2 - 1


def by_autograd(net: DiffCAM, before, after, target) -> torch.Tensor:
    """The formulas of the paper with gradients from autograd, one pair after another."""
    net = copy.deepcopy(net)
    masks = []
    for i in range(len(before)):
        first, second = net.shared(before[i : i + 1]), net.shared(after[i : i + 1])
        d = first - second if net.config["difference"] == "before - after" else second - first
        maps = net.classifier(d).requires_grad_(True)
        score = net.fc(F.adaptive_avg_pool2d(maps, 1).flatten(1))[0, target[i]]
        (gradient,) = torch.autograd.grad(score, maps)
        beta = gradient.mean(dim=(2, 3), keepdim=True)
        cam = (beta * maps.detach()).sum(dim=1, keepdim=True).clamp_min(0)
        cam = F.interpolate(cam, size=before.shape[-2:], mode="bilinear", align_corners=False)[0]
        cam = cam - cam.min()
        masks.append(cam / (cam.max() + 1e-8))
    return torch.stack(masks)


@pytest.mark.parametrize("options", [{}, RESNET, {"difference": "after - before"}], ids=["light", "resnet", "reversed"])
def test_mask_is_that_of_autograd(options):
    net = make(**options)
    before, after = pictures(size=net.img_resolution)
    target = torch.tensor([0, 2, 1])
    mask, logits = net.mask(before, after, target)
    expected = by_autograd(net, before, after, target)
    assert expected.amax(dim=(1, 2, 3)).max() > 0.9
    assert torch.allclose(mask, expected, atol=1e-4)  # of random weights the maps are tiny
    assert mask.shape == (3, 1, *before.shape[-2:]) and mask.min() >= 0 and mask.max() <= 1
    assert torch.allclose(logits, net(before, after), atol=1e-5) and logits.shape == (3, 3)


def test_the_target_may_be_a_number_or_what_is_named():
    net = make()
    before, after = pictures()
    mask, logits = net.mask(before, after)
    assert torch.equal(mask, net.mask(before, after, logits.argmax(dim=1))[0])
    assert torch.equal(net.mask(before, after, 1)[0], net.mask(before, after, torch.tensor([1, 1, 1]))[0])
    for wrong in (3, -1, torch.tensor([0, 1])):
        with pytest.raises(ValueError, match="target"):
            net.mask(before, after, wrong)


def test_it_works_without_autograd():
    net = make()
    before, after = pictures()
    expected = net.mask(before, after, 0)[0]
    with torch.inference_mode():
        assert torch.equal(net.mask(before, after, 0)[0], expected)


@pytest.mark.parametrize("options", [{}, RESNET], ids=["light", "resnet"])
def test_where_nothing_changed_there_is_no_mask(options):
    net = make(**options)
    before, after = pictures(size=net.img_resolution)
    mask, _logits = net.mask(before, before.clone(), 0)
    assert torch.equal(mask, torch.zeros_like(mask))
    mixed, _logits = net.mask(before, torch.cat([before[:1], after[1:]]), 0)
    assert mixed[0].max() == 0 and torch.allclose(mixed[1:], net.mask(before[1:], after[1:], 0)[0], atol=1e-5)


def test_the_small_network_sees_nothing_far_from_a_change():
    net = make(img_resolution=128)
    before, _after = pictures(1, 128)
    after = before.clone()
    after[:, :, :16, :16] = -after[:, :, :16, :16]
    for target in range(3):
        mask = net.mask(before, after, target)[0]
        assert mask[..., 96:, 96:].max() == 0
    assert any(net.mask(before, after, target)[0].max() > 0.5 for target in range(3))


def test_pictures_of_other_sizes():
    net = make()
    before, after = pictures(2, 80)
    mask, _logits = net.mask(before, after, 0)
    assert mask.shape == (2, 1, 80, 80)
    with pytest.raises(ValueError, match="one size"):
        net.mask(before, after[..., :40, :40])


def test_the_published_size():
    """Torchvision's ResNet-101 without its head has 42,500,160 parameters; the rest names 17 attributes."""
    with torch.device("meta"):
        net = DiffCAM([str(i) for i in range(17)], **PUBLISHED)
    assert sum(p.numel() for p in net.parameters()) == 42_500_160 + 17 * 2049
    names = set(net.state_dict())
    assert len(names) == 626
    for name in ("shared.0.weight", "shared.4.2.bn3.bias", "shared.15.conv3.weight", "classifier.0.conv1.weight"):
        assert name in names
    assert "classifier.13.0.downsample.0.weight" in names and "classifier.14.conv1.weight" not in names


def test_it_is_kept_as_a_file(tmp_path):
    net = make()
    store.save(tmp_path / "net.safetensors", net, "diffcam", "network")
    again = store.load(tmp_path / "net.safetensors")
    before, after = pictures()
    assert again.names == tuple(NAMES) and torch.equal(again(before, after), net(before, after))


def test_what_makes_no_network():
    for wrong in ({"body": "vgg"}, {"difference": "both"}, {**RESNET, "split": 3}, {**RESNET, "widths": (4, 4)}):
        with pytest.raises(ValueError):
            DiffCAM(NAMES, **wrong)
