"""Edit transfer: known warps and colours found again, the photograph's detail kept, and nothing changed elsewhere."""

import importlib
import time

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from benchmarks.measure import PeakMemory
from models.dcgan import DCGAN
from pipelines import faces
from pipelines.faces import geometry
from pipelines.igan import flow as igan_flow
from pipelines.igan.transfer import Change
from weights.errors import UserError

igan_transfer = importlib.import_module("pipelines.igan.transfer")  # igan.transfer is the function


def smooth_noise(rng, size: int, width: float, channels: int = 3) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(size=(size, size, channels)).astype(np.float32), (0, 0), width)
    return noise / noise.std()


class Rendered:
    """A picture that warps and changes colour, exact at every t and every size."""

    def __init__(self, seed: int = 0, size: int = 256, move: float = 0.05, tint: float = 1.0):
        rng = np.random.RandomState(seed)
        coarse, fine = smooth_noise(rng, size, size / 24), smooth_noise(rng, size, size / 170)
        self.picture = np.clip(0.5 + 0.13 * coarse + 0.06 * fine, 0.05, 0.95).astype(np.float32)
        bump = np.sin(np.pi * (np.arange(size) + 0.5) / size)
        flow = smooth_noise(rng, size, 0.18 * size, 2) * (bump[:, None] * bump)[..., None]
        self.flow = flow.astype(np.float32) * np.float32(move * size / np.linalg.norm(flow, axis=2).max())
        added = np.array([[-0.2, 0.1, 0, 0.06], [0.05, -0.1, 0.05, -0.04], [0, -0.1, 0.15, 0.02]], np.float32)
        self.added = tint * added

    def at(self, t: float) -> np.ndarray:
        y, x = np.mgrid[: len(self.flow), : len(self.flow)].astype(np.float32)
        x, y = x + np.float32(t) * self.flow[..., 0], y + np.float32(t) * self.flow[..., 1]
        moved = cv2.remap(self.picture, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
        return np.clip(moved + t * (moved @ self.added[:, :3].T + self.added[:, 3]), 0, 1).astype(np.float32)

    def small(self, t: float, size: int = 64) -> np.ndarray:
        return cv2.resize(self.at(t), (size, size), interpolation=cv2.INTER_AREA)


class Stand(DCGAN):
    """A generator whose first latent number says how far the change has gone; -1 is not at all."""

    def __init__(self, draw):
        super().__init__({"z_dim": 4, "widths": (8, 8, 8, 8), "prior": "uniform"})
        self.draw, self.calls = draw, 0

    def forward(self, z):
        self.calls += len(z)
        pictures = np.stack([self.draw((float(a) + 1) / 2) for a in z[:, 0]])
        return torch.from_numpy(pictures * 2 - 1).permute(0, 3, 1, 2)


START, END = torch.tensor([[-1.0, 0, 0, 0]]), torch.tensor([[1.0, 0, 0, 0]])


def pixels(image) -> np.ndarray:
    return np.asarray(image).astype(np.float32)


def picture(levels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(levels * 255).astype(np.uint8))


def textured(width: int, height: int, seed: int = 3) -> Image.Image:
    """A photograph with detail at every pixel."""
    rng = np.random.RandomState(seed)
    low = cv2.resize(rng.rand(9, 12, 3).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), 1.0)
    return picture(np.clip(0.5 + 0.35 * (low - 0.5) + 0.1 * fine / fine.std(), 0, 1))


@pytest.fixture(scope="module")
def rendered():
    return Rendered()


@pytest.fixture(scope="module")
def stand(rendered):
    return Stand(rendered.small).eval()


@pytest.fixture(scope="module")
def found(stand):
    return igan_transfer.change(stand, START, END)


# -- what is found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_warp_and_colours_are_found(seed):
    drawn = Rendered(seed)
    *_, last = igan_transfer.transfer(Stand(drawn.small).eval(), picture(drawn.picture), START, END)
    truth = drawn.at(1) * 255
    error = np.abs(pixels(last) - truth).mean()
    untouched = np.abs(drawn.picture * 255 - truth).mean()
    plain = np.abs(cv2.resize(drawn.small(1), (256, 256), interpolation=cv2.INTER_CUBIC) * 255 - truth).mean()
    assert untouched > 8 and error < 3, (error, untouched)
    assert error < 0.2 * untouched and error < plain, (error, untouched, plain)


def test_motion_alone_and_colours_alone():
    """In shares of what is there to be found; neither is mistaken for the other."""
    moved = Rendered(5, tint=0)
    change = igan_transfer.change(Stand(moved.small).eval(), START, END)
    flow = cv2.resize(moved.flow, (64, 64), interpolation=cv2.INTER_AREA) / 256
    assert np.linalg.norm(change.flow[-1] - flow, axis=2).mean() < 0.25 * np.linalg.norm(flow, axis=2).mean()
    tinted = Rendered(5, move=0)
    change = igan_transfer.change(Stand(tinted.small).eval(), START, END)
    assert np.linalg.norm(change.flow[-1], axis=2).mean() < 0.001
    assert np.abs(change.colour[-1] - np.eye(3, 4) - tinted.added).mean() < 0.02


def test_what_a_change_does_to_any_picture_of_any_size():
    """A spot is where it was moved to, in the colours of there; the difference of two pictures has no constant part."""
    flow = np.zeros((64, 64, 2), np.float32)
    flow[..., 0] = -8 / 64  # what is seen was 8 of 64 pixels to the left
    colour = np.zeros((64, 64, 3, 4), np.float32)
    colour[..., 0, 0], colour[..., 1, 3] = 0.5, 0.25  # red halved; green a quarter whatever it was, no blue
    fields = igan_flow.Fields(flow, colour)
    for size in (64, 128):
        spot = np.zeros((size, size, 3), np.float32)
        spot[size // 4 : size // 2, size // 4 : size // 2] = 1
        found = igan_flow.edited(fields, spot)
        wanted = np.roll(spot, size // 8, axis=1) * (0.5, 0, 0) + (0, 0.25, 0)
        assert np.abs(found - wanted).max() < 1e-5
        assert np.abs(found - igan_flow.edited(fields, 0 * spot))[..., 1:].max() < 1e-6


def test_halfway_is_half_the_change(rendered, found):
    half = igan_transfer.apply(found, picture(rendered.picture), 0.5)
    assert np.abs(pixels(half) - rendered.at(0.5) * 255).mean() < 2


def square(t: float, size: int = 64) -> np.ndarray:
    """A square of one colour that moves by 14 of 64 pixels over a ground of another."""
    big = np.empty((size * 4, size * 4, 3), np.float32)
    big[:] = (0.2, 0.5, 0.3)
    left = round((14 + 14 * t) * 4 * size / 64)
    big[20 * size // 16 : 44 * size // 16, left : left + 24 * size // 16] = (0.9, 0.3, 0.2)
    return cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA)


def test_a_square_over_a_ground_does_not_smear():
    net = Stand(square).eval()
    *_, last = igan_transfer.transfer(net, picture(square(0, 256)), START, END)
    result, truth = pixels(last) / 255, square(1, 256)
    ground, colour = square(0, 256)[2, 2], np.array([0.9, 0.3, 0.2])
    # Distance from the line between the two colours, and how much of the picture is neither.
    along = colour - ground
    part = ((result - ground) @ along) / (along @ along)
    beside = np.linalg.norm(result - ground - part[..., None] * along, axis=2)
    assert beside.max() < 0.12 and part.min() > -0.35 and part.max() < 1.3
    mixed = (part > 0.25) & (part < 0.75)
    area = (np.abs(truth - ground).max(axis=2) > 0.2).mean()
    beyond = (part < -0.1) | (part > 1.1)
    assert mixed.mean() < 0.15 * area and beyond.mean() < 0.15 * area, (mixed.mean(), beyond.mean(), area)
    assert np.abs(result - truth).mean() < 0.25 * np.abs(square(0, 256) - truth).mean()


# -- the photograph


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("size", [(301, 203), (97, 160)])
def test_sizes_modes_and_the_first_frame(stand, mode, size):
    image = textured(*size).convert(mode)
    frames = list(igan_transfer.transfer(stand, image, START, END, frames=3))
    assert len(frames) == 3 and all(f.size == size and f.mode == "RGB" for f in frames)
    assert np.array_equal(pixels(frames[0]), pixels(image.convert("RGB")))
    assert np.abs(pixels(frames[2]) - pixels(frames[0])).mean() > 1
    assert not np.array_equal(pixels(frames[1]), pixels(frames[2]))


def energy(image: Image.Image, box) -> float:
    """Of what a blur of 2 px takes away."""
    grey = image.crop(box).convert("L")
    return float((pixels(grey) - pixels(grey.filter(ImageFilter.GaussianBlur(2)))).var())


def test_detail_is_kept_inside_and_untouched_outside(stand):
    drawn = Rendered(0, tint=0)
    image = textured(480, 320)
    *_, last = igan_transfer.transfer(Stand(drawn.small).eval(), image, START, END, frames=2)
    middle, outside = (120, 40, 360, 280), (0, 0, 80, 320)
    assert 0.85 < energy(last, middle) / energy(image, middle) < 1.15
    assert energy(last, outside) == energy(image, outside)
    # A generated picture of 64 px, enlarged, has next to nothing of it.
    plain = picture(drawn.small(1)).resize((320, 320), Image.Resampling.BICUBIC)
    assert energy(plain, (40, 40, 280, 280)) < 0.1 * energy(image, middle)


def test_nothing_changes_outside_the_box_and_there_is_no_seam(found):
    flat = Image.new("RGB", (300, 240), (120, 130, 110))
    box = (60, 40, 220, 200)
    result = pixels(igan_transfer.apply(found, flat, box=box))
    change = np.abs(result - pixels(flat)).max(axis=2)
    inside = np.zeros_like(change, bool)
    inside[40:200, 60:220] = True
    assert change[~inside].max() == 0 and change[inside].max() > 5
    step = max(np.abs(np.diff(result, axis=axis)).max() for axis in (0, 1))
    assert step <= 3, "in levels, from a pixel to the next"


def test_a_whole_square_is_changed_up_to_its_edge(rendered, found):
    result = igan_transfer.apply(found, Image.new("RGB", (200, 200), (128, 128, 128)))
    expected = 128 + 128 * rendered.added[:, :3].sum(axis=1) + 255 * rendered.added[:, 3]
    assert np.abs(pixels(result)[100, [0, 199]] - expected).max() < 12


def test_a_turned_face_is_changed_in_its_own_frame(found):
    image = textured(320, 260)
    size, side = 128, 120
    turned = geometry.similarity(size / side, 0.4, (63.5, 63.5), (150.0, 130.0))
    aligned = faces.AlignedFace(Image.new("RGB", (size, size)), turned, "celeba", None, image.size)
    result = pixels(igan_transfer.apply(found, image, aligned=aligned))
    change = np.abs(result - pixels(image)).max(axis=2)
    y, x = np.nonzero(change)
    at = geometry.apply(turned, np.stack([x, y], axis=-1))
    assert len(at) > 5000 and at.min() > -0.51 and at.max() < size - 0.49


def test_shares_of_motion_and_colours(found):
    image = textured(200, 200)
    assert igan_transfer.apply(found, image, motion=0, colour=0).tobytes() == image.tobytes()
    flat = Image.new("RGB", (200, 200), (90, 120, 150))
    assert igan_transfer.apply(found, flat, colour=0).tobytes() == flat.tobytes(), "a flat picture has nothing to move"


def test_time_and_memory_of_a_large_photograph(found):
    image = textured(2000, 1500)
    igan_transfer.apply(found, image.resize((200, 150)))
    began = time.process_time()
    with PeakMemory() as peak:
        result = igan_transfer.apply(found, image)
    assert result.size == (2000, 1500)
    assert time.process_time() - began < 20
    assert peak.bytes < 400 * 2**20


# -- the iterators


def test_the_same_again(stand, rendered):
    image = picture(rendered.picture)
    first, second = (list(igan_transfer.transfer(stand, image, START, END, frames=4)) for _ in range(2))
    assert [f.tobytes() for f in first] == [f.tobytes() for f in second]


def test_frames_are_made_when_asked_for(rendered):
    net = Stand(rendered.small).eval()
    frames = igan_transfer.transfer(net, picture(rendered.picture), START, END, frames=16)
    assert net.calls == 0
    next(frames), next(frames)
    assert net.calls == 2
    frames.close()
    assert net.calls == 2


def test_a_slider_needs_no_generator(stand, rendered, found):
    before = stand.calls
    image = picture(rendered.picture)
    assert igan_transfer.apply(found, image, 0).tobytes() == image.tobytes()
    igan_transfer.apply(found, image, 0.3)
    assert stand.calls == before
    *_, last = igan_transfer.transfer(stand, image, START, END)
    assert igan_transfer.apply(found, image, 1).tobytes() == last.tobytes()


# -- what is refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 1},
        {"frames": 65},
        {"frames": 2.5},
        {"smoothness": 0},
        {"smoothness": float("nan")},
        {"colour_smoothness": 11},
        {"motion": 1.1},
        {"colour": -1},
        {"box": (0, 0, 50, 20)},
        {"box": (0, 0, 8, 8)},
        {"box": (20, 20, 200, 200)},
        {"box": "all"},
        {"box": (1, 2, 3)},
        {"aligned": "face"},
        {"z0": torch.zeros(1, 7)},
        {"z1": "text"},
        {"z1": None},
        {"image": None},
        {"image": Image.new("RGB", (9, 40))},
    ],
)
def test_what_cannot_be_transferred(stand, wrong):
    given = {"image": Image.new("RGB", (100, 80)), "z0": START, "z1": END} | wrong
    with pytest.raises(UserError) as error:
        igan_transfer.transfer(stand, **given)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_other_refusals(stand, found):
    image = Image.new("RGB", (100, 80))
    for t in (-0.1, 1.1, "x", None):
        with pytest.raises(UserError):
            igan_transfer.apply(found, image, t)
    with pytest.raises(UserError):
        igan_transfer.apply("change", image)
    with pytest.raises(ValueError):
        Change(np.zeros((1, 64, 64, 2)), np.zeros((1, 64, 64, 3, 4)))


def test_the_motion_solves_its_equations(monkeypatch):
    """Against a direct solver: at once where the structure tensor is even, and soon where it is not."""
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    size, alpha, beta = 24, 0.01, 0.3
    line = sparse.diags([np.r_[1, np.full(size - 2, 2.0), 1], -np.ones(size - 1), -np.ones(size - 1)], [0, 1, -1])
    laplacian = sparse.kron(line, sparse.eye(size)) + sparse.kron(sparse.eye(size), line)
    rough = alpha * laplacian + beta * laplacian @ laplacian
    rng = np.random.default_rng(0)
    right = rng.normal(size=(size, size, 2))
    gradients = rng.normal(size=(2, size, size))
    uneven = [0.1 + gradients[0] ** 2, gradients[0] * gradients[1], 0.1 + gradients[1] ** 2]
    for steps, tensor in ((1, [np.full((size, size), v) for v in (0.5, 0.0, 0.5)]), (40, uneven)):
        xx, xy, yy = (sparse.diags(part.ravel()) for part in tensor)
        whole = sparse.bmat([[xx + rough, xy], [xy, yy + rough]]).tocsc()
        wanted = spsolve(whole, right.transpose(2, 0, 1).ravel()).reshape(2, size, size).transpose(1, 2, 0)
        monkeypatch.setattr(igan_flow, "SOLVER", steps)
        found = igan_flow._solved(tensor, alpha, beta, right)
        assert np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max()
