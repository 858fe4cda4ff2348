"""Foreign checkpoint files: told apart by what is in them, and read without running anything of theirs.

``read(path)`` gives a ``Checkpoint`` (technique, kind, constructor arguments, state dict in our names), or raises
``RefusedFile`` with one sentence. A container (zip, pickle, old torch stream, safetensors) is opened by the module of
its name; what lies in it is recognised by the names of the tensors, in ``_interpret``.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from .. import container
from ..errors import TOO_LARGE, ReadingStopped, RefusedFile, UserError, shown
from . import attgan, dcgan, dcgan_theano, deghosting, diffcam, nvidia, official, psp, rosinality, stylegan3, torchfile
from .checkpoint import Checkpoint, Room, check_names, is_tensor, take_tensors, without_prefix
from .records import LEGACY_START

__all__ = ["Checkpoint", "LIMIT", "check_file", "guarded", "mapped", "read"]

LIMIT = 2 * 2**30  # bytes; the largest published file that is read has 1.2 GB
log = logging.getLogger(__name__)


def read(path: str | os.PathLike, part: str = "generator", limit: int = LIMIT) -> Checkpoint:
    """Reads any supported file.

    Args:
        path: the file; its name says nothing.
        part: ``generator``, ``discriminator`` or ``encoder``, where the file holds several.
        limit: largest file size in bytes.

    Raises:
        RefusedFile: whatever is wrong with the file, in one sentence.
    """
    path = check_file(path, limit)
    with guarded():
        return _read(path, part)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """What goes wrong inside while a foreign file is read becomes RefusedFile, in one sentence."""
    try:
        yield
    except UserError:
        raise
    except MemoryError:
        raise ReadingStopped(TOO_LARGE) from None
    except Exception as error:
        if "allocate memory" in str(error):  # how torch says it, and the system where a file is mapped
            raise ReadingStopped(TOO_LARGE) from None
        # A bug of ours or of a library, but the visitor's file brought it out.
        log.exception("unexpected error while reading a checkpoint file")
        raise RefusedFile(
            f"This file could not be read as a checkpoint ({type(error).__name__}); it is damaged or of unknown kind."
        ) from error


def check_file(path: str | os.PathLike | None, limit: int = LIMIT) -> Path:
    """Whether there is a file to read at all, and not too large a one."""
    if not path:
        raise RefusedFile("No file was given; choose a checkpoint file first.")
    try:
        path = Path(path)
        found = path.stat()
    except (OSError, ValueError, TypeError):
        raise RefusedFile("This file is not there any more; choose it again.") from None
    if not stat.S_ISREG(found.st_mode):
        raise RefusedFile("This is not a file; choose a checkpoint file.")
    if found.st_size == 0:
        raise RefusedFile("This file is empty; choose a checkpoint file.")
    if found.st_size > limit:
        raise RefusedFile(
            f"This file has {found.st_size / 2**20:,.0f} MB, and checkpoints of up to {limit / 2**20:,.0f} MB are read."
        )
    return path


def _read(path: Path, part: str) -> Checkpoint:
    room = Room(path.stat().st_size)
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError:
        raise RefusedFile("This file cannot be opened; choose it again.") from None
    if start[:4] == b"PK\x03\x04":
        tree = torchfile.read_zip(path)
    elif start.startswith(LEGACY_START):
        with mapped(path) as data:
            tree = torchfile.read_legacy(data)
    elif start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        with mapped(path) as data:
            tree = nvidia.read(data)
            if nvidia.holds_modules(tree):
                return nvidia.interpret(tree, part, room)
            return _interpret(tree, part, path, room)
    elif container.looks_like(start):
        _entries, metadata = container.header(path)
        native = container.native(metadata)
        tree = container.read(path)
        if native is not None:
            return _native(native, tree, part, room)
    else:
        raise RefusedFile(_unknown(start))
    if nvidia.holds_modules(tree):
        return nvidia.interpret(tree, part, room)
    return _interpret(tree, part, path, room)


class mapped:
    """The bytes of a file without reading them all; the records made from them keep the mapping alive."""

    def __init__(self, path: Path):
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> mmap.mmap:
        return self.data

    def __exit__(self, *error) -> None:
        try:
            self.data.close()
        except BufferError:  # views of it are still in use, for instance by a traceback: it goes with them
            pass


def _unknown(start: bytes) -> str:
    if start[:6] == b"\x93NUMPY" or start[:4] == b"\x89HDF":
        return "This file holds arrays of NumPy or Keras, which no checkpoint that is read here uses."
    if start[257:262] == b"ustar":
        return "This is a tar file (or a torch checkpoint from before 2017); save it again with a newer torch."
    if start[:2] == b"\x1f\x8b" or start[:4] in (b"7z\xbc\xaf", b"Rar!"):
        return "This file is compressed; unpack it and choose the checkpoint in it."
    if start[:1] == b"\x08" and b"pytorch" in start[:64]:
        return "This is an ONNX program, not a checkpoint; choose the file with the weights."
    text = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)
    if text > 0.9 * len(start):
        return "This is a text file, not a checkpoint; if it came from a link, download the file itself."
    return "This file is not a checkpoint: it is neither a pickle nor a torch or safetensors file."


def _native(found: Mapping, state: Mapping, part: str, room: Room) -> Checkpoint:
    # A network is all that its file holds; what it is for, its technique says.
    kind = "network" if found["kind"] == "network" and part == "generator" else part
    if found["kind"] != kind:
        raise RefusedFile(f"This file holds a {shown(found['kind'], 20)} only, and a {part} is wanted here.")
    # Whatever it was converted from: no other network lies in this file.
    card = {name: value for name, value in found.get("card", {}).items() if name != "encoder"}
    return Checkpoint(found["technique"], kind, found["config"], take_tensors(state, room), "ganbook", card)


def _interpret(tree: object, part: str, path: Path, room: Room) -> Checkpoint:
    """A dict of tensors, or of dicts of tensors: whose is it?"""
    if not isinstance(tree, Mapping):
        raise RefusedFile("This file holds no networks; choose a checkpoint file.")
    if dcgan_theano.is_theano(tree):
        return dcgan_theano.interpret(tree, part, room)
    whole = _state(tree.get("state_dict"))
    if psp.holds(whole):
        return psp.interpret(tree, whole, part, room)
    if part == "encoder":
        raise RefusedFile("This file holds no encoder; choose a checkpoint of pSp or e4e.")
    ours, theirs = ("g_ema", "G_ema", *dcgan.GENERATORS), dcgan.DISCRIMINATORS
    keys = ours if part == "generator" else theirs
    for key in (*keys, "state_dict", "params_ema", "model"):
        state = _state(tree.get(key))
        if state:
            return _network(state, tree, part, path, room)
    state = _state(tree)
    if state:
        return _network(state, tree, part, path, room)
    if any(_state(tree.get(key)) for key in (*ours, *theirs)):
        raise RefusedFile(f"This file holds no {part}.")
    raise RefusedFile("This file holds no tensors under any name that is known here; choose a checkpoint file.")


def _state(value: object) -> dict:
    """``value`` as a state dict, empty if it is none."""
    if not isinstance(value, Mapping):
        return {}
    state = {name: item for name, item in value.items() if isinstance(name, str) and is_tensor(item)}
    check_names(state)
    return without_prefix(state) if len(state) > 1 else {}


def _network(state: dict, tree: Mapping, part: str, path: Path, room: Room) -> Checkpoint:
    if stylegan3.is_stylegan3(state):
        if part != "generator":
            raise RefusedFile(f"This file holds a generator only, and a {part} is wanted here.")
        config = stylegan3.generator_config(state)
        return Checkpoint("stylegan3", part, config, take_tensors(state, room), "official names")
    if official.is_generator(state) and part == "generator":
        needs_w_avg = "mapping.w_avg" not in state
        config = official.generator_config(state, **({"w_avg_beta": 0.995} if needs_w_avg else {}))
        state = nvidia.square_filters(take_tensors(state, room))
        if needs_w_avg:
            state["mapping.w_avg"] = torch.zeros(config["w_dim"])
        return Checkpoint("stylegan2", part, config, state, "official names", needs_w_avg=needs_w_avg)
    if official.is_discriminator(state) and part == "discriminator":
        config = official.discriminator_config(state)
        return Checkpoint("stylegan2", part, config, nvidia.square_filters(take_tensors(state, room)), "official names")
    if rosinality.is_generator(state) and part == "generator":
        return rosinality.interpret(state, tree.get("latent_avg"), room)
    if diffcam.is_diffcam(state) and part == "generator":
        return diffcam.interpret(state, room)
    if deghosting.is_deghosting(state) and part == "generator":
        return deghosting.interpret(state, room)
    if attgan.is_generator(state) or attgan.is_discriminator(state):
        return attgan.interpret(tree, state, part, path, room)
    if dcgan.is_dcgan(tree, state):
        return dcgan.interpret(tree, state, part, room)
    if len(dcgan.layers(state)) > 3:
        raise RefusedFile(
            "This is a plain stack of convolutions, and of those only the generator of a DCGAN is read: from the latent"
            " to one or three colours, with batch norms between."
        )
    names = ", ".join(shown(name, 40) for name in list(state)[:3])
    raise RefusedFile(f"This is no {part} of a kind that is read here; its first tensors are called {names}.")
