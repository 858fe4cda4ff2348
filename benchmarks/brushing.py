"""Brushing with many starts: steps a second as one batch, against the same starts one after another."""

from __future__ import annotations

import numpy as np
from PIL import Image

from . import measure

SETS = ("igan/shoes", "igan/faces", "igan/flowers")
STARTS = (16, 64)
STEPS = 8


def stroke(size: int = 64) -> Image.Image:
    """A red stroke across the middle."""
    rgba = np.zeros((size, size, 4), dtype=np.uint8)
    rgba[size * 7 // 16 : size * 9 // 16, size // 4 : size * 3 // 4] = (196, 48, 40, 255)
    return Image.fromarray(rgba)


def main(device: str = "cpu", quick: bool = False) -> int:
    import torch

    import weights
    from pipelines import igan

    rows = []
    for name in SETS:
        if weights.status(name) != "shipped":
            continue
        net = weights.load(name, device=device)
        drawn = stroke(net.img_resolution)

        def run(starts: int, steps: int = STEPS, net=net, drawn=drawn) -> None:
            for _step in igan.brush(net, colour=drawn, starts=starts, steps=steps):
                pass

        def apart(starts: int, run=run) -> None:
            for _ in range(starts):
                run(1)

        def first(starts: int = 16, net=net, drawn=drawn) -> None:
            found = igan.brush(net, colour=drawn, starts=starts, steps=STEPS)
            while next(found).step < 1:
                pass
            found.close()

        repetitions = 1 if quick else 3
        for starts in STARTS[:1] if quick else STARTS:
            tasks = {"batch": lambda n=starts: run(n)}
            if starts == STARTS[0]:
                tasks |= {"apart": lambda n=starts: apart(n), "first": first}
            seconds = measure.interleaved(tasks, repetitions, device)
            rows.append(
                [
                    name,
                    str(starts),
                    f"{STEPS / seconds['batch']:.1f}",
                    f"{seconds['apart'] / seconds['batch']:.2f}x" if "apart" in seconds else "",
                    f"{seconds['first']:.2f} s" if "first" in seconds else "",
                ]
            )
    print(f"\n## Brushing at 64 px on {device}, {torch.get_num_threads()} threads, every step shown\n")
    if not rows:
        print("No network of the iGAN tab is here; make them with `make train-igan-shoes` and so on.")
        return 1
    header = ["network", "starts", "steps a second", "against one by one", "first changed picture"]
    print(measure.table(header, rows))
    print("\nFirst changed picture: from the call to the candidates of the first step, everything included.")
    return 0
