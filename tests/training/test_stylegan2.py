"""The trainer on the CPU: it resumes exactly, its losses are the papers', and it learns."""

import copy
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.operations import upsample2d
from models.stylegan2 import Discriminator, Generator
from training import augment, data, growing, loop, losses, metrics, stylegan2, stylegan2_options
from weights import store

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


def options(out, *more, source="x"):
    small = "--resolution 16 --batch 8 --channel-base 64 --channel-max 8 --z-dim 8 --w-dim 8 --mapping-layers 2"
    return stylegan2.parser().parse_args(
        ["--data", str(source), "--out", str(out), *small.split(), "--precision", "fp32", "--device", "cpu", *more]
    )


def blobs(n=64, size=16, labels=False):
    """Two kinds of pictures: a bright disc on dark, and the reverse."""
    y, x = np.mgrid[:size, :size]
    rng = np.random.RandomState(0)
    out = []
    for i in range(n):
        cx, cy = rng.uniform(0.35, 0.65, 2) * size
        disc = ((x - cx) ** 2 + (y - cy) ** 2 < (size * 0.25) ** 2) ^ (i % 2 == 1)
        out.append(np.stack([disc * c for c in rng.randint(120, 255, 3)]).astype(np.uint8))
    pixels = torch.from_numpy(np.stack(out))
    return data.Images(pixels, torch.arange(n) % 2, ("0", "1")) if labels else data.Images(pixels)


EVERYTHING = "--pl-weight 2 --pl-every 2 --style-mixing 0.9 --r1-every 2 --ada-target 0.6 --ada-images 400".split()


@pytest.mark.parametrize("more", [EVERYTHING, ["--precision", "bf16"]], ids=["everything", "bf16"])
def test_a_resumed_run_takes_the_same_steps(tmp_path, more):
    args = options(tmp_path, *more)
    straight = stylegan2.StyleGAN2Run(args, blobs())
    for _ in range(6):
        straight.step()
    first = stylegan2.StyleGAN2Run(args, blobs())
    for _ in range(3):
        first.step()
    loop.save_state(first, tmp_path / "state.pt")
    second = stylegan2.StyleGAN2Run(args, blobs())
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(3):
        second.step()
    assert second.shown == straight.shown == 48 and second.ada.p == straight.ada.p
    for name in ("G", "D", "G_ema"):
        a, b = getattr(straight, name).state_dict(), getattr(second, name).state_dict()
        assert all(torch.equal(a[k], b[k]) for k in a), name
    if more is EVERYTHING:
        assert straight.ada.p > 0 and straight.pl_mean > 0


@pytest.mark.parametrize(
    "more",
    [["--label", "kind"], ["--architecture", "resnet"], ["--architecture", "growing", "--growing-stage", "16"],
     ["--modulation", "adain"], ["--precision", "fp16"], ["--impl", "fast"], ["--strided", "4"],
     ["--strided", "6", "--precision", "bf16"]],
    ids=lambda m: m[-1],
)  # fmt: skip
def test_every_kind_of_run_steps(tmp_path, more):
    run = stylegan2.StyleGAN2Run(options(tmp_path, *more), blobs(labels="--label" in more))
    before = {k: v.clone() for k, v in run.G.state_dict().items()}
    for _ in range(5):
        run.step()
    after = run.G.state_dict()
    assert all(torch.isfinite(v).all() for v in after.values())
    assert (after["mapping.fc0.weight"] != before["mapping.fc0.weight"]).any()
    assert run.G.c_dim == (2 if "--label" in more else 0)


def test_discriminators_that_do_not_go_together(tmp_path):
    with pytest.raises(ValueError, match="neither --label nor growing"):
        stylegan2.StyleGAN2Run(options(tmp_path, "--strided", "4", "--label", "kind"), blobs(labels=True))


def test_the_strided_discriminator_learns_quickly(tmp_path):
    """What it is for: a generator that stands still is told from photographs after a few steps."""
    args = options(tmp_path, "--strided", "8", "--d-lr", "1e-3", "--warm-up", "100000", "--r1-gamma", "0")
    run = stylegan2.StyleGAN2Run(args, blobs())
    for _ in range(30):
        run.step()
    assert run.stats["loss_D"] < 0.5 and run.D.config["norm"] == "none"


def test_it_learns(tmp_path):
    """Some seconds of training are enough to find the colour of a set of plain pictures."""
    colour = torch.tensor([200, 40, 120], dtype=torch.uint8)
    plain = colour[None, :, None, None] + torch.arange(-10, 10, dtype=torch.int64)[:, None, None, None]
    images = data.Images(plain.to(torch.uint8).expand(-1, 3, 8, 8).contiguous())
    args = options(tmp_path, "--ema-half-life", "100", "--lr", "0.01")
    args.resolution = 8
    run = stylegan2.StyleGAN2Run(args, images)
    truth = images.batch(torch.arange(20)).mean(dim=[0, 2, 3])

    def distance():
        return (stylegan2.sheets.sample(run.G_ema, 32, 1).mean(dim=[0, 2, 3]) - truth).abs().max().item()

    before = distance()
    for _ in range(60):
        run.step()
    assert distance() < before / 3


def test_the_average_has_the_half_life_that_was_asked_for(tmp_path):
    run = stylegan2.StyleGAN2Run(options(tmp_path, "--ema-half-life", "16"), blobs())
    run.shown = 10_000  # past the ramp-up
    ema = {k: v.clone() for k, v in run.G_ema.named_parameters()}
    run.G.load_state_dict({k: v + 1 for k, v in run.G.state_dict().items()})
    run._average(16)
    for k, v in run.G_ema.named_parameters():
        new = dict(run.G.named_parameters())[k]
        assert torch.allclose(v, (ema[k] + new) / 2, atol=1e-6)


def test_lazy_regularisation_shortens_the_optimiser(tmp_path):
    run = stylegan2.StyleGAN2Run(options(tmp_path, "--lr", "0.002", "--r1-every", "16"), blobs())
    group = run.opt_D.param_groups[0]
    assert group["lr"] == pytest.approx(0.002 * 16 / 17) and group["betas"][1] == pytest.approx(0.99 ** (16 / 17))
    assert run.opt_G.param_groups[0]["lr"] == 0.002  # no path length: nothing lazy in the generator


# -- losses ------------------------------------------------------------------------------------------------------


def test_r1_of_a_linear_critic_is_its_squared_weight():
    w = torch.randn(3, 4, 4, requires_grad=True)
    x = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = losses.r1_penalty((x * w).sum(dim=[1, 2, 3])[:, None], x)
    assert penalty.item() == pytest.approx(w.square().sum().item(), rel=1e-5)
    penalty.backward()
    assert torch.allclose(w.grad, 2 * w, atol=1e-5)


def test_r1_against_finite_differences():
    torch.manual_seed(0)
    d = Discriminator(img_resolution=8, channel_base=32, channel_max=4).double()
    for m in d.modules():
        for name, buffer in m.named_buffers(recurse=False):
            setattr(m, name, buffer.double())
    d.b4.mbstd = None
    d.b4.conv.weight.data = d.b4.conv.weight.data[:, :4].contiguous()
    # The epilogue runs in float32 by design; the difference quotient is taken wide enough for that.
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    d.float()
    xf = x.detach().float().requires_grad_(True)
    penalty = losses.r1_penalty(d(xf), xf).item()
    total, eps = 0.0, 1e-2
    for i in range(x.numel()):
        step = torch.zeros(x.numel()).index_fill_(0, torch.tensor(i), eps).reshape(x.shape)
        total += ((d(xf + step) - d(xf - step)).item() / (2 * eps)) ** 2
    assert penalty == pytest.approx(total, rel=2e-2)


def test_path_length_of_a_linear_generator():
    """Images = A w: |J^T y| is known, and the penalty is its squared deviation from the running mean."""
    torch.manual_seed(0)
    a = torch.randn(3 * 8 * 8, 6)
    ws = torch.randn(4, 1, 6, requires_grad=True)
    images = (ws[:, 0] @ a.t()).reshape(4, 3, 8, 8)
    penalty, mean = losses.path_length_penalty(images, ws, torch.zeros([]), torch.Generator().manual_seed(7))
    y = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(7)) / 8
    lengths = (y.reshape(4, -1) @ a).norm(dim=1)
    assert mean.item() == pytest.approx(lengths.mean().item() * 0.01, rel=1e-4)
    assert penalty.item() == pytest.approx((lengths - mean).square().mean().item(), rel=1e-4)


def test_adversarial_losses():
    logits = torch.tensor([[0.0], [2.0]])
    assert losses.generator_loss(logits).item() == pytest.approx(-torch.sigmoid(logits).log().mean().item(), rel=1e-5)
    expected = -torch.sigmoid(logits).log().mean() - (1 - torch.sigmoid(-logits)).log().mean()
    assert losses.discriminator_loss(logits, -logits).item() == pytest.approx(expected.item(), rel=1e-5)


# -- augmentation ------------------------------------------------------------------------------------------------


def test_augmentation_at_zero_is_nothing():
    x = torch.randn(4, 3, 16, 16)
    assert augment.augment(x, 0.0, torch.Generator()) is x


def test_augmentation_is_differentiable_and_repeats():
    x = torch.randn(64, 3, 16, 16, requires_grad=True)
    a, b = (augment.augment(x, 0.8, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(a, b) and a.shape == x.shape and torch.isfinite(a).all()
    a.square().sum().backward()
    assert torch.isfinite(x.grad).all() and (x.grad != 0).any()


def test_p_is_the_share_of_images_that_change():
    x = torch.rand(600, 3, 8, 8)
    for p, low, high in ((0.02, 0.05, 0.35), (0.5, 0.97, 1.0)):
        y = augment.augment(x, p, torch.Generator().manual_seed(0))
        changed = ((y - x).abs().amax(dim=[1, 2, 3]) > 1e-3).float().mean().item()
        assert low <= changed <= high  # a dozen independent chances each


def test_p_follows_the_discriminator():
    ada = augment.AdaptiveProbability(0.6, 1000)
    assert ada.adjust() is None
    ada.observe(torch.ones(100, 1))
    assert ada.adjust() == 1.0 and ada.p == pytest.approx(0.1)
    for _ in range(20):
        ada.observe(torch.ones(100, 1))
        ada.adjust()
    assert ada.p == 0.8  # beyond, augmentations leak into the pictures
    ada.observe(torch.cat([torch.ones(50, 1), -torch.ones(50, 1)]))
    assert ada.adjust() == 0.0 and ada.p == pytest.approx(0.7)


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
    from models.operations import upsample2d

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
    from models.operations import downsample2d

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


# -- data and metrics --------------------------------------------------------------------------------------------


def folder_of(tmp_path, as_zip):
    rows, files = ["file,split,kind"], {}
    for i in range(12):
        name = f"{i:02}.png"
        Image.new("RGB", (40 + i, 30), (20 * i, 0, 255)).save(tmp_path / name)
        files[name] = tmp_path / name
        rows.append(f"{name},{'test' if i >= 9 else 'train'},{i % 3}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    if not as_zip:
        return tmp_path
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as z:
        z.write(tmp_path / "labels.csv", "labels.csv")
        for name, path in files.items():
            z.write(path, f"images/{name}")
    return tmp_path / "set.zip"


@pytest.mark.parametrize("as_zip", [False, True])
def test_reading_folders_and_zips(tmp_path, as_zip):
    source = folder_of(tmp_path, as_zip)
    train = data.load_images(source, 8, label="kind")
    test = data.load_images(source, 8, "test")
    assert train.pixels.shape == (9, 3, 8, 8) and train.held_out and len(test) == 3
    assert train.labels.tolist() == [0, 1, 2] * 3 and train.classes == ("0", "1", "2")
    assert train.pixels[:, 0, 0, 0].tolist() == [20 * i for i in range(9)]  # none of the test rows
    x = train.batch(torch.tensor([1, 2]), torch.tensor([True, False]))
    assert x.shape == (2, 3, 8, 8) and x.max() <= 1 and x.min() >= -1
    with pytest.raises(ValueError, match="no pictures"):
        data.load_images(source, 8, "validation")
    with pytest.raises(ValueError, match="column"):
        data.load_images(source, 8, label="colour")


def test_flips_and_squares(tmp_path):
    left = Image.new("RGB", (8, 8))
    left.paste((255, 0, 0), (0, 0, 4, 8))
    left.save(tmp_path / "a.png")
    images = data.load_images(tmp_path, 8)
    plain, flipped = images.batch(torch.tensor([0, 0]), torch.tensor([False, True]))
    assert torch.equal(plain.flip(2), flipped) and plain[0, 0, 0] == 1 and plain[0, 0, 7] == -1


def test_the_distance_knows_blur_noise_and_itself():
    x = blobs(96, 32).pixels.float() / 127.5 - 1
    a, b = x[:48], x[48:]
    same = metrics.sliced_wasserstein(a, a)  # not zero: two sets of patches are drawn from the same pictures
    near = metrics.sliced_wasserstein(a, b)["mean"]
    assert set(same) == {"32", "16", "mean"} and same["mean"] < near * 1.05
    blurred = metrics.sliced_wasserstein(torch.nn.functional.avg_pool2d(b, 3, 1, 1), a)
    noisy = metrics.sliced_wasserstein(b + torch.randn_like(b) * 0.5, a)
    assert near < blurred["mean"] and near < noisy["mean"]


def test_position_bias_of_known_sets():
    generator = torch.Generator().manual_seed(0)
    same = torch.randn(1, 3, 32, 32, generator=generator).expand(64, -1, -1, -1)
    free = torch.randn(64, 3, 32, 32, generator=generator)
    assert metrics.position_bias(same) == pytest.approx(1, abs=1e-4)
    assert metrics.position_bias(free) < 0.02
    assert metrics.position_bias(0.5**0.5 * (same + free)) == pytest.approx(0.5, abs=0.05)


def test_path_length_and_peaks_of_a_network():
    torch.manual_seed(0)
    net = Generator(z_dim=8, w_dim=8, img_resolution=16, mapping_layers=1, channel_base=64, channel_max=8).eval()
    lengths = metrics.path_length(net, 32)
    assert lengths["mean"] > 0 and lengths["median"] > 0 and 0 < lengths["unevenness"] < 5
    peaks = metrics.peak_to_mean(net, 4)
    assert set(peaks) == {"4", "8", "16"} and min(peaks.values()) >= 1


# -- the command -------------------------------------------------------------------------------------------------


def test_the_command_trains_logs_and_goes_on(tmp_path, capsys):
    from training.__main__ import main

    source = folder_of(tmp_path, False)
    argv = ["stylegan2", "--data", str(source), "--out", str(tmp_path / "run"), "--resolution", "8", "--batch", "4"]
    argv += ["--channel-base", "32", "--channel-max", "4", "--z-dim", "4", "--w-dim", "4", "--mapping-layers", "1"]
    argv += ["--tick", "8", "--device", "cpu", "--threads", "1"]
    threads = torch.get_num_threads()
    try:
        assert main([*argv, "--images", "16"]) == 0
        assert main([*argv, "--images", "24"]) == 0
    finally:
        torch.set_num_threads(threads)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == [8, 16, 24] and all(line["swd"] > 0 for line in lines)
    assert "goes on at 16 images" in capsys.readouterr().out
    assert len(list((tmp_path / "run" / "sheets").glob("*.png"))) == 3


def test_the_command_lists_its_trainers(capsys):
    from training.__main__ import main

    assert main([]) == 2 and main(["--help"]) == 0 and main(["poetry"]) == 2
    assert "stylegan2" in capsys.readouterr().out


def test_the_shipped_networks_match_photographs_better_than_noise():
    if not SHARED.exists():
        pytest.skip("../shared/data with the photographs is not beside this checkout")
    from weights import store

    for name in ("faces", "cartoons"):  # read afresh: tests of the page keep small networks under these names
        net = store.load(ROOT / "weights" / "embedded" / "stylegan2" / f"{name}.safetensors")
        test = (
            data.load_images(SHARED / f"{name}_128.zip", net.img_resolution, "test", limit=128).pixels.float() / 127.5
            - 1
        )
        fake = stylegan2.sheets.sample(net, len(test), 99, noise_mode="random")
        far = metrics.sliced_wasserstein(torch.rand_like(test) * 2 - 1, test)["mean"]
        assert metrics.sliced_wasserstein(fake, test)["mean"] < far / 3


def test_options_changed_on_the_way_are_remembered(tmp_path):
    """A card must not claim that a run had from its start what it was only given later."""
    first = stylegan2.StyleGAN2Run(options(tmp_path, "--r1-gamma", "1"), blobs())
    first.step()
    second = stylegan2.StyleGAN2Run(options(tmp_path, "--r1-gamma", "0.2", "--images", "999"), blobs())
    second.restore(first.state())
    assert second.changes == [{"until": first.shown, "r1_gamma": 1.0}]
    third = stylegan2.StyleGAN2Run(options(tmp_path, "--r1-gamma", "0.2"), blobs())
    third.restore(second.state())
    assert third.changes == second.changes
    told = stylegan2_options.summary(third.state())
    assert "--r1-gamma 0.2" in told["command"] and told["changes"] == [f"--r1-gamma 1.0 until image {first.shown:,}"]


def test_noise_learns_at_a_rate_of_its_own(tmp_path):
    run = stylegan2.StyleGAN2Run(options(tmp_path, "--lr", "0.01", "--noise-rate", "0.1"), blobs())
    before = {k: v.clone() for k, v in run.G.named_parameters()}
    run.step()  # the first step of Adam is the rate itself
    far = {k: (v - before[k]).abs().max().item() for k, v in run.G.named_parameters()}
    noise = [v for k, v in far.items() if k.endswith("noise_strength")]
    assert max(noise) == pytest.approx(0.001, rel=1e-2) and max(far.values()) == pytest.approx(0.01, rel=1e-2)


def test_a_rate_changed_on_the_way_counts(tmp_path):
    first = stylegan2.StyleGAN2Run(options(tmp_path, "--lr", "0.002"), blobs())
    first.step()
    second = stylegan2.StyleGAN2Run(options(tmp_path, "--lr", "0.001", "--d-lr", "0.004", "--r1-every", "4"), blobs())
    second.restore(first.state())
    assert second.opt_G.param_groups[0]["lr"] == 0.001
    assert second.opt_D.param_groups[0]["lr"] == pytest.approx(0.004 * 4 / 5)
    assert second.opt_D.state_dict()["state"], "what it remembers of the gradients goes on"
    assert second.changes == [{"until": 8, "lr": 0.002, "d_lr": None, "r1_every": 16}]


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
