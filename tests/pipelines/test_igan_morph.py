"""Latents of two photographs that go together, and morphs between them."""

import importlib
import threading

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from models.dcgan import DCGAN
from pipelines import progress
from pipelines.igan import projection
from weights.errors import UserError

igan_morph = importlib.import_module("pipelines.igan.morph")  # igan.morph is the function

SIDE = 64


def random_net() -> DCGAN:
    torch.manual_seed(0)
    return DCGAN({"z_dim": 4, "widths": (8, 8, 8, 8), "prior": "uniform"}).eval().requires_grad_(False)


class Moving(DCGAN):
    """Its first two numbers move a picture by up to a tenth of its side; the third adds red, the fourth blue."""

    def __init__(self):
        super().__init__({"z_dim": 4, "widths": (8, 8, 8, 8), "prior": "uniform"})
        rng = np.random.RandomState(3)
        noise = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE, 3)), (0, 0), 5)
        self.drawn = torch.from_numpy(0.5 * noise / np.abs(noise).max()).float().permute(2, 0, 1)[None]

    def forward(self, z, spot=0.0):
        return self.moved(self.drawn + spot, z) + 0.4 * torch.stack([z[:, 2], 0 * z[:, 2], z[:, 3]], 1)[..., None, None]

    @staticmethod
    def moved(pictures, z):
        turned = torch.eye(2, 2).expand(len(z), 2, 2)
        where = torch.cat([turned, -0.2 * z[:, :2, None]], dim=2)
        grid = F.affine_grid(where, (len(z), *pictures.shape[1:]), align_corners=False)
        return F.grid_sample(pictures.expand(len(z), -1, -1, -1), grid, padding_mode="reflection", align_corners=False)


@pytest.fixture(scope="module")
def moving():
    return Moving().eval().requires_grad_(False)


def photo(levels) -> Image.Image:
    """Of ``[1, 3, H, W]`` in [-1, 1]."""
    return Image.fromarray(np.rint((levels[0].permute(1, 2, 0).numpy().clip(-1, 1) + 1) * 127.5).astype(np.uint8))


def textured(width: int, height: int, seed: int = 3) -> Image.Image:
    rng = np.random.RandomState(seed)
    low = cv2.resize(rng.rand(9, 12, 3).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(np.rint(255 * low.clip(0, 1)).astype(np.uint8))


# -- latents that go together


def test_the_second_is_off_as_the_first_is(moving):
    """A first latent that lies beside its photograph's: the second one is beside its own by as much."""
    first, second = torch.tensor([[0.1, 0, 0.2, 0]]), torch.tensor([[0.1, 0, 0.2, 0.5]])
    known = torch.zeros(1, 4)
    a, b = igan_morph.pair(moving, photo(moving(first)), photo(moving(second)), z0=known)
    assert torch.equal(a, known)
    assert (b - a - (second - first)).abs().max() < 0.05, b
    *_, plain = projection.project(moving, photo(moving(second)), steps=100, show_every=0, start=known)
    assert (plain.latent - second).abs().max() < 0.05, "which comes to the photograph itself"


def test_what_the_network_cannot_make_moves_along(moving, monkeypatch):
    """A spot that is on the photographs only: with it where the edit takes it, the motion is found as it is."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    spot = 0.8 * torch.exp(-((x - 30.0) ** 2 + (y - 34.0) ** 2) / 18)
    known, second = torch.zeros(1, 4), torch.tensor([[0.3, -0.2, 0.0, 0.0]])
    images = [photo(moving(z, spot)) for z in (known, second)]
    off = []
    for rounds in (0, igan_morph.ROUNDS):
        monkeypatch.setattr(igan_morph, "ROUNDS", rounds)
        _, b = igan_morph.pair(moving, *images, z0=known)
        off.append(float((b - second).abs().max()))
    assert off[1] < 0.03 and off[1] < 0.5 * off[0], off


def test_unlike_photographs_are_projected_one_by_one():
    net, dark, light = random_net(), Image.new("RGB", (64, 64), (9, 9, 9)), Image.new("RGB", (64, 64), (240, 240, 240))
    latents = igan_morph.pair(net, dark, light, 3)
    for image, latent in zip((dark, light), latents, strict=True):
        *_, last = projection.project(net, image, steps=3, show_every=0)
        assert torch.equal(latent, last.latent)


def test_a_pair_is_the_same_again():
    net, image = random_net(), textured(80, 70)
    other = image.point(lambda v: 0.9 * v)
    found = [igan_morph.pair(net, image, other, 3) for _ in range(2)]
    assert all(torch.equal(p, q) and p.shape == (1, 4) for p, q in zip(*found, strict=True))


@pytest.mark.parametrize(("share", "searches"), [(0.9, 2 + igan_morph.ROUNDS), (0.0, 2)], ids=["alike", "unlike"])
def test_how_far_the_search_is(share, searches):
    """It is said after each step, never beyond what there may be; a watcher that raises ends it there."""
    net, image, heard = random_net(), textured(80, 70), []
    other = image.point(lambda v: share * v)
    with progress.watched(lambda *far: heard.append(far)):
        watched = igan_morph.pair(net, image, other, 3)
    done = [far[0] for far in heard]
    assert done == sorted(done) and len(done) >= searches
    assert {far[1] for far in heard} == {2 * 3 + (searches - 2) * 2} and done[-1] <= heard[-1][1]
    assert all(torch.equal(p, q) for p, q in zip(watched, igan_morph.pair(net, image, other, 3), strict=True))

    class Enough(Exception):
        pass

    def enough(done, total):
        raise Enough

    threads = threading.active_count()
    with pytest.raises(Enough), progress.watched(enough):
        igan_morph.pair(net, image, other, 500)
    assert threading.active_count() <= threads, "nothing goes on searching"


def test_no_pair():
    net, image = random_net(), textured(80, 70)
    for wrong in ({"steps": 0}, {"steps": 501}, {"z0": "text"}, {"image1": None}):
        with pytest.raises(UserError):
            igan_morph.pair(net, **({"image0": image, "image1": image} | wrong))


# -- morphs


def pixels(image) -> np.ndarray:
    return np.asarray(image).astype(np.float32)


def test_a_morph_begins_and_ends_with_the_photographs(moving):
    a, b = textured(150, 110), textured(150, 110, seed=8)
    start, end = torch.zeros(1, 4), torch.tensor([[0.3, 0.2, 0.5, -0.5]])
    frames = list(igan_morph.morph(moving, a, b, 5, z0=start, z1=end))
    assert len(frames) == 5 and frames[0].tobytes() == a.tobytes() and frames[-1].tobytes() == b.tobytes()
    apart = [np.abs(pixels(f) - pixels(a)).mean() for f in frames]
    assert apart == sorted(apart), "from the one to the other"
    other = textured(90, 210, seed=9)
    frames = list(igan_morph.morph(moving, a, other, 3, z0=start, z1=end))
    assert {f.size for f in frames} == {a.size}


@pytest.mark.parametrize("known", [(), ("z0",), ("z1",)])
def test_a_morph_looks_for_what_has_no_latent(monkeypatch, known):
    net, a, b, asked = random_net(), textured(64, 64), textured(64, 64, 8), []
    pair = igan_morph.pair
    monkeypatch.setattr(igan_morph, "pair", lambda *given, **more: asked.append((given, more)) or pair(*given, **more))
    frames = list(igan_morph.morph(net, a, b, 3, steps=2, **dict.fromkeys(known, 5)))
    assert len(frames) == 3
    [((_, first, second, steps), more)] = asked
    wanted = (b, a) if known == ("z1",) else (a, b)
    assert steps == 2 and [first.tobytes(), second.tobytes()] == [im.tobytes() for im in wanted]
    assert (more["z0"] is not None) == bool(known)


def test_no_morph(moving):
    image = Image.new("RGB", (100, 80))
    for wrong in ({"frames": 1}, {"steps": 0}, {"z0": "text"}, {"smoothness": 99}):
        with pytest.raises(UserError):
            igan_morph.morph(moving, image, image, **wrong)
