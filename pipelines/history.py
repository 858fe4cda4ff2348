"""From ProGAN over StyleGAN to StyleGAN2, measured on networks of one size trained for this comparison.

Four networks of 32 px saw the same faces for the same number of images; each differs from ``history/skip`` (StyleGAN2
without path length regularisation) in one thing:

* ``history/adain``: instance normalisation and a style after each convolution, as in StyleGAN, for demodulation.
* ``history/growing``: one resolution at a time, each faded in, as in ProGAN and StyleGAN, for skip connections.
* ``history/path-length``: path length regularisation added.

Pictures and maps are made when asked for; the numbers over many pictures, and those that need photographs, were
measured when the networks were exported and stand in their files (``training.cards``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from PIL import Image

import weights
from weights.errors import UserError

from . import stylegan2
from .images import heat_map, to_pil
from .registry import recipe

NETWORKS = ("adain", "growing", "skip", "path-length")


@dataclass(frozen=True)
class FeatureMagnitude:
    """One block's feature map of one picture: its magnitude (norm over channels) as a heat map.

    ``peak_to_mean`` is the strongest place over the mean: droplets stand out in it (Karras et al. 2020, section 2).
    """

    network: str
    resolution: int
    image: Image.Image
    peak_to_mean: float


@dataclass(frozen=True)
class Comparison:
    """A table of numbers: ``rows`` are (label, one value a column); NaN where a row has no such number."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]


def networks() -> dict[str, torch.nn.Module]:
    return {name: weights.load(f"history/{name}") for name in NETWORKS}


def card(name: str) -> dict:
    """What was measured of a history network when it was exported."""
    found = weights.card(f"history/{name}")
    if not found.get("path_length"):
        raise UserError(f"The checkpoint history/{name} carries no measurements; run make train-history.")
    return found


@torch.no_grad()
def samples(seed: int = 1, count: int = 8, truncation_psi: float = 1.0) -> dict[str, list[Image.Image]]:
    """The same seeds through the four networks (they are different networks: only the kind of picture compares)."""
    first = stylegan2.parse_seeds(seed, 1)[0]
    return {
        name: stylegan2.sample(net, list(range(first, first + count)), truncation_psi)
        for name, net in networks().items()
    }


@torch.no_grad()
def droplet(seed: int = 1) -> list[FeatureMagnitude]:
    """Magnitude of every block's features for one seed, with AdaIN and with demodulation."""
    seeds = stylegan2.parse_seeds(seed, 1)
    out = []
    for name in ("adain", "skip"):
        net = weights.load(f"history/{name}")
        ws = stylegan2.latent(net, seeds[0], 1.0)
        _, maps = net.synthesis(ws, noise_mode="const", return_features=net.synthesis.block_resolutions)
        for res, features in maps.items():
            magnitude = features[0].float().norm(dim=0)
            ratio = float(magnitude.max() / magnitude.mean())
            out.append(FeatureMagnitude(name, res, heat_map(magnitude, 160), ratio))
    return out


@dataclass(frozen=True)
class History:
    """Everything that cell 7 shows; see the functions of the same names."""

    samples: dict[str, list[Image.Image]]
    magnitudes: list[FeatureMagnitude]
    peaks: Comparison
    contributions: list[tuple[int, Image.Image, float]]
    growing: Comparison
    path_length: Comparison


def fingerprint() -> str:
    """One hash for the four networks, for recipes."""
    hashes = [net.info.sha256 for _name, net in sorted(networks().items())]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


@recipe("history", checkpoint="history", fingerprint=fingerprint)
def compare(seed: int = 1) -> History:
    """Pictures and maps of one seed beside the measurements."""
    return History(
        samples(seed), droplet(seed), droplet_numbers(), contributions(seed), growing_numbers(), path_length_numbers()
    )


def droplet_numbers() -> Comparison:
    """Peak over mean of the feature magnitude a block, mean over 64 pictures."""
    cards = {name: card(name)["peak_to_mean"] for name in ("adain", "skip")}
    columns = tuple(f"{res} px" for res in cards["skip"])
    return Comparison(columns, tuple((name, tuple(values.values())) for name, values in cards.items()))


@torch.no_grad()
def contributions(seed: int = 1) -> list[tuple[int, Image.Image, float]]:
    """What each resolution of the skip generator adds to one picture: (px, picture around grey, share of variation).

    Karras et al. 2020, figure 8: the share moves to the fine resolutions by itself, without a schedule.
    """
    net = weights.load("history/skip")
    parts = net.synthesis.contributions(stylegan2.latent(net, stylegan2.parse_seeds(seed, 1)[0], 1.0))
    spread = {res: float(x.std()) for res, x in parts.items()}
    total = sum(spread.values())
    shown = {res: x / max(float(x.abs().max()), 1e-6) for res, x in parts.items()}
    size = net.img_resolution * 4
    return [
        (res, to_pil(x)[0].resize((size, size), Image.Resampling.NEAREST), spread[res] / total)
        for res, x in shown.items()
    ]


def growing_numbers() -> Comparison:
    """Growing against skip: distance to photographs, and detail that sticks to places.

    The row "photographs" holds what test photographs themselves score.
    """
    rows = [(name, (card(name)["swd"]["mean"], card(name)["position_bias"] * 100)) for name in ("growing", "skip")]
    c = card("skip")
    rows.append(("photographs", (c["swd_of_photographs"]["mean"], c["position_bias_of_photographs"] * 100)))
    return Comparison(("SWD × 10³", "detail fixed to places, %"), tuple(rows))


def path_length_numbers() -> Comparison:
    """Path length in w without and with its regularisation: mean, median, and unevenness (deviation over mean)."""
    rows = []
    for name in ("skip", "path-length"):
        c = card(name)
        p = c["path_length"]
        rows.append((name, (p["mean"], p["median"], p["unevenness"], c["swd"]["mean"])))
    return Comparison(("mean", "median", "unevenness", "SWD × 10³"), tuple(rows))
