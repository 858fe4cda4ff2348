"""Projected discriminators and the encoder in the loop: they learn, resume exactly, and grow with the generator."""

import pytest
import torch
from torch import nn

from training import features, loop, projected, reconstruction, stylegan2
from weights import store

from .resuming import differ, stopped_and_straight
from .stylegan2_helpers import blobs, folder_of, options


class TinyFeatures(nn.Module):
    """Stands for a downloaded network: four random convolutions of stride 2, frozen."""

    channels = (4, 6, 8, 10)

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        ends = (3, *self.channels)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(ends, self.channels, strict=False))
        self.requires_grad_(False)

    def forward(self, x):
        maps = []
        for layer in self.layers:
            x = torch.relu(layer(x))
            maps.append(x)
        return maps

    def embed(self, x):
        return nn.functional.normalize(self(x)[-1].mean(dim=(2, 3)), dim=1)


HEADS = ["--projected", "faceres", "--projected-warm-up", "0", "--range-penalty", "10"]
ENCODER = ["--reconstructed", "4", "--encoder-widths", "8", "8", "8", "8", "--identity", "mobilefacenet"]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    net = TinyFeatures()
    monkeypatch.setattr(features, "load", lambda name: net)
    monkeypatch.setattr(reconstruction.Reconstruction, "SIZE", 32)


def run_of(tmp_path, *more, size=32):
    return stylegan2.StyleGAN2Run(options(tmp_path, *more, "--resolution", str(size)), blobs(size=size))


DETAIL = ["--detail", "4", "--r1-every", "2"]
WAYS = {
    "heads": HEADS,
    "encoder": ENCODER,
    "both": HEADS + ENCODER,
    "detail": DETAIL,
    "moved": [*DETAIL, *ENCODER, "--move", "2"],
    "steady": [*ENCODER, "--steady-encoder"],
}


@pytest.mark.parametrize("more", WAYS.values(), ids=WAYS)
def test_a_resumed_run_takes_the_same_steps(tmp_path, more):
    straight, second = stopped_and_straight(lambda: run_of(tmp_path, *more), tmp_path, 2, 2)
    for name, part in straight._parts().items():
        if not name.startswith("opt"):
            assert not differ(part, second._parts()[name]), name


def test_what_learns_and_what_stays(tmp_path):
    run = run_of(tmp_path, *HEADS, *ENCODER)
    before = {k: v.clone() for k, v in run.projected.state_dict().items()}
    encoder = {k: v.clone() for k, v in run.reconstruction.encoder.named_parameters()}
    run.step()
    after = run.projected.state_dict()
    assert torch.equal(before["faceres.projection.across_channels.0.weight"],
                       after["faceres.projection.across_channels.0.weight"])  # fmt: skip
    assert after["faceres.projection.calibrated"] and (after["faceres.projection.scales"] != 1).all()
    key = next(k for k in after if "heads" in k and k.endswith("weight.original"))
    assert not torch.equal(before[key], after[key])
    assert not any("layers" in k and "features" in k for k in after), "the feature network is not in the state"
    moved = {k for k, v in run.reconstruction.encoder.named_parameters() if not torch.equal(v, encoder[k])}
    assert "base.weight" in moved and "deltas.0.weight" in moved


def test_the_generator_waits_for_the_heads(tmp_path):
    waits = run_of(tmp_path, "--projected", "faceres", "--projected-warm-up", "8")
    plain = run_of(tmp_path)
    waits.step()
    plain.step()
    # The heads draw random numbers after the pixel discriminator; noise of the synthesis comes before.
    assert all(torch.equal(a, b) for a, b in zip(waits.G.parameters(), plain.G.parameters(), strict=True))
    waits.step()
    plain.step()
    assert not all(torch.equal(a, b) for a, b in zip(waits.G.parameters(), plain.G.parameters(), strict=True))


def test_heads_tell_photographs_from_a_still_generator(tmp_path):
    run = run_of(tmp_path, "--projected", "faceres", "--projected-lr", "2e-3", "--warm-up", "100000")
    gaps = []
    for _ in range(40):
        run.step()
        gaps.append(run.stats["faceres_real"] - run.stats["faceres_fake"])
    assert sum(gaps[-10:]) / 10 > sum(gaps[:5]) / 5 + 0.3


@pytest.mark.parametrize("more, seen", [([], 8), (["--judge-sampled"], 4)])
def test_who_judges_reconstructions(tmp_path, more, seen):
    """Both discriminators unless asked otherwise; that of details in any case."""
    run = run_of(tmp_path, *ENCODER, "--detail", "4", "--batch", "8", "--r1-gamma", "0", *more)
    counts: dict = {"judge": [], "detail": []}
    judge, detail = run._judge, run.detail.logits
    run._judge = lambda x, c: counts["judge"].append(len(x)) or judge(x, c)
    run.detail.logits = lambda x, rng: counts["detail"].append(len(x)) or detail(x, rng)
    run.step()
    assert counts == {"judge": [seen, 8, seen], "detail": [8, 8, 8]}


def test_reconstructions_come_nearer(tmp_path):
    """What the encoder in the loop is for: photographs are drawn by the generator itself."""
    run = run_of(tmp_path, *ENCODER, "--lr", "0.005", "--encoder-lr", "0.005")
    run.step()
    x = run.images.batch(torch.arange(16))

    def distance():
        with torch.no_grad():
            made = run.G.synthesis(run.reconstruction.encode(x)[2], "const")
        return reconstruction.pixel_loss(made, x).item()

    before = distance()
    for _ in range(60):
        run.step()
    assert distance() < 0.7 * before


def test_details_are_judged_at_full_size(tmp_path):
    """Beside a discriminator of 16 px, one that sees all 32."""
    run = run_of(tmp_path, "--detail", "4", "--d-resolution", "16", "--r1-every", "2")
    sizes = []
    for net in (run.D, run.detail.net):
        net.register_forward_pre_hook(lambda _net, given: sizes.append(given[0].shape[-1]))
    before = {k: v.clone() for k, v in run.detail.net.named_parameters()}
    run.step()
    assert sizes.count(16) == 4 and sizes.count(32) == 3, "real, fake, generator and, for D in this step, R1"
    run.step()
    assert "detail_r1" in run.stats and any(not torch.equal(before[k], v) for k, v in run.detail.net.named_parameters())


def test_details_have_a_rate_and_a_penalty_of_their_own(tmp_path):
    run = run_of(
        tmp_path, "--detail", "4", "--lr", "1e-3", "--d-lr", "2e-3", "--detail-lr", "5e-4", "--detail-gamma", "0"
    )
    rates = [optimizer.param_groups[0]["lr"] for optimizer in (run.opt_G, run.opt_D, run.detail.optimizer)]
    lazily = run.args.r1_every / (run.args.r1_every + 1)
    assert rates == pytest.approx([1e-3, 2e-3 * lazily, 5e-4])
    for _ in range(run.args.r1_every):
        run.step()
    assert "r1" in run.stats and "detail_r1" not in run.stats


def test_a_state_keeps_what_judges_details(tmp_path):
    run = run_of(tmp_path, "--detail", "4")
    run.step()
    other = run_of(tmp_path, "--detail", "4", "--seed", "1")
    other.restore(run.state())
    kept = run.detail.net.state_dict()
    assert all(torch.equal(kept[k], v) for k, v in other.detail.net.state_dict().items())
    assert other.detail.optimizer.state_dict()["state"][0]["step"] == 1


def test_before_the_adversarial_part_nothing_judges_the_generator(tmp_path):
    run = run_of(tmp_path, *ENCODER, "--detail", "4", "--adversarial-after", "1000")
    asked = []
    run.detail.generator_loss = lambda *given: asked.append(given) or given[0].mean() * 1e6
    before = {k: v.clone() for k, v in run.detail.net.named_parameters()}
    run.step()
    assert asked and run.stats.get("detail_real") is not None
    assert any(not torch.equal(before[k], v) for k, v in run.detail.net.named_parameters()), "it learns already"
    gradients = [p.grad for p in run.G.parameters() if p.grad is not None]
    assert max(float(g.abs().max()) for g in gradients) < 1e4


def test_it_begins_with_an_encoder_that_ships(tmp_path):
    trained = run_of(tmp_path, *ENCODER)
    trained.step()
    path = tmp_path / "tiny.safetensors"
    store.save(path, trained.reconstruction.encoder, "encoder", "encoder", card={})
    run = run_of(tmp_path, *ENCODER, "--encoder-from", str(path))
    for net in (run.reconstruction.encoder, run.reconstruction.average):
        shipped = trained.reconstruction.encoder.state_dict()
        assert all(torch.equal(shipped[k], v) for k, v in net.state_dict().items())
    assert run.state()["origin"] == f"--encoder-from weights/embedded/{tmp_path.name}/tiny.safetensors"


def test_an_encoder_may_become_steady_on_the_way(tmp_path):
    before = run_of(tmp_path, *ENCODER)
    before.step()
    run = run_of(tmp_path, *ENCODER, "--steady-encoder")
    run.restore(before.state())
    norms = {k: v.clone() for k, v in run.reconstruction.encoder.named_buffers() if "running" in k}
    assert not any(torch.equal(v, before.reconstruction.encoder.get_buffer(k)) for k, v in norms.items())
    run.step()
    assert all(torch.equal(v, run.reconstruction.encoder.get_buffer(k)) for k, v in norms.items())
    again = run_of(tmp_path, *ENCODER, "--steady-encoder")
    again.restore(run.state())
    assert all(torch.equal(v, again.reconstruction.encoder.get_buffer(k)) for k, v in norms.items())


def test_the_log_shows_reconstructions(tmp_path, monkeypatch):
    monkeypatch.setattr(stylegan2.judges, "installed", lambda name: False)  # then its numbers are left out, and said so
    said = []
    source = folder_of(tmp_path, False)
    args = options(tmp_path / "run", *ENCODER, "--images", "16", "--tick", "8", "--metric-images", "0", source=source)
    args.resolution, args.judged_images = 32, 5
    stylegan2.train(args, log=said.append)
    assert any("make judges" in line for line in said)
    sheets = sorted(path.name for path in (tmp_path / "run" / "sheets").iterdir())
    assert sheets == [f"{n:08d}{end}.png" for n in (8, 16) for end in ("-reconstructed", "")]


def test_it_may_begin_as_an_autoencoder(tmp_path):
    """Discriminators begin later, and the generator hears them later still."""
    run = run_of(tmp_path, *ENCODER, "--autoencoder-images", "16", "--adversarial-after", "32")
    D = {k: v.clone() for k, v in run.D.named_parameters()}
    seen = []
    run._judge = lambda x, c, judge=run._judge: seen.append(run.shown) or judge(x, c)
    for _ in range(2):
        run.step()
    assert not seen and all(torch.equal(v, D[k]) for k, v in run.D.named_parameters())
    assert "reconstruction_known" not in run.stats and run.shown == 16
    G = {k: v.clone() for k, v in run.G.named_parameters()}
    for _ in range(3):
        run.step()
    assert seen and not all(torch.equal(v, D[k]) for k, v in run.D.named_parameters())
    assert not all(torch.equal(v, G[k]) for k, v in run.G.named_parameters())


def test_the_discriminator_may_look_at_reduced_pictures(tmp_path):
    run = run_of(tmp_path, "--d-resolution", "16")
    run.step()
    x = torch.randn(2, 3, 32, 32)
    assert run.D.img_resolution == 16
    assert torch.allclose(run._reduced(x), nn.functional.avg_pool2d(x, 2), atol=1e-6)


def test_heads_and_encoder_grow_with_the_generator(tmp_path):
    small = run_of(tmp_path, *HEADS, *ENCODER, "--d-resolution", "32", size=64)
    small.step()
    loop.save_state(small, tmp_path / "state.pt")
    more = [*HEADS, *ENCODER, "--d-resolution", "32", "--grow-from", str(tmp_path / "state.pt")]
    large = run_of(tmp_path, *more, size=128)
    for name in ("D", "projected"):
        old, new = getattr(small, name).state_dict(), getattr(large, name).state_dict()
        assert all(torch.equal(old[k], new[k]) for k in old), name
    x = blobs(8, 64).batch(torch.arange(8))
    old, new = small.reconstruction.eval().encode(x)[2], large.reconstruction.eval().encode(x)[2]
    assert torch.equal(new[:, :10], old) and torch.equal(new[:, 10], old[:, 9]) and torch.equal(new[:, 11], old[:, 9])
    large.step()


def test_new_heads_join_a_run_that_had_none(tmp_path):
    first = run_of(tmp_path)
    first.step()
    second = run_of(tmp_path, *HEADS)
    second.restore(first.state())
    second.step()
    assert second.projected["faceres"].projection.calibrated and second.shown == 16


# -- the parts ---------------------------------------------------------------------------------------------------


def test_projected_features_leave_at_unit_deviation():
    D = projected.ProjectedDiscriminator(TinyFeatures(), 32, mixed=8)
    x = torch.rand(16, 3, 32, 32) * 2 - 1
    D.calibrate(x)
    maps = D.projection(TinyFeatures()(x))
    assert [m.shape[-1] for m in maps] == [16, 8, 4, 2]
    assert all(float(m.std()) == pytest.approx(1, rel=1e-3) for m in maps)


def test_hinge_losses():
    real, fake = [torch.tensor([2.0, 0.5])], [torch.tensor([-2.0, 0.0])]
    assert projected.hinge_discriminator_loss(real, fake).item() == pytest.approx(0.25 + 0.5)
    assert projected.hinge_generator_loss(fake).item() == pytest.approx(1.0)
    assert projected.range_penalty(torch.tensor([-3.0, 0.5, 1.0, 2.0])).item() == pytest.approx((4 + 1) / 4)


def test_differentiable_augmentation():
    x = torch.rand(32, 3, 16, 16, requires_grad=True)
    a, b = (projected.differentiable_augment(x, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(a, b) and a.shape == x.shape
    a.sum().backward()
    assert torch.isfinite(x.grad).all()
    share = (a == 0).all(dim=1).float().mean(dim=(1, 2))
    assert (share > 0.05).all() and (share < 0.6).all(), "a hole and a shift in each picture"


def test_distances_of_reconstructions():
    x = torch.rand(2, 3, 8, 8)
    assert reconstruction.pixel_loss(x, x).item() == 0
    assert reconstruction.pixel_loss(x + 0.5, x).item() == pytest.approx(0.5, rel=1e-5)
    maps = [torch.randn(2, 4, 8, 8)]
    assert reconstruction.feature_loss(maps, maps).item() == 0
    assert reconstruction.feature_loss([10 * maps[0] + 1], [10 * maps[0]]).item() == pytest.approx(0.1, rel=0.1)
    e = torch.eye(4)[:2]
    assert reconstruction.identity_loss(e, e).item() == pytest.approx(0, abs=1e-6)
    assert reconstruction.identity_loss(e, e.flip(0)).item() == pytest.approx(1)


def test_a_pause_is_not_training(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    clock, seconds = loop.Clock(), []
    for step in (1.0, 1.0, 500.0, 1.0):
        now[0] += step
        seconds.append(clock.step())
    now[0] += 30
    clock.skip()
    now[0] += 1
    assert seconds == pytest.approx([1, 1, 1, 1]) and clock.step() == pytest.approx(1)
