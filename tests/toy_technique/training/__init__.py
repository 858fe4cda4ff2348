"""The mean of photographs: ``python -m training toy --data faces --out mean.png``."""

from __future__ import annotations

import argparse

from .. import data

COMMAND = "the mean of photographs"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training toy", description=__doc__)
    p.add_argument("--data", required=True, help="zip or folder of pictures")
    p.add_argument("--out", required=True, help="file of the mean")
    p.add_argument("--resolution", type=int, default=32)
    return p


def main(argv: list[str]) -> int:
    from PIL import Image

    args = parser().parse_args(argv)
    images = data.load_images(args.data, args.resolution)
    mean = images.pixels.float().mean(0).round().byte()
    Image.fromarray(mean.permute(1, 2, 0).numpy()).save(args.out)
    print(f"the mean of {len(images)} pictures")
    return 0
