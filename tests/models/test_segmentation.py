"""The segmentation network: shapes, any size of picture, that it keeps as a file, and what the one that ships finds."""

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from demo.photographs import photograph
from models.segmentation import CLASSES, SegmentationNet
from pipelines import faces
from pipelines.faces import segmentation
from weights import store


def make(**options) -> SegmentationNet:
    torch.manual_seed(0)
    return SegmentationNet(**{"img_resolution": 32, "widths": (4, 8, 8), **options}).eval().requires_grad_(False)


def pictures(size=32, n=2) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("size", [16, 32, 128])
def test_masks_have_the_size_of_the_pictures(size):
    net, x = make(), pictures(size)
    assert net(x).shape == (2, len(CLASSES), 32, 32)
    masks = net.masks(x)
    assert masks.shape == (2, len(CLASSES), size, size) and 0 < masks.min() and masks.max() < 1
    assert torch.allclose(net.masks(x[1:]), masks[1:], atol=1e-6), "each picture for itself"


def test_the_sizes_that_fit():
    for options in ({"img_resolution": 30}, {"widths": (8,)}):
        with pytest.raises(ValueError, match="halved"):
            make(**options)


def test_it_is_kept_as_a_file(tmp_path):
    net, x = make(), pictures()
    store.save(tmp_path / "net.safetensors", net, "segmentation", "network")
    again = store.load(tmp_path / "net.safetensors")
    assert torch.equal(again.masks(x), net.masks(x)) and not again.training


def test_the_one_that_ships_finds_a_generated_head():
    from pipelines import stylegan2

    net = weights.load("stylegan2/faces")
    for seed in (25, 31, 44):
        found = segmentation.parts(stylegan2.picture(net, stylegan2.latent(net, seed, 0.7, None)))
        person, hair = found.person > 0.5, found.hair > 0.5
        assert person[64, 64] and not hair[64:90, 54:74].any(), "the nose is the person's, and no hair"
        assert 0.2 < person.mean() < 0.95 and 0.02 < hair.mean() < 0.6
        assert hair[: len(hair) // 2].sum() > 0.5 * hair.sum() or hair.mean() > 0.1
        assert (hair & ~person).mean() < 0.02, "hair is a part of the person"


def test_a_plain_wall_is_nobody():
    found = segmentation.parts(Image.fromarray(np.full((128, 128, 3), 200, np.uint8)))
    assert found.person.shape == found.hair.shape == (128, 128) and found.hair.mean() < 0.2


def test_the_photograph_that_ships():
    aligned = faces.align(photograph(), size=128)
    found = segmentation.parts(aligned.image)
    assert found.person[70, 64] > 0.9 and found.hair[70, 64] < 0.1
