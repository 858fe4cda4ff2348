"""Shortcuts of inference on processors: what they remember, the order in which they compute, and when they apply."""

from __future__ import annotations

import copy
import gc

import pytest
import torch

from models import operations as ops
from models import stylegan2
from models.stylegan2 import Generator

CL = torch.channels_last
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


def generator(resolution=128, **config):
    torch.manual_seed(7)
    base = {"z_dim": 8, "w_dim": 8, "mapping_layers": 1, "channel_base": 512, "channel_max": 16}
    net = Generator(**{**base, "img_resolution": resolution, **config})
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith(("bias", "noise_strength")) and "affine" not in name:
                p.normal_(std=0.3)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def net():
    return generator()


@pytest.fixture(scope="module")
def ws(net):
    return net.mapping(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)))


def close(a, b, tolerance=1e-5):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance * max(1.0, b.abs().max().item())


@needs_onednn
def test_when_it_applies():
    x = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        assert ops.lean(x.contiguous(memory_format=CL), "fast")
        assert not ops.lean(x, "fast")
        assert not ops.lean(x.contiguous(memory_format=CL), "composed")
        assert not ops.lean(x.double().contiguous(memory_format=CL), "fast")
    assert not ops.lean(x.contiguous(memory_format=CL), "fast")


@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 3, 4), (1, 2, 1), (1, 1)])
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 5, 4, 12)])
def test_operations_in_this_layout(taps, shape):
    x = torch.randn(shape)
    w, bias = torch.randn(6, shape[1], 3, 3), torch.randn(6)
    lying = x.contiguous(memory_format=CL)
    with torch.no_grad():
        close(ops.upsample2d(lying, taps), ops.upsample2d(x, taps, "reference"))
        close(ops.downsample2d(lying, taps), ops.downsample2d(x, taps, "reference"))
        close(ops.conv2d_up(lying, w, taps, bias=bias), ops.conv2d_up(x, w, taps, "reference", bias=bias))
        close(ops.conv2d_down(lying, w, taps, bias=bias), ops.conv2d_down(x, w, taps, "reference", bias=bias))
        close(ops.fir2d(lying, taps, (2, 2), 3.0), 3 * ops.fir2d(x, taps, (2, 2)))


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize(("batch", "channels", "size"), [(1, (8, 6), 4), (1, (3, 2), 32), (3, (4, 5), 16)])
def test_modulated_convolution_in_this_layout(up, demodulate, gain, batch, channels, size):
    x = torch.randn(batch, channels[0], size, size)
    w, s, bias = torch.randn(channels[1], channels[0], 3, 3), torch.randn(batch, channels[0]), torch.randn(channels[1])
    with torch.no_grad():
        how = {"up": up, "demodulate": demodulate, "gain": gain, "bias": bias}
        lying = x.contiguous(memory_format=CL)
        before = lying.clone()
        close(ops.modulated_conv2d(lying, w, s, **how), ops.modulated_conv2d(x, w, s, impl="reference", **how))
        assert torch.equal(lying, before)


@torch.no_grad()
@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_one_sample_after_another(architecture):
    """A batch is computed in two stretches, the second sample by sample; nothing of that is to be seen."""
    net = generator(architecture=architecture)
    ws = net.mapping(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)))
    assert net.img_resolution > stylegan2.SAMPLE_BY_SAMPLE > 4
    for mode in ("const", "none", "random"):

        def rng(mode=mode):
            return torch.Generator().manual_seed(2) if mode == "random" else None

        resolutions = net.synthesis.block_resolutions
        image, maps = net.synthesis(ws, mode, generator=rng(), return_features=resolutions)
        want, want_maps = net.synthesis(ws, mode, generator=rng(), return_features=resolutions, impl="reference")
        close(image, want)
        for res in resolutions:
            close(maps[res], want_maps[res])
            close(net.synthesis.features(ws, res, mode, generator=rng()), want_maps[res])
        with torch.enable_grad():
            close(net.synthesis(ws, mode, generator=rng()), want)


def test_memory_does_not_grow_with_the_batch(net, ws, monkeypatch):
    seen = []
    forward = stylegan2.SynthesisLayer.forward
    monkeypatch.setattr(
        stylegan2.SynthesisLayer,
        "forward",
        lambda self, x, *a, **k: (seen.append((self.resolution, len(x))), forward(self, x, *a, **k))[1],
    )
    with torch.no_grad():
        net.synthesis(ws, "const")
    assert {n for resolution, n in seen if resolution >= stylegan2.SAMPLE_BY_SAMPLE} == {1}
    assert {n for resolution, n in seen if resolution < stylegan2.SAMPLE_BY_SAMPLE} == {3}


def test_features_run_no_later_block(net, ws):
    """Counted, not timed: a hook on each convolution and each toRGB."""
    ran = []
    hooks = [
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, layer in net.synthesis.named_modules()
        if name.endswith(("conv0", "conv1", "torgb"))
    ]
    try:
        with torch.no_grad():
            net.synthesis.features(ws[:1], 16)
        assert ran == ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]
        ran.clear()
        with torch.no_grad():
            net.synthesis.features(ws, 64)  # three samples share what is below 64 px
        assert ran[:7] == ["b4.conv1", *(f"b{r}.conv{i}" for r in (8, 16, 32) for i in (0, 1))]
        assert ran[7:] == ["b64.conv0", "b64.conv1"] * 3
    finally:
        for hook in hooks:
            hook.remove()


def energies_of(weight):
    return weight.square().sum(dim=[2, 3])


def test_energies_follow_the_weight():
    weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3), requires_grad=False)
    first = ops.kernel_energy(weight)
    assert torch.equal(first, energies_of(weight)) and ops.kernel_energy(weight) is first
    with torch.no_grad():
        weight.mul_(2)
    assert torch.equal(ops.kernel_energy(weight), energies_of(weight))
    weight.data = torch.randn(4, 3, 3, 3)
    assert torch.equal(ops.kernel_energy(weight), energies_of(weight))
    with torch.inference_mode():
        weight.mul_(3)
        assert torch.equal(ops.kernel_energy(weight), energies_of(weight))
    torch._foreach_lerp_([weight], [torch.randn(4, 3, 3, 3)], 0.5)  # the training's running average
    assert torch.equal(ops.kernel_energy(weight), energies_of(weight))


def test_energies_of_copies_and_of_what_is_gone():
    layer = torch.nn.Conv2d(3, 4, 3).requires_grad_(False)
    ops.kernel_energy(layer.weight)
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.weight.zero_()
    assert ops.kernel_energy(other.weight).sum() == 0 and ops.kernel_energy(layer.weight).sum() > 0
    key = id(layer.weight)
    assert key in ops._energies
    del layer
    gc.collect()
    assert key not in ops._energies


def test_a_weight_that_trains_is_not_remembered():
    weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3))
    ops.kernel_energy(weight).sum().backward()
    assert torch.allclose(weight.grad, 2 * weight) and id(weight) not in ops._energies


def test_what_inference_remembered_serves_optimisation():
    """Energies and filters made inside inference mode are used where a latent is optimised."""
    net = generator(resolution=16)
    with torch.inference_mode():
        ws = net.mapping(torch.randn(1, 8))
        net.synthesis(ws, "const")
    w = ws.clone().requires_grad_(True)
    net.synthesis(w, "const").square().mean().backward()
    assert w.grad.abs().sum() > 0


def test_training_the_network_shows_in_its_pictures():
    net = generator(resolution=16)
    z = torch.randn(1, 8)
    before = net(z, noise_mode="const")
    net.requires_grad_(True)
    net(z, noise_mode="const").square().mean().backward()
    with torch.no_grad():  # as optimisers do it
        trained = [p for p in net.parameters() if p.grad is not None]
        torch._foreach_add_(trained, [p.grad for p in trained], alpha=-0.1)
    net.requires_grad_(False)
    after = net(z, noise_mode="const")
    assert (after - before).abs().max() > 1e-3
    close(after, net(z, noise_mode="const", impl="reference"))
