"""How near inversions come to test photographs, and how long they take: an encoder, optimisation, and both in turn."""

from __future__ import annotations

import statistics
import time

from PIL import Image

from . import measure
from .projection import DATA, photographs

NETWORK, FILE = "stylegan2/faces", "faces_128.zip"
STEPS = 200
USUAL = 20  # photographs, where nobody says how many
# Half of the steps after an encoder show what its start is worth.
WAYS = {
    "encoder": {"method": "encoder"},
    f"w+, {STEPS} steps": {"method": "w+", "steps": STEPS},
    f"hybrid, {STEPS // 2} steps": {"method": "hybrid", "steps": STEPS // 2},
    f"hybrid, {STEPS} steps": {"method": "hybrid", "steps": STEPS},
}


def measured(net, images: list[Image.Image], arguments: dict) -> tuple[list[float], list[float], list[float]]:
    """L2 of each picture, its seconds, and how far the rows of its w+ are apart, in deviations of w."""
    from pipelines import inversion
    from pipelines.latents import spread

    unit, errors, seconds, apart = spread(net), [], [], []
    for i, image in enumerate(images):
        began = time.perf_counter()
        for step in inversion.invert(net, image, seed=i, show_every=0, **arguments):
            last = step
        seconds.append(time.perf_counter() - began)
        errors.append(last.l2)
        rows = last.latent - last.latent.mean(dim=1, keepdim=True)
        apart.append(float(rows.square().mean().sqrt()) / unit)
    return errors, seconds, apart


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    import weights
    from pipelines import inversion

    count = count or (3 if quick else USUAL)
    print(f"\n## Inversion of test photographs by {NETWORK} on {device}: mean square difference, pixels in -1 to 1\n")
    if not (DATA / FILE).is_file() or weights.status(NETWORK) != "shipped":
        print(f"Not measured: its photographs (../shared/data/{FILE}) or its network are not here.")
        return 0
    net = weights.load(NETWORK, device=device)
    images = photographs(DATA / FILE, net.img_resolution, count)
    encoder = inversion.encoder_for(net)
    if encoder is None:
        print("Ways with an encoder were not measured: none belongs to this state of the network.\n")
    else:
        for _step in inversion.invert(net, images[0], "encoder"):  # loads what the first one needs
            pass
    rows = []
    for name, arguments in WAYS.items():
        if encoder is None and arguments["method"] != "w+":
            continue
        errors, seconds, apart = measured(net, images, arguments)
        means = [statistics.mean(errors), statistics.median(errors), statistics.mean(apart)]
        rows.append([name, *(f"{value:.4f}" for value in means), f"{statistics.mean(seconds):.2f}"])
    print(f"{len(images)} photographs.\n")
    print(measure.table(["way", "mean", "median", "rows apart", "seconds"], rows))
    print("\nRows apart: of w+, in deviations of w; the nearer together, the more an edit is one of the network's own.")
    return 0
