"""safetensors: a length, a JSON header, and the numbers. Read here without any library up to the header.

Outside of ``formats`` because a list of checkpoints reads headers, and must not wait for torch.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import RefusedFile, shown

if TYPE_CHECKING:
    import torch

MAX_HEADER = 4 * 2**20  # bytes; a thousand tensors take 100 kB, and JSON unfolds to twenty times its size
MAX_TENSORS = 10_000
NATIVE = "ganbook"  # the key of our own entry in the header's metadata
TORCH = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"},
}
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
CUT = "This safetensors file is cut or damaged; download or copy it again."


def looks_like(start: bytes) -> bool:
    """Whether a file that begins so is safetensors: a plausible length, then a JSON object."""
    return len(start) >= 10 and start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] < 2**40


def header(path: str | os.PathLike) -> tuple[dict[str, dict], dict[str, str]]:
    """``({tensor name: {"dtype", "shape", "data_offsets"}}, metadata)``, checked against the size of the file.

    Raises RefusedFile where a length, a shape or an offset is a lie.
    """
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise RefusedFile(CUT)
        length = struct.unpack("<Q", start)[0]
        if length > size - 8:
            raise RefusedFile(CUT)
        if length > MAX_HEADER:
            raise RefusedFile("The header of this safetensors file is larger than any checkpoint's, so it is not read.")
        raw = file.read(length)
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        raise RefusedFile(CUT) from None
    if not isinstance(content, dict) or len(content) > MAX_TENSORS:
        raise RefusedFile(CUT)
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise RefusedFile(CUT)
    room = size - 8 - length
    taken = 0
    for name, entry in content.items():
        taken += _check(name, entry, room)
    if taken != room:  # the format leaves no gaps and lets nothing overlap
        raise RefusedFile(CUT)
    return content, metadata


def all_zero(path: str | os.PathLike, ending: str) -> bool:
    """Whether there are tensors whose names end so, and every bit of them is zero. Raises RefusedFile and OSError."""
    tensors = [entry for name, entry in header(path)[0].items() if name.endswith(ending)]
    with open(path, "rb") as file:
        start = 8 + struct.unpack("<Q", file.read(8))[0]
        for begin, end in (entry["data_offsets"] for entry in tensors):
            file.seek(start + begin)
            if any(file.read(end - begin)):
                return False
    return bool(tensors)


def _check(name: str, entry: object, room: int) -> int:
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(n) is int and 0 <= n < 2**40 for n in (*shape, begin, end))
    except (TypeError, KeyError, ValueError):
        raise RefusedFile(CUT) from None
    if kind not in BYTES:
        raise RefusedFile(f"The tensor {shown(name)} is of type {shown(kind, 12)}, which no network here uses.")
    if not whole or len(shape) > 8 or not begin <= end <= room:
        raise RefusedFile(CUT)
    nbytes = BYTES[kind]
    for n in shape:
        nbytes *= n
    if nbytes != end - begin:
        raise RefusedFile(CUT)
    return nbytes


def native(metadata: dict[str, str]) -> dict | None:
    """Our own entry: ``{"format", "technique", "kind", "config", "card"}``; None for other people's files."""
    if NATIVE not in metadata:
        return None
    try:
        found = json.loads(metadata[NATIVE])
    except (ValueError, RecursionError):
        raise RefusedFile(CUT) from None
    if (
        not isinstance(found, dict)
        or not isinstance(found.get("config"), dict)
        or not isinstance(found.get("technique"), str)
        or not isinstance(found.get("kind"), str)
        or not isinstance(found.get("card", {}), dict)
    ):
        raise RefusedFile(CUT)
    if found.get("format") != 1:
        raise RefusedFile("This checkpoint was written by a later version of ganbook; update ganbook to read it.")
    return found


def write(path: str | os.PathLike, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file, one tensor after another: the library would hold all of its bytes in memory first.

    Raises OSError, and ValueError for a tensor of a type that the format does not have.
    """
    import torch

    kinds = {getattr(torch, name): code for code, name in TORCH.items()}
    if unknown := [name for name, value in tensors.items() if value.dtype not in kinds]:
        raise ValueError(f"{unknown[0]} is of a type that safetensors does not have")
    # As the library does: the widest types first, so that all numbers lie at multiples of their size.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header, at = ({"__metadata__": dict(metadata)} if metadata else {}), 0
    for name in order:
        end = at + tensors[name].numel() * tensors[name].dtype.itemsize
        shape = list(tensors[name].shape)
        header[name] = {"dtype": kinds[tensors[name].dtype], "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            flat = tensors[name].detach().cpu().contiguous().flatten()
            file.write(flat.view(torch.uint8).numpy().data)


def read(path: str | os.PathLike) -> dict:
    """All tensors of a file whose header has been checked, as they are stored."""
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path, device="cpu")
    except (safetensors.SafetensorError, OSError, ValueError):
        raise RefusedFile(CUT) from None
