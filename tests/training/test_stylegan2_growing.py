"""Networks that grow while they learn or go on from smaller ones, and generators that are made wider."""

import copy

import pytest
import torch

from models.operations import downsample2d, upsample2d
from models.stylegan2 import Generator
from training import growing, loop, stylegan2
from weights import store

from .stylegan2_helpers import blobs, options

# -- growing -----------------------------------------------------------------------------------------------------


def test_schedule_of_growing():
    g = growing.Growth(32, 100)
    assert g.at(0) == (8, 1.0) and g.at(99) == (8, 1.0)
    assert g.at(100) == (16, 0.0) and g.at(150) == (16, 0.5) and g.at(250) == (16, 1.0)
    assert g.at(350) == (32, 0.5) and g.at(450) == (32, 1.0) and g.at(10**6) == (32, 1.0)


def test_growing_images():
    x = torch.randn(2, 3, 32, 32)
    assert growing.growing_images(x, 8, 1.0).shape == (2, 3, 8, 8)
    half = growing.growing_images(x, 32, 0.0)
    assert torch.allclose(half[:, :, ::2, ::2], torch.nn.functional.avg_pool2d(x, 2), atol=1e-6)
    assert torch.equal(growing.growing_images(x, 32, 1.0), x)


def test_a_grown_network_starts_as_the_small_one_enlarged(tmp_path):
    small = stylegan2.StyleGAN2Run(options(tmp_path / "a"), blobs())
    for _ in range(3):
        small.step()
    (tmp_path / "a").mkdir()
    loop.save_state(small, tmp_path / "a" / "state.pt")
    args = options(tmp_path / "b", "--grow-from", str(tmp_path / "a" / "state.pt"), "--fade", "32")
    args.resolution = 32
    large = stylegan2.StyleGAN2Run(args, blobs(size=32))
    z = torch.randn(2, 8)
    old = small.G_ema(z, noise_mode="none")
    assert torch.allclose(large.G(z, noise_mode="none"), upsample2d(old, (1, 3, 3, 1)), atol=1e-4)
    # The new discriminator, faded out, sees what the small one saw.
    x = torch.randn(8, 3, 32, 32)
    large.D.fade = 0.0
    assert torch.allclose(large.D(x), small.D(downsample2d(x, (1, 3, 3, 1))), atol=1e-4)
    for _ in range(5):
        large.step()
    assert large.D.fade is None and large.shown_before == 24 and large.parents[0]["resolution"] == 16
    # Its state resumes too, old fromRGB and all.
    loop.save_state(large, tmp_path / "state.pt")
    again = stylegan2.StyleGAN2Run(args, blobs(size=32))
    again.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    again.step()
    large.step()
    assert all(torch.equal(a, b) for a, b in zip(again.G.parameters(), large.G.parameters(), strict=True))


def test_a_grown_state_needs_no_state_of_before(tmp_path):
    """It holds the old fromRGB, which a discriminator that was not grown here lacks."""
    small = stylegan2.StyleGAN2Run(options(tmp_path), blobs())
    loop.save_state(small, tmp_path / "state.pt")
    size = ["--resolution", "32", "--fade", "32"]
    grown = options(tmp_path / "b", *size, "--grow-from", str(tmp_path / "state.pt"))
    large = stylegan2.StyleGAN2Run(grown, blobs(size=32))
    large.step()
    alone = stylegan2.StyleGAN2Run(options(tmp_path / "b", *size), blobs(size=32))
    alone.restore(copy.deepcopy(large.state()))
    for _ in range(2):
        large.step()
        alone.step()
    assert large.D.fade == alone.D.fade == 0.5
    for a, b in ((alone.G, large.G), (alone.D, large.D)):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_a_run_goes_on_from_a_generator_that_ships(tmp_path):
    """Its discriminator is new and learns alone for a while."""
    trained = stylegan2.StyleGAN2Run(options(tmp_path), blobs())
    path = tmp_path / "blobs.safetensors"
    stages = [{"resolution": 16, "images": 500, "seconds": 9, "data": "x", "command": "c"}]
    store.save(path, trained.G_ema, "stylegan2", "generator", card={"images": 500, "seconds": 9, "stages": stages})
    args = options(tmp_path, "--seed", "5", "--start-from", str(path), "--warm-up", "16")
    run = stylegan2.StyleGAN2Run(args, blobs())
    before = copy.deepcopy(run.D.state_dict())
    for warm in (True, True, False):
        run.step()
        for net in (run.G, run.G_ema):
            same = [torch.equal(a, b) for a, b in zip(net.parameters(), trained.G_ema.parameters(), strict=True)]
            assert all(same) if warm else not all(same)
    assert any(not torch.equal(before[k], v) for k, v in run.D.state_dict().items())
    assert run.shown == 24 and run.shown_before == 500 and run.parents == stages


def test_the_new_block_can_be_wider_than_the_base_says(tmp_path):
    small = stylegan2.StyleGAN2Run(options(tmp_path), blobs())
    loop.save_state(small, tmp_path / "state.pt")
    args = options(tmp_path / "b", "--grow-from", str(tmp_path / "state.pt"), "--channel-min", "4")
    args.resolution = 32
    large = stylegan2.StyleGAN2Run(args, blobs(size=32))
    assert large.G.synthesis.widths == large.D.widths == {4: 8, 8: 8, 16: 4, 32: 4}
    again = type(large.G)(**large.G.config)  # as files keep it
    again.load_state_dict(large.G.state_dict())
    large.step()


def test_growing_from_the_wrong_size_is_refused(tmp_path):
    small = stylegan2.StyleGAN2Run(options(tmp_path), blobs())
    loop.save_state(small, tmp_path / "state.pt")
    args = options(tmp_path / "b", "--grow-from", str(tmp_path / "state.pt"))
    with pytest.raises(ValueError, match="8 px"):
        stylegan2.StyleGAN2Run(args, blobs())


# -- wider networks --------------------------------------------------------------------------------------------


def narrow_and_wide(**changes) -> tuple[Generator, Generator]:
    torch.manual_seed(1)
    own = {"z_dim": 16, "w_dim": 16, "mapping_layers": 2, "img_resolution": 32, "channel_base": 128, "channel_max": 12}
    narrow = Generator(**own)
    for name, p in narrow.named_parameters():  # away from their beginnings, so that a forgotten one changes pictures
        if name.endswith(("bias", "noise_strength")):
            p.data.add_(torch.randn_like(p) * 0.1)
    return narrow.eval(), Generator(**own | {"channel_base": 512, "channel_max": 32} | changes).eval()


def test_a_wider_generator_makes_the_same_pictures():
    narrow, wide = narrow_and_wide()
    growing.widen_generator(wide, narrow)
    z = torch.randn(3, 16)
    with torch.no_grad():
        assert torch.allclose(narrow(z, noise_mode="const"), wide(z, noise_mode="const"), atol=1e-5)


def test_new_maps_learn():
    """Old maps and colours read nothing of the new ones at first, yet a gradient reaches the weights that do."""
    narrow, wide = narrow_and_wide()
    growing.widen_generator(wide, narrow)
    wide(torch.randn(2, 16), noise_mode="none").square().mean().backward()
    conv, colours = wide.synthesis.b16.conv1.weight.grad, wide.synthesis.b16.torgb.weight.grad
    old = narrow.synthesis.widths[16]
    assert conv[:old, old:].abs().max() > 0 and colours[:, old:].abs().max() > 0


def test_a_wider_generator_of_twice_the_size_enlarges_the_pictures():
    narrow, wide = narrow_and_wide(img_resolution=64)
    growing.widen_generator(wide, narrow)
    z = torch.randn(2, 16)
    with torch.no_grad():
        small, large = narrow(z, noise_mode="const"), wide(z, noise_mode="const")
    assert torch.allclose(upsample2d(small, (1, 3, 3, 1)), large, atol=1e-5)


@pytest.mark.parametrize("changes", [{"w_dim": 32}, {"channel_max": 8}, {"mapping_layers": 3}, {"img_resolution": 128}])
def test_what_is_not_wider_is_refused(changes):
    narrow, wide = narrow_and_wide(**changes)
    with pytest.raises(ValueError, match="wider or of twice the size"):
        growing.widen_generator(wide, narrow)
