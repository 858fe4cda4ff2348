"""Networks against what the original programs compute, on the device that ``--device`` names (``make gpu-check``).

``tests/weights/test_formats.py`` holds the same numbers to the readers; here it is the arithmetic, in every form of it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import weights

NVIDIA = ("stylegan2_ada_64", "stylegan2_ada_cond_32", "stylegan2_ada_gresnet_dskip_16", "stylegan3repo_sg2_32")
IMPLS = ("fast", "composed", "reference")


@pytest.fixture(autouse=True)
def whole_floats():
    """No TF32: its ten bits are enough for pictures, not for a comparison to 1e-4."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(params=NVIDIA)
def original(request, fixtures, device):
    """(path of the checkpoint, what the original computes, as tensors on the device)"""
    path = fixtures(f"{request.param}.pkl")
    with np.load(fixtures(f"{request.param}.npz")) as arrays:
        return path, {key: torch.from_numpy(value).to(device) for key, value in arrays.items()}


def off(a, b):
    assert a.shape == b.shape and a.device == b.device
    return (a - b).abs().max().item()


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("impl", IMPLS)
def test_generator(original, device, impl, grad):
    path, want = original
    net = weights.read(path, device=device)
    with torch.set_grad_enabled(grad):
        w = net.mapping(want["z"], want.get("c"))
        assert off(w, want["w"]) < 1e-5
        assert off(net.mapping(want["z"], want.get("c"), 0.7, 4), want["w_psi07_cutoff4"]) < 1e-5
        how = {"impl": impl, "dtype": torch.float32}
        resolutions = [int(key[6:]) for key in want if key.startswith("feat_b")]
        for mode in ("const", "none"):
            image, maps = net.synthesis(w, noise_mode=mode, return_features=resolutions, **how)
            assert off(image, want[f"img_{mode}"]) < 1e-4
        image, maps = net.synthesis(w, noise_mode="const", return_features=resolutions, **how)
        for res in resolutions:
            assert off(maps[res], want[f"feat_b{res}"]) < 1e-4
            assert off(net.synthesis.features(w, res, **how), want[f"feat_b{res}"]) < 1e-4
        for i in range(len(w)):  # alone as in company
            assert off(net.synthesis(w[i : i + 1], noise_mode="const", **how), want["img_const"][i : i + 1]) < 1e-4


@pytest.mark.parametrize("impl", IMPLS)
def test_discriminator(original, device, impl):
    path, want = original
    net = weights.read(path, device=device, part="discriminator")
    with torch.no_grad():
        logits = net(want["img_const"], want.get("c"), dtype=torch.float32, impl=impl)
    assert off(logits, want["d_const"]) < 1e-4


@pytest.mark.parametrize("impl", IMPLS)
def test_rosinality_generator(fixtures, device, impl):
    with np.load(fixtures("rosinality_32.npz")) as arrays:
        want = {key: torch.from_numpy(value).to(device) for key, value in arrays.items() if value.dtype == np.float32}
    net = weights.read(fixtures("rosinality_32.pt"), device=device)
    with torch.no_grad():
        image = net.synthesis(want["w_plus"], noise_mode="const", impl=impl)
    assert off(image, want["img_w_plus"]) < 1e-4


@pytest.mark.parametrize(("file", "arrays"), [("dcgan_32.bin", "dcgan_32"), ("igan_64.dcgan_theano", "igan_64")])
def test_dcgan(fixtures, device, file, arrays):
    with np.load(fixtures(f"{arrays}.npz")) as found:
        want = {key: torch.from_numpy(value).to(device) for key, value in found.items()}
    net = weights.read(fixtures(file), device=device)
    with torch.no_grad():
        assert off(net(want["z"]), want["img"]) < 1e-4
        assert off(net(want["z"][:1]), want["img"][:1]) < 1e-4
        assert off(net.discriminator(want["img"]), want["d"]) < 1e-4
        if "p" in want:
            assert off(net.predictor(want["img"]), want["p"]) < 1e-4


def test_the_same_seed_gives_the_same_picture_twice(fixtures, device):
    net = weights.read(fixtures("stylegan2_ada_64.pkl"), device=device)
    z = torch.randn(3, net.z_dim, generator=torch.Generator().manual_seed(5)).to(device)
    pictures = []
    for _ in range(2):
        rng = torch.Generator().manual_seed(6)
        with torch.no_grad():
            pictures.append(net(z, noise_mode="random", generator=rng))
    assert torch.equal(*pictures)
