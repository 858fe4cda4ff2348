"""The trainer on the CPU: it resumes exactly, its losses are the papers', and it learns."""

import copy
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from models.stylegan2 import Discriminator, Generator
from training import augment, data, loop, losses, metrics, stylegan2, stylegan2_options

from .resuming import differ, stopped_and_straight
from .stylegan2_helpers import blobs, folder_of, options

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"

EVERYTHING = "--pl-weight 2 --pl-every 2 --style-mixing 0.9 --r1-every 2 --ada-target 0.6 --ada-images 400".split()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_bf16_is_for_machines_that_have_it(monkeypatch, device):
    """Emulated, it is a hundred times as slow as float32."""
    monkeypatch.setattr(loop, "has_bf16", lambda: True)
    assert loop.dtype_of("bf16", device) == torch.bfloat16 and loop.dtype_of("fp32", device) is None
    monkeypatch.setattr(loop, "has_bf16", lambda: False)
    assert loop.dtype_of("fp16", device) == torch.float16
    if device == "cpu":
        with pytest.warns(UserWarning, match="computes in fp32"):
            assert loop.dtype_of("bf16", device) is None
    else:
        assert loop.dtype_of("bf16", device) == torch.bfloat16


@pytest.mark.parametrize("more", [EVERYTHING, ["--precision", "bf16"]], ids=["everything", "bf16"])
def test_a_resumed_run_takes_the_same_steps(tmp_path, more):
    args = options(tmp_path, *more)
    straight, second = stopped_and_straight(lambda: stylegan2.StyleGAN2Run(args, blobs()), tmp_path, 3, 3)
    assert second.shown == straight.shown == 48 and second.ada.p == straight.ada.p
    for name in ("G", "D", "G_ema"):
        assert not differ(getattr(straight, name), getattr(second, name)), name
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


def test_pictures_are_moved_together():
    """In all (2 most + 1)² ways, with the borders mirrored; not at all by 0."""
    x = torch.arange(2 * 64.0).reshape(2, 1, 8, 8)
    rng, found = torch.Generator().manual_seed(0), set()
    assert augment.moved(x, 0, rng) is x
    for _ in range(200):
        y = augment.moved(x, 1, rng)
        assert y.shape == x.shape and torch.equal(y[1] - y[0], x[1] - x[0])
        found.add((y[0, 0, 4, 4] - x[0, 0, 4, 4]).item())
    assert found == {8 * down + right for down in (-1, 0, 1) for right in (-1, 0, 1)}


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


# -- data and metrics --------------------------------------------------------------------------------------------


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


def test_noise_from_some_image_on(tmp_path):
    """Before it, pictures have none, and a run that had some loses it; from it on, the strengths learn."""
    noisy = stylegan2.StyleGAN2Run(options(tmp_path), blobs())
    strengths = [p for k, p in noisy.G.named_parameters() if k.endswith("noise_strength")]
    for p in strengths:
        p.data.fill_(0.5)
    state = copy.deepcopy(noisy.state())
    run = stylegan2.StyleGAN2Run(
        options(tmp_path, "--noise-from", "16", "--pl-weight", "1", "--pl-every", "1"), blobs()
    )
    run.restore(state)
    own = [p for net in (run.G, run.G_ema) for k, p in net.named_parameters() if k.endswith("noise_strength")]
    assert all(p == 0.5 for p in own[: len(strengths)])
    for _ in range(2):
        run.step()
        assert all(p == 0 for p in own)
    run.step()
    assert any(p != 0 for p in own[: len(strengths)])
