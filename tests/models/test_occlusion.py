"""The occlusion network: shapes, any size of picture, and that it keeps as a file."""

import pytest
import torch

from models.occlusion import OcclusionNet
from weights import store


def make(**options) -> OcclusionNet:
    torch.manual_seed(0)
    return OcclusionNet(**{"img_resolution": 32, "widths": (4, 8, 8), **options}).eval().requires_grad_(False)


def pictures(size=32, n=2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(n, 3, size, size) * 2 - 1, torch.rand(n, 3, size, size) * 2 - 1


@pytest.mark.parametrize("size", [16, 32, 128])
def test_masks_have_the_size_of_the_pictures(size):
    net, (photo, inverted) = make(), pictures(size)
    assert net(photo, inverted).shape == (2, 1, 32, 32)
    mask = net.mask(photo, inverted)
    assert mask.shape == (2, 1, size, size) and 0 < mask.min() and mask.max() < 1
    one = net.mask(photo[1:], inverted[1:])
    assert torch.allclose(one, mask[1:], atol=1e-6), "each pair for itself"


def test_both_pictures_count():
    net, (photo, inverted) = make(), pictures()
    mask = net.mask(photo, inverted)
    for other in (net.mask(inverted, photo), net.mask(photo, photo), net.mask(inverted, inverted)):
        assert (other - mask).abs().max() > 1e-4


def test_the_sizes_that_fit():
    with pytest.raises(ValueError, match="halved"):
        make(img_resolution=30)
    with pytest.raises(ValueError, match="halved"):
        make(widths=(8,))
    assert sum(p.numel() for p in OcclusionNet().parameters()) == 338_753


def test_it_is_kept_as_a_file(tmp_path):
    net, pair = make(), pictures()
    store.save(tmp_path / "net.safetensors", net, "occlusion", "network")
    again = store.load(tmp_path / "net.safetensors")
    assert torch.equal(again.mask(*pair), net.mask(*pair)) and not again.training
