"""How near an edit that is carried over to a photograph comes to what the photograph would be, had it been edited.

A test photograph (128 px) with a known smooth warp and a known change of colours is the truth. The generator (64 px)
sees neither: it gets two latents. ``photograph``: those of the photograph and of the truth, as ``igan.pair`` and so a
morph has them; the generated picture beside it is that of the truth's plain projection, nearer to it than the pair's.
``painted``: as a visitor works, who changes what the generator shows: the photograph's latent, and the nearest one to
the generated picture with that warp and those colours. Three results are compared with the truth: the edit carried
over, the generated picture alone, and the photograph as it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from . import measure

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
SETS = {  # what a set of photographs is projected with, the first one that is there
    "shoes": ("igan/shoes",),
    "faces": ("igan/faces",),
    "flowers": ("igan/flowers", "stylegan2/flowers"),
    "cats": ("stylegan2/cats",),
}
PATHS = ("photograph", "painted")
SIDE = 128
FARTHEST = (0.02, 0.05)  # of the side: the longest motion of a warp lies between
WANTED = 2.0  # times the error of the generated picture
USUAL = 20  # photographs a set, where nobody says how many
STEPS = 100  # of a projection, and of the search for the painted picture


@dataclass(frozen=True)
class Edit:
    """``flow [S, S, 2]`` in pixels and ``colour [S, S, 3, 4]``, what is added to levels from 0 to 1."""

    flow: np.ndarray
    colour: np.ndarray

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """``picture [S, S, 3]`` of levels from 0 to 1, edited."""
        import cv2

        y, x = np.mgrid[: len(picture), : len(picture)].astype(np.float32)
        x, y = x + self.flow[..., 0], y + self.flow[..., 1]
        moved = cv2.remap(picture.astype(np.float32), x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
        change = (self.colour[..., :3] @ moved[..., None])[..., 0] + self.colour[..., 3]
        return np.clip(moved + change, 0, 1).astype(np.float32)


def edit(seed: int, side: int = SIDE) -> Edit:
    """A smooth warp that ends at the border, and gains and saturation that are strongest somewhere; white stays so."""
    import cv2

    rng = np.random.RandomState(seed)
    flow = cv2.GaussianBlur(rng.normal(size=(side, side, 2)), (0, 0), 0.16 * side, borderType=cv2.BORDER_REFLECT)
    edge = np.sin(np.pi * (np.arange(side) + 0.5) / side)
    flow *= (edge[:, None] * edge)[..., None]
    flow *= rng.uniform(*FARTHEST) * side / np.linalg.norm(flow, axis=2).max()
    saturation = np.exp(rng.uniform(-0.5, 0.4))
    gains = np.diag(np.exp(rng.uniform(-0.3, 0.3, 3)))
    linear = gains @ (saturation * np.eye(3) + (1 - saturation) / 3) - np.eye(3)
    change = np.concatenate([linear, -linear.sum(axis=1, keepdims=True)], axis=1)
    middle = rng.uniform(0.25, 0.75, 2) * side
    y, x = np.mgrid[:side, :side]
    share = 0.3 + 0.7 * np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (2 * (0.35 * side) ** 2))
    return Edit(flow.astype(np.float32), (share[..., None, None] * change).astype(np.float32))


def errors(levels: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean square and mean absolute difference, in [-1, 1]."""
    apart = 2 * (np.asarray(levels, np.float64) - truth)
    return float((apart**2).mean()), float(np.abs(apart).mean())


def picture(levels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8))


def projected(net, image: Image.Image, start=None):
    from pipelines.igan import projection

    *_, last = projection.project(net, image, steps=STEPS, show_every=0, start=start)
    return last.latent


def nearest(space, start, wanted: np.ndarray):
    """The latent, from ``start`` on, whose picture is nearest to ``wanted [R, R, 3]``, levels from 0 to 1."""
    target = torch.from_numpy(wanted * 2 - 1).permute(2, 0, 1)[None].to(space.device)
    free = space.free(space.latent(start)).clone().requires_grad_(True)
    search = torch.optim.LBFGS([free], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss():
        search.zero_grad()
        value = (space.images(space.bind(free)) - target).square().mean()
        value.backward()
        return value

    search.step(loss)
    return space.bind(free.detach())


def generated(space, latent, size: int = SIDE) -> np.ndarray:
    """The generator's picture ``[size, size, 3]``, enlarged, levels from 0 to 1."""
    import cv2

    levels = (space.pictures(space.latent(latent))[0].permute(1, 2, 0).numpy() + 1) / 2
    return np.clip(cv2.resize(levels, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def measured(net, photo: np.ndarray, seed: int, frames: int = 16) -> dict[str, dict[str, tuple[float, float]]]:
    """Errors of ``transferred``, ``generated`` and ``photograph`` on each path, of a photograph ``[S, S, 3]`` uint8."""
    import cv2

    from pipelines import igan
    from pipelines.igan.latent_space import Space

    space, levels, change = Space(net), photo.astype(np.float32) / 255, edit(seed, len(photo))
    truth, image = change(levels), Image.fromarray(photo)
    start = projected(net, image)
    small = (net.img_resolution,) * 2
    wanted = cv2.resize(change(generated(space, start, len(photo))), small, interpolation=cv2.INTER_AREA)
    ends = {
        "photograph": igan.pair(net, image, picture(truth), STEPS, z0=start)[1],
        "painted": nearest(space, start, wanted),
    }
    # A generated picture has no photograph's error to keep, so the pair's would be too easy to beat.
    alone = {**ends, "photograph": projected(net, picture(truth), start)}
    found = {}
    for path, end in ends.items():
        carried = igan.apply(igan.change(net, start, end, frames), image)
        results = {
            "transferred": np.asarray(carried, np.float32) / 255,
            "generated": generated(space, alone[path], len(photo)),
            "photograph": levels,
        }
        found[path] = {name: errors(result, truth) for name, result in results.items()}
    return found


def network(names: tuple[str, ...]):
    """The first of these networks that is there, with its name, or None."""
    import weights
    from weights.errors import UserError

    for name in names:
        try:
            return name, weights.load(name)
        except (UserError, FileNotFoundError):
            continue
    return None


def rows(name: str, found: list[dict]) -> list[list[str]]:
    """A line of the table for each path."""
    made = []
    for path in PATHS:
        mean = {k: np.mean([one[path][k] for one in found], axis=0) for k in found[0][path]}
        ratio = mean["generated"] / mean["transferred"]
        cells = [f"{mean[k][0]:.4f} / {mean[k][1]:.3f}" for k in ("transferred", "generated", "photograph")]
        better = np.mean([one[path]["transferred"][0] < one[path]["generated"][0] for one in found])
        made.append([f"{name}, {path}", *cells, f"{ratio[0]:.2f}x / {ratio[1]:.2f}x", f"{better:.0%}"])
    return made


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    if device == "cuda":
        print("Edits are carried over on the processor; nothing was measured on CUDA.")
        return 0
    import cv2

    from training.data import load_images

    cv2.setNumThreads(1)
    lines, began = [], time.perf_counter()
    for set_name, names in SETS.items():
        photos, loaded = DATA / f"{set_name}_128.zip", network(names)
        if not photos.is_file() or loaded is None:
            what = "photographs" if loaded else "network"
            print(f"{set_name}: the {what} are not here, so it was not measured.".replace("network are", "network is"))
            continue
        pixels = load_images(photos, SIDE, "test").pixels.permute(0, 2, 3, 1).numpy()
        number = min(count or (4 if quick else USUAL), len(pixels))
        indices = np.linspace(0, len(pixels) - 1, number).round().astype(int).tolist()
        lines += rows(loaded[0], [measured(loaded[1], pixels[i], i) for i in indices])
    if not lines:
        print("Edit transfer was not measured.")
        return 0
    print(f"\n## Edit transfer: a known warp and change of colours, {SIDE} px photographs\n")
    header = ["mean L2 / L1 against the truth", "carried over", "generated alone", "untouched", "times lower", "better"]
    print(measure.table(header, lines))
    print(f"\nErrors are in [-1, 1]; better: photographs with a lower L2. {time.perf_counter() - began:.0f} s in all.")
    missed = [line[0] for line in lines if float(line[4].split("x")[0]) < WANTED]
    for name in missed:
        print(f"MISSED {name}: {WANTED:g}x lower (L2) is wanted")
    return int(bool(missed))
