"""What tests of training share: options of a small run, and pictures to learn from."""

import zipfile

import numpy as np
import torch
from PIL import Image

from training import data, stylegan2


def options(out, *more, source="x"):
    small = "--resolution 16 --batch 8 --channel-base 64 --channel-max 8 --z-dim 8 --w-dim 8 --mapping-layers 2"
    return stylegan2.parser().parse_args(
        ["--data", str(source), "--out", str(out), *small.split(), "--precision", "fp32", "--device", "cpu", *more]
    )


def blobs(n=64, size=16, labels=False):
    """Two kinds of pictures: a bright disc on dark, and the reverse."""
    y, x = np.mgrid[:size, :size]
    rng = np.random.RandomState(0)
    out = []
    for i in range(n):
        cx, cy = rng.uniform(0.35, 0.65, 2) * size
        disc = ((x - cx) ** 2 + (y - cy) ** 2 < (size * 0.25) ** 2) ^ (i % 2 == 1)
        out.append(np.stack([disc * c for c in rng.randint(120, 255, 3)]).astype(np.uint8))
    pixels = torch.from_numpy(np.stack(out))
    return data.Images(pixels, torch.arange(n) % 2, ("0", "1")) if labels else data.Images(pixels)


def folder_of(tmp_path, as_zip):
    rows, files = ["file,split,kind"], {}
    for i in range(12):
        name = f"{i:02}.png"
        Image.new("RGB", (40 + i, 30), (20 * i, 0, 255)).save(tmp_path / name)
        files[name] = tmp_path / name
        rows.append(f"{name},{'test' if i >= 9 else 'train'},{i % 3}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    if not as_zip:
        return tmp_path
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as z:
        z.write(tmp_path / "labels.csv", "labels.csv")
        for name, path in files.items():
            z.write(path, f"images/{name}")
    return tmp_path / "set.zip"
