"""Latents of one picture: checked, as text that recipes carry, and as files.

w+ is ``[1, num_ws, w_dim]``. Text and files are exact to the last bit.
"""

from __future__ import annotations

import base64
import json
import os
import weakref
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import device_of
from models.stylegan2 import Generator
from weights import container
from weights.atomic import replacing
from weights.errors import RefusedFile, UserError, shown

MAX_LATENT_BYTES = 2**22
MAX_TEXT = 2**20
FORMAT = 1
KEY = "ganbook_latent"


def w_plus(net: Generator, w: Tensor) -> Tensor:
    """w+ ``[1, num_ws, w_dim]`` float32 on the network's device, from w or w+; a copy. Raises UserError."""
    if not isinstance(net, Generator):
        raise UserError("This needs a StyleGAN2 network; load one first.")
    if not isinstance(w, Tensor) or not w.is_floating_point():
        raise UserError("A drag starts from a latent w or w+; take one from stylegan2.latent.")
    with torch.inference_mode(False):
        w = w.detach().to(device=device_of(net), dtype=torch.float32, copy=True)
    if w.shape in ((net.w_dim,), (1, net.w_dim)):
        w = w.reshape(1, 1, net.w_dim).repeat(1, net.num_ws, 1)
    if w.shape != (1, net.num_ws, net.w_dim):
        raise UserError(
            f"This network takes one latent w+ of {net.num_ws} x {net.w_dim} numbers; this one has another size."
        )
    if not bool(torch.isfinite(w).all()) or float(w.abs().max()) > 1e4:
        raise UserError("This latent contains NaN or very large values; start from another one.")
    return w


@torch.no_grad()
def spread(net: Generator) -> float:
    """Deviation of the entries of w, over 256 seeded latents: the unit in which steps are measured."""
    device = device_of(net)
    z = torch.randn(256, net.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
    c = torch.eye(net.c_dim, device=device)[torch.arange(256) % net.c_dim] if net.c_dim else None
    return float(net.mapping(z, c)[:, 0].std(dim=0).mean())


SAMPLES = 1024  # of w, whose spread is measured
LEAST = 0.02  # of the mean variance: directions in which w hardly varies count as if they varied by that much


@dataclass(frozen=True)
class PrincipalAxes:
    """How the latents w that a mapping network makes are spread (as GANSpace, Härkönen et al. 2020, finds them).

    ``mean`` [w_dim], ``axes`` [w_dim, w_dim] (columns) and ``deviations`` [w_dim] along them, float64 on the CPU.
    ``usual``: the distance from the mean within which 99 % lie, in deviations (root of the mean square over the axes).
    """

    mean: Tensor
    axes: Tensor
    deviations: Tensor
    usual: float

    def apart(self, w: Tensor) -> Tensor:
        """``[N]`` distances of ``w [N, w_dim]`` from the mean in deviations (Mahalanobis)."""
        scale = self.deviations.reciprocal().nan_to_num(posinf=0.0)
        return ((w.double().cpu() - self.mean) @ self.axes * scale).square().mean(dim=1).sqrt()

    def steps(self) -> Tensor:
        """``[w_dim, w_dim]``: coordinates ``[..., w_dim]`` times this are a change of w.

        A coordinate is that of an axis, in its deviations over their root mean square: of random coordinates the change
        is as large as they are, in the mean.
        """
        mean = self.deviations.square().mean().sqrt()
        return (self.axes * self.deviations / mean.clamp_min(1e-12)).T.float()


_principal: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@torch.no_grad()
def principal_axes(net: Generator) -> PrincipalAxes:
    """Of 1024 seeded latents; found once for a network."""
    if net not in _principal:
        device = device_of(net)
        z = torch.randn(SAMPLES, net.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
        c = torch.eye(net.c_dim, device=device)[torch.arange(SAMPLES) % net.c_dim] if net.c_dim else None
        samples = net.mapping(z, c)[:, 0].double().cpu()
        mean = samples.mean(dim=0)
        variances, axes = torch.linalg.eigh(torch.cov((samples - mean).T))
        deviations = (variances.clamp_min(0) + LEAST * variances.mean()).sqrt()
        found = PrincipalAxes(mean, axes, deviations, usual=1.0)
        usual = float(found.apart(samples).quantile(0.99).clamp_min(1e-12))
        _principal[net] = replace(found, usual=usual)
    return _principal[net]


def away(net: Generator, w: Tensor) -> float:
    """How far w+ ``[1, num_ws, w_dim]`` lies from the latents that the mapping network makes.

    Rows are measured in deviations of w along its principal axes; the farthest one counts, in units of the distance
    within which 99 % of 1024 seeded latents lie: 1 or less is usual for a picture of the network.
    """
    principal = principal_axes(net)
    return float(principal.apart(w[0]).max()) / principal.usual


# -- as text ------------------------------------------------------------------------------------------------------


def encode_latent(latent: Tensor, net: Generator | None = None) -> str:
    """A latent ``[1, ...]`` as text: its sizes, a colon, and base64 of its little-endian float32 numbers.

    Args:
        net: a StyleGAN2 whose w+ it has to be; any latent when not given.

    Raises UserError where it is none of that network.
    """
    if net is not None:
        _fitting(latent, net)
    values = latent.detach().float().cpu().contiguous().numpy().astype("<f4")
    sizes = "x".join(map(str, values.shape[1:]))
    return f"{sizes}:{base64.b64encode(values.tobytes()).decode()}"


def decode_latent(text: str, net: Generator | None = None) -> Tensor:
    """The latent ``[1, ...]`` of ``encode_latent``, on the CPU.

    Args:
        net: a StyleGAN2 whose w+ it has to be. Text without sizes, as older recipes have it, is taken for one.

    Raises UserError.
    """
    if net is not None:
        wrong = UserError(f"This text is not a latent of {net.num_ws} x {net.w_dim} numbers.")
    else:
        wrong = UserError("This text is not a latent; take it from a recipe again.")
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise wrong
    sizes, colon, data = text.rpartition(":")
    try:
        if not colon and net is None:
            raise wrong
        shape = [int(n) for n in sizes.split("x")] if colon else [net.num_ws, net.w_dim]
        if not 1 <= len(shape) <= 2 or min(shape) < 1:
            raise wrong
        if net is not None and shape != [net.num_ws, net.w_dim]:
            raise wrong
        values = np.frombuffer(base64.b64decode(data, validate=True), dtype="<f4")
        return torch.from_numpy(values.reshape(1, *shape).astype(np.float32))
    except ValueError:
        raise wrong from None


# -- as files -----------------------------------------------------------------------------------------------------


def save_latent(path: str | os.PathLike, w: Tensor, net: Generator) -> Path:
    """Writes w+ ``[1, num_ws, w_dim]`` as safetensors that says which checkpoint it belongs to. Returns the path.

    A path that ends in ``.npz`` becomes a NumPy archive with the array ``w``, as NVIDIA's projector writes it. The file
    appears whole or not at all. Raises UserError.
    """
    import safetensors.torch

    w = _fitting(w, net).detach().cpu().float().contiguous().clone()
    if Path(path).suffix == ".npz":
        return _save_npz(Path(path), w)
    info = getattr(net, "info", None)
    about = {
        "format": FORMAT,
        "checkpoint": {"name": getattr(info, "name", None), "sha256": getattr(info, "sha256", None)},
        "img_resolution": net.img_resolution,
    }
    path = Path(path)
    try:
        with replacing(path) as beside:
            safetensors.torch.save_file({"w": w}, beside, metadata={KEY: json.dumps(about)})
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"The latent could not be written to {path.name}; choose another place.") from error
    return path


def load_latent(path: str | os.PathLike, net: Generator) -> Tensor:
    """w+ ``[1, num_ws, w_dim]`` on the CPU from a file of ``save_latent``, or from another program's ``.npz``.

    A latent of another checkpoint passes if it has this network's sizes. Raises RefusedFile, a UserError.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_LATENT_BYTES:
            raise RefusedFile("This file is too large for a latent.")
        if zipfile.is_zipfile(path):
            return _load_npz(path, net)
        _tensors, metadata = container.header(path)
        about = json.loads(metadata[KEY])
        if about.get("format") != FORMAT:
            raise RefusedFile("This latent was written by a newer version of ganbook.")
        name = about["checkpoint"]["name"]
        w = container.read(path)["w"].float()
    except OSError:
        raise RefusedFile("This file cannot be opened; choose it again.") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RefusedFile("This file is not a latent that ganbook has written.") from None
    if w.shape != (1, net.num_ws, net.w_dim):
        size = " x ".join(map(str, w.shape[1:]))
        raise RefusedFile(
            f"This latent of {size} numbers belongs to {shown(name, 40)} and does not fit this network"
            f" ({net.num_ws} x {net.w_dim}); choose that checkpoint first."
        )
    if not bool(torch.isfinite(w).all()):
        raise RefusedFile("This latent contains NaN or infinite values; save it again.")
    return w


def _save_npz(path: Path, w: Tensor) -> Path:
    try:
        with replacing(path) as beside, open(beside, "wb") as file:
            np.savez(file, w=w.numpy())
    except OSError as error:
        raise UserError(f"The latent could not be written to {path.name}; choose another place.") from error
    return path


def _load_npz(path: Path, net: Generator) -> Tensor:
    """The array ``w`` of a NumPy archive. What it says of itself is read before anything is unpacked."""
    wrong = RefusedFile(
        f"This NumPy archive holds no latent of this network: an array w of 1 x {net.num_ws} x {net.w_dim} numbers."
    )
    try:
        with zipfile.ZipFile(path) as archive, archive.open("w.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, kind = read(file)
            if fortran or kind.kind != "f" or shape not in ((1, net.num_ws, net.w_dim), (net.num_ws, net.w_dim)):
                raise wrong
            size = net.num_ws * net.w_dim * kind.itemsize
            values = np.frombuffer(file.read(size), dtype=kind)
            w = torch.from_numpy(values.astype(np.float32).reshape(1, net.num_ws, net.w_dim))
    except (KeyError, ValueError, TypeError, SyntaxError, EOFError, NotImplementedError, RuntimeError):
        raise wrong from None
    except (zipfile.BadZipFile, zlib.error):
        raise RefusedFile("This NumPy archive is damaged; save it again.") from None
    if not bool(torch.isfinite(w).all()):
        raise RefusedFile("This latent contains NaN or infinite values; save it again.")
    return w


def _fitting(w: Tensor, net: Generator) -> Tensor:
    if not isinstance(w, Tensor) or w.shape != (1, net.num_ws, net.w_dim):
        raise UserError(f"A latent of this network is w+ of the shape 1 x {net.num_ws} x {net.w_dim}.")
    return w
