"""Images for training: a zip or a folder, decoded once into one uint8 tensor."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


@dataclass(frozen=True)
class Images:
    """``pixels [N, 3, R, R]`` uint8; ``labels [N]`` class numbers with their names, or None."""

    pixels: Tensor
    labels: Tensor | None = None
    classes: tuple[str, ...] | None = None
    held_out: bool = False  # whether the table sets pictures aside for tests
    attributes: Tensor | None = None  # [N, A] uint8, 1 where the picture has the attribute

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def batch(self, index: Tensor, xflip: Tensor | None = None) -> Tensor:
        """Float images ``[B, 3, R, R]`` in [-1, 1]; ``xflip [B]`` says which are mirrored."""
        x = self.pixels[index.to(self.pixels.device)].float() / 127.5 - 1
        if xflip is not None:
            x = torch.where(xflip.to(x.device)[:, None, None, None], x.flip(3), x)
        return x

    def to(self, device: str | torch.device) -> Images:
        return replace(self, pixels=self.pixels.to(device))


def _square(image: Image.Image, resolution: int) -> np.ndarray:
    image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    if side != resolution:
        # Box then Lanczos: reduce() keeps large photographs cheap without aliasing.
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    elif image.size != (side, side):
        image = image.crop(box)
    return np.asarray(image, dtype=np.uint8)


def load_images(
    path: str | Path,
    resolution: int,
    split: str = "train",
    label: str | None = None,
    limit: int | None = None,
    attributes: Sequence[str] = (),
) -> Images:
    """Reads ``path``: a zip or folder of pictures with an optional ``labels.csv`` (columns ``file``, ``split``, ...).

    Pictures without a row in the table, or without a table, count as ``train``. ``label`` names the column that holds
    the class of a conditional network; ``attributes`` name columns of 0 (or -1) and 1. Pictures are cut to their centre
    square and resized.

    Raises ValueError when nothing is found.
    """
    path = Path(path)
    if path.is_dir():
        files = {str(p.relative_to(path)): p.read_bytes for p in sorted(path.rglob("*")) if p.is_file()}
        archive = None
    else:
        archive = zipfile.ZipFile(path)
        files = {n: (lambda n=n: archive.read(n)) for n in sorted(archive.namelist())}
    table = {}
    for name, read in files.items():
        if Path(name).name == "labels.csv":
            table = {row["file"]: row for row in csv.DictReader(io.StringIO(read().decode()))}
    pictures, values, rows = [], [], []
    for name, read in files.items():
        if Path(name).suffix.lower() not in SUFFIXES:
            continue
        row = table.get(Path(name).name, {})
        if row.get("split", "train") != split:
            continue
        with Image.open(io.BytesIO(read())) as image:
            pictures.append(_square(image, resolution))
        values.append(row.get(label) if label else None)
        rows.append([row.get(name) for name in attributes])
        if limit is not None and len(pictures) >= limit:
            break
    if archive is not None:
        archive.close()
    if not pictures:
        raise ValueError(f"{path.name} holds no pictures of the {split} split")
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    held_out = any(row.get("split") == "test" for row in table.values())
    missing = [name for i, name in enumerate(attributes) if any(r[i] not in ("0", "1", "-1") for r in rows)]
    if missing:
        raise ValueError(f"labels.csv of {path.name} has no 0 and 1 for every picture in {', '.join(missing)}")
    table_of = torch.tensor([[v == "1" for v in r] for r in rows], dtype=torch.uint8) if attributes else None
    if label is None:
        return Images(pixels, held_out=held_out, attributes=table_of)
    if any(v is None for v in values):
        raise ValueError(f"labels.csv of {path.name} has no column {label!r} for every picture")
    classes = tuple(
        sorted(set(values), key=lambda v: (not v.lstrip("-").isdigit(), int(v) if v.lstrip("-").isdigit() else 0, v))
    )
    return Images(pixels, torch.tensor([classes.index(v) for v in values]), classes, held_out, table_of)
