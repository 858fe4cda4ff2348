"""The trainers of AttGAN and of the attribute classifier: they step, resume exactly, learn, and measure rightly."""

import copy
import csv
import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from models.attributes import Classifier
from training import attgan, attributes, editing
from training.data import Images, load_images
from weights import store

from .resuming import differ, stopped_and_straight

NAMES = ["Bald", "Bangs", "Young"]
SMALL = ["--size", "16", "--batch", "4", "--device", "cpu", "--precision", "fp32", "--attrs", *NAMES]


def blobs(n: int = 24, size: int = 16) -> Images:
    """Pictures whose red, green and blue are bright where the first, second and third attribute is there."""
    rng = torch.Generator().manual_seed(0)
    a = torch.randint(0, 2, (n, 3), generator=rng, dtype=torch.uint8)
    x = 40 + 160 * a.float()[:, :, None, None] + 10 * torch.randn(n, 3, size, size, generator=rng)
    return Images(x.clamp(0, 255).to(torch.uint8), attributes=a)


def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(NAMES, 16, (4, 8), (1, 1)).eval().requires_grad_(False)


def options(*more: str):
    small = ["--enc-dim", "4", "--layers", "2", "--fc-dim", "8", "--shortcuts", "1", "--injections", "1"]
    return attgan.parser().parse_args(["--data", "x", "--out", "x", *SMALL, *small, *more])


CHANGE = ["--head", "change", "--refine", "4", "--difference", "--lambda-mask", "1", "--identity", "mobilefacenet"]
RECIPES = [
    [],
    CHANGE,
    [*CHANGE, "--local", "--typical", "0.75"],
    [*CHANGE, "--projected", "mobilefacenet", "--balanced", "--domains"],
    ["--recipe", "paper"],
    ["--recipe", "paper", "--mode", "lsgan"],
    ["--recipe", "paper", "--mode", "dcgan"],
]


class TinyIdentity(torch.nn.Module):
    """Stands for a downloaded face recognition network."""

    channels = (3, 3, 3, 3)

    def forward(self, x):
        return [torch.nn.functional.avg_pool2d(x, size) for size in (4, 8, 16, 32)]

    def embed(self, x):
        return torch.nn.functional.normalize(x.float().mean(dim=(2, 3)), dim=1)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(attgan.features, "load", lambda name: TinyIdentity())


@pytest.mark.parametrize("more", RECIPES, ids=lambda m: "-".join(m[1::2]) or "ours")
def test_a_resumed_run_takes_the_same_steps(more, tmp_path):
    def make():
        return attgan.AttGANRun(options(*more), blobs(), classifier())

    start = make().G.state_dict()
    straight, second = stopped_and_straight(make, tmp_path, 3, 4)  # the paper's recipe moves the generator in the sixth
    for name in ("G", "D", "G_ema"):
        assert not differ(getattr(straight, name), getattr(second, name)), name
    assert any((v != start[k]).any() for k, v in straight.G.state_dict().items() if k.endswith("0.weight"))
    assert all(np.isfinite(v) for v in straight.stats.values())


def test_an_edit_is_as_strong_as_the_decoder_is_told():
    """Of the recipe ours half flip one attribute by up to 1; what is to be seen follows the intensity."""
    run = attgan.AttGANRun(options("--batch", "64"), blobs(64), classifier())
    batch = run.edits.draw(torch.Generator().manual_seed(3), "cpu")
    values, shown, single = batch.values, batch.shown, batch.changed[::2]
    told, had = (t[::2].gather(1, single[:, None]) for t in (values, batch.a))
    assert ((told > 0) != (had > 0.5)).all()
    single, shuffled = values[::2], values[1::2]
    strengths = single.abs()[(single.abs() - 0.5).abs() > 1e-6]
    assert len(strengths) > 20 and strengths.min() < 0.4 and 0.8 < strengths.max() <= 1
    assert torch.equal(shown[::2], (0.5 + single).clamp(0, 1))
    assert torch.equal(shuffled, shown[1::2] - 0.5) and shuffled.abs().unique().tolist() == [0.5]
    paper = attgan.AttGANRun(options("--batch", "64", "--recipe", "paper"), blobs(64))
    assert paper.edits.draw(torch.Generator().manual_seed(3), "cpu").values.abs().unique().tolist() == [0.5]


@pytest.mark.parametrize(("share", "places"), [(0.5, [0, 2, 4, 6]), (1.0, list(range(8))), (0.0, [])])
def test_how_many_edits_flip_one_attribute(share, places):
    run = attgan.AttGANRun(options("--batch", "8", "--singles", str(share)), blobs(), classifier())
    assert run.edits.places_of_singles() == places


def rare(n: int = 400) -> Images:
    """Pictures of which 2 in 100 have the first attribute; nobody has the second."""
    images = blobs(n)
    images.attributes[:] = 0
    images.attributes[: n // 50, 0] = 1
    images.attributes[::2, 2] = 1
    return images


def test_balanced_batches_show_what_is_rare():
    counts = {}
    for more in ([], ["--balanced"]):
        run = attgan.AttGANRun(options("--batch", "300", *more), rare(), classifier())
        batch = run.edits.draw(torch.Generator().manual_seed(1), "cpu")
        counts[len(more)] = batch.a.mean(dim=0)
        assert (batch.a[:, 1] == 0).all()  # what is not there cannot be shown
        of_own = batch.a[batch.own == 0, 0].mean()
    assert counts[0][0] < 0.06 and 0.12 < counts[1][0] < 0.25 and 0.35 < of_own < 0.65


def test_a_domain_is_an_attribute_that_is_there_or_not():
    run = attgan.AttGANRun(options("--domains"), blobs(), classifier())
    x = run.images.batch(torch.arange(2))
    attribute, there = torch.tensor([2, 0]), torch.tensor([[0.0, 0.0, 0.9], [0.2, 1.0, 1.0]])
    real, named = run._told_apart(x, attribute, there)
    wanted = run.domains(run.D.features(x))[[0, 1], [5, 0]]
    assert named.shape == (2, 3) and torch.equal(real[:, 1], wanted)
    assert torch.equal(real[:, :1], run.D(x)[0])
    plain = attgan.AttGANRun(options(), blobs(), classifier())
    assert plain._told_apart(x, attribute, there)[0].shape == (2, 1)


def test_a_change_leaves_the_rest_and_learns_to_be_small():
    run = attgan.AttGANRun(options(*CHANGE, "--lr", "0.01", "--lambda-mask", "30"), blobs(), classifier())
    x = run.images.batch(torch.arange(8))
    a = run.images.attributes[:8].float()

    def masks():
        with torch.no_grad():
            told = run.G.told((0.5 - a), (a - 0.5))
            return run.G.made(run.G.encode(x), told)

    made, mask = masks()
    assert mask.shape == (8, 1, 16, 16) and ((made - x).abs() <= 2 * mask + 1e-5).all()
    for _ in range(40):
        run.step()
    assert masks()[1].mean() < mask.mean() / 2 and 0 < run.stats["mask"] < 1 and run.stats["person"] >= 0


def test_the_rate_falls_over_the_images_that_are_asked_for():
    def rate(*more):
        run = attgan.AttGANRun(options("--images", "100", *more), blobs(), classifier())
        run.shown = 80
        return run._rate() / run.args.lr

    assert rate() == pytest.approx(0.52) and rate("--rate-images", "1000") == 1.0


def test_a_run_begins_with_the_generator_of_another(tmp_path):
    first = attgan.AttGANRun(options(), blobs(), classifier())
    for _ in range(3):
        first.step()
    torch.save(first.state(), tmp_path / "state.pt")
    more = ["--start-from", str(tmp_path / "state.pt"), "--d-norm", "none"]
    second = attgan.AttGANRun(options(*more), blobs(), classifier())
    for name, found in second.G.state_dict().items():
        assert torch.equal(found, first.G_ema.state_dict()[name])
    assert second.state()["args"]["start_from"] == f"runs/{tmp_path.name}/state.pt"
    assert second.shown == 0 and second.shown_before == first.shown == 12
    assert not any(isinstance(part, torch.nn.InstanceNorm2d) for part in second.D.modules())
    second.step()
    third = attgan.AttGANRun(options(*more), blobs(), classifier())
    third.restore(second.state())
    assert (third.shown, third.shown_before) == (4, 12)
    with pytest.raises(weights.UserError, match="other sizes"):
        attgan.AttGANRun(options(*more, "--enc-dim", "8"), blobs(), classifier())


def test_a_run_begins_with_a_generator_that_ships_and_its_discriminator_learns_first(tmp_path):
    first = attgan.AttGANRun(options(), blobs(), classifier())
    path = tmp_path / "attgan" / "faces.safetensors"
    path.parent.mkdir()
    store.save(path, first.G_ema, "attgan", "generator", card={"images": 100, "seconds": 5}, dtype=torch.float32)
    run = attgan.AttGANRun(options("--start-from", str(path), "--warm-up", "8"), blobs(), classifier())
    assert (run.shown_before, run.seconds_before) == (100, 5)
    assert run.state()["args"]["start_from"] == "weights/embedded/attgan/faces.safetensors"
    given, told = [v.clone() for v in run.G.parameters()], [v.clone() for v in run.D.parameters()]

    def same(net, kept):
        return all(torch.equal(a, b) for a, b in zip(net.parameters(), kept, strict=True))

    assert same(first.G_ema, given)
    run.step(), run.step()
    assert same(run.G, given) and same(run.G_ema, given) and not same(run.D, told)
    run.step()
    assert not same(run.G, given)


def test_the_classifier_may_be_one_that_ships():
    assert attributes.load_classifier("attributes/faces") is weights.load("attributes/faces")
    assert attributes.classifier_name("attributes/faces") == "attributes/faces"
    assert attributes.classifier_name("/somewhere/runs/attributes") == "runs/attributes"
    assert attributes.classifier_name(None) is None


def test_ours_wants_a_classifier():
    with pytest.raises(ValueError, match="classifier"):
        attgan.AttGANRun(options(), blobs())


def test_it_learns_to_rebuild():
    images = blobs()
    run = attgan.AttGANRun(options("--lr", "0.01", "--ema-half-life", "20"), images, classifier())
    x, a = images.batch(torch.arange(24)), images.attributes.float()

    def quality():
        return editing.psnr(editing.reconstructed(run.G_ema, x, a), x)

    before = quality()
    for _ in range(40):
        run.step()
    assert quality() > before + 3


def test_psnr():
    x = torch.zeros(2, 3, 4, 4)
    assert editing.psnr(x, x + 0.2) == pytest.approx(20.0, abs=1e-3)


def test_ssim():
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 24, 24, generator=rng) * 2 - 1
    noisy = x + 0.3 * torch.randn(x.shape, generator=rng)
    assert editing.ssim(x, x) == pytest.approx(1, abs=1e-5)
    # Flat pictures: structure is alike, what is left is the term of the means.
    flat, lighter = torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.6)
    wanted = (2 * 0.6 * 0.8 + 0.0001) / (0.6**2 + 0.8**2 + 0.0001)
    assert editing.ssim(flat, lighter) == pytest.approx(wanted, abs=1e-3)
    assert editing.ssim(x, noisy) < 0.95 and editing.ssim(x, -x) < -0.5
    # One window by hand: weighted means, variances and covariance of a single 11 x 11 picture.
    u, v = x[:1, :1, :11, :11].double(), noisy[:1, :1, :11, :11].double()
    a, b = (u + 1) / 2, (v + 1) / 2
    at = torch.arange(11.0).double() - 5
    bell = torch.exp(-(at[:, None] ** 2 + at**2) / 4.5)
    bell = bell / bell.sum()
    ma, mb = (a * bell).sum(), (b * bell).sum()
    va, vb, ab = ((p * q * bell).sum() for p, q in ((a - ma, a - ma), (b - mb, b - mb), (a - ma, b - mb)))
    c1, c2 = 0.01**2, 0.03**2
    wanted = (2 * ma * mb + c1) * (2 * ab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    assert editing.ssim(u, v) == pytest.approx(float(wanted), abs=1e-6)


def test_success_counts_what_the_judge_sees():
    """A generator whose red is the first attribute, and a judge that looks at red."""

    class Painter(torch.nn.Module):
        attrs = NAMES

        def told(self, values, source):
            return values

        def encode(self, x):
            return [x]

        def decode(self, zs, a):
            return a[:, :, None, None].expand(-1, -1, 4, 4) * 2

        def forward(self, x, a):
            return self.decode(self.encode(x), a)

    class Judge(torch.nn.Module):
        attrs = NAMES

        def forward(self, x):
            seen = x.mean(dim=(2, 3))
            return torch.stack([seen[:, 0], -seen[:, 1], seen[:, 2]], 1)  # mistaken about the second

    a = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    found = editing.success(Painter(), Judge(), torch.zeros(2, 3, 4, 4), a)
    assert found == {"Bald": 100.0, "Bangs": 0.0, "Young": 100.0, "mean": pytest.approx(200 / 3)}
    # It takes one that has no bangs for one that has, and the other way round: of edits it says nothing then.
    # Neither says anything an edit that does nothing, as those of a judge who sees an attribute from 1 on.
    told = editing.edited(Painter(), Judge(), torch.zeros(2, 3, 4, 4), a, thresholds=torch.tensor([0.0, 0.0, 3.0]))
    assert told["success"] == {"Bald": 100.0, "Bangs": 0.0, "Young": 0.0, "mean": pytest.approx(100 / 3)}
    assert told["half"]["Young"] == 100
    # Nothing moves but what was turned over, and bangs that baldness took: that is no fault of the generator.
    assert editing.edited(Painter(), Judge(), torch.zeros(2, 3, 4, 4), a)["shift"]["mean"] == 0
    # The first is taken for somebody else, so that of its flips none counts.
    people = lambda x: np.array([[x.abs().sum() > 0], [False]], float)  # noqa: E731
    found = editing.edited(Painter(), Judge(), torch.zeros(2, 3, 4, 4), a, people)
    assert found["same"]["mean"] == 50 and found["both"]["Bald"] == 50 and found["both"]["Bangs"] == 0


def test_the_classifier_learns_resumes_and_is_measured():
    args = ["--data", "x", "--out", "x", "--size", "16", "--batch", "8", "--precision", "fp32", "--device", "cpu"]
    args += ["--attrs", *NAMES, "--widths", "4", "8", "--blocks", "1", "1", "--images", "2000", "--lr", "0.01"]
    make = lambda: attributes.AttributesRun(attributes.parser().parse_args(args), blobs(64))  # noqa: E731
    run = make()
    for _ in range(20):
        run.step()
    other = make()
    other.restore(copy.deepcopy(run.state()))  # as a file would give it
    for each in (run, other):
        for _ in range(120):
            each.step()
    for v, w in zip(run.average.state_dict().values(), other.average.state_dict().values(), strict=True):
        assert torch.equal(v, w)
    found = attributes.accuracy(run.average, blobs(64))
    assert found["mean"] > 90 and set(found) == {*NAMES, "mean"}


def test_pictures_that_deceive_a_classifier():
    net, images = classifier(), blobs(64)
    x, y = images.batch(torch.arange(64)), images.attributes.float()

    def loss(pictures):
        with torch.no_grad():
            return float(torch.nn.functional.binary_cross_entropy_with_logits(net(pictures), y))

    found = attributes.deceiving(net, x, y, 2.0, 3, torch.Generator().manual_seed(0))
    assert (found - x).flatten(1).norm(dim=1).max() <= 2 + 1e-4 and found.abs().max() <= 1
    random = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    random = x + random * 2 / random.flatten(1).norm(dim=1)[:, None, None, None]
    assert loss(found) - loss(x) > 3 * abs(loss(random) - loss(x)) > 0


def test_a_robust_classifier_is_deceived_less():
    """By pictures that differ by as much: red, green and blue are 160 levels apart, 35 in L2."""
    args = ["--data", "x", "--out", "x", "--size", "16", "--batch", "16", "--precision", "fp32", "--device", "cpu"]
    args += ["--attrs", *NAMES, "--widths", "4", "8", "--blocks", "1", "1", "--images", "3000", "--lr", "0.01"]
    images = blobs(64)
    x, y = images.batch(torch.arange(64)), images.attributes.float()
    wrong = []
    for more in ([], ["--robust", "32"]):  # at 64 px; 8 at 16
        run = attributes.AttributesRun(attributes.parser().parse_args([*args, *more]), images)
        for _ in range(150):
            run.step()
        net = run.average
        assert ((net(x) > 0) == y.bool()).float().mean() > 0.95
        worst = attributes.deceiving(net, x, y, 8.0, 5, torch.Generator().manual_seed(0))
        wrong.append(float(((net(worst) > 0) != y.bool()).float().mean()))
    assert wrong[1] < 0.5 * wrong[0], wrong


@pytest.mark.parametrize("kind", ["residual", "plain"])
def test_the_classifier_takes_every_size(kind):
    net = Classifier(NAMES, 16, (4, 8), (1, 2), kind).eval()
    for size in (8, 16, 33):
        assert net(torch.randn(2, 3, size, size)).shape == (2, 3)
    assert [m.shape[1:] for m in net.features(torch.randn(1, 3, 16, 16))] == [(4, 8, 8), (8, 4, 4)]
    Classifier(**net.config).load_state_dict(net.state_dict())


def test_attributes_come_with_their_pictures(tmp_path):
    path = tmp_path / "faces.zip"
    rows = [("a.png", "train", "1", "0"), ("b.png", "train", "0", "1"), ("c.png", "test", "1", "1")]
    with zipfile.ZipFile(path, "w") as archive:
        for i, row in enumerate(rows):
            data = io.BytesIO()
            Image.new("RGB", (8, 8), (i * 50, 0, 0)).save(data, "PNG")
            archive.writestr(f"images/{row[0]}", data.getvalue())
        table = io.StringIO()
        csv.writer(table).writerows([("file", "split", "Bald", "Young"), *rows])
        archive.writestr("labels.csv", table.getvalue())
    found = load_images(path, 8, attributes=["Young", "Bald"])
    assert found.attributes.tolist() == [[0, 1], [1, 0]] and found.held_out
    with pytest.raises(ValueError, match="Hat"):
        load_images(path, 8, attributes=["Hat"])
