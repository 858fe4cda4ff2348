"""``python -m benchmarks [names] [--device cpu|cuda] [--quick]`` runs the benchmarks of these names, or all."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

NAMES = {
    "synthesis": "pictures a second, against the arithmetic of the original",
    "startup": "from python app.py to a page and its first gallery, and what each visitor costs",
    "draggan": "steps of a drag a second and their memory, against the arithmetic of the authors",
    "editing": "edits of a face by AttGAN, all at once and one by one",
    "attribute-edits": "what AttGAN changes and keeps of photographs, and what comes back pasted (--count 60)",
    "brushing": "steps a second while brushing, all starts at once and one by one",
    "od-speed": "out-of-domain edits from the upload on, and moves of their sliders",
    "drag-accuracy": "how far dragged points end from their targets, by optical flow too (an hour; --count 10)",
    "drag-landmarks": "the DragGAN paper's own test, landmarks of one face onto another's (hours; --count 8)",
    "alignment": "faces found in larger pictures, and how near to their place they are brought",
    "projection": "how near the three ways of iGAN come to photographs (--count 100)",
    "inversion": "how near an encoder, optimisation and both come to photographs (--count 20)",
    "out-of-domain": "what edits with and without a mask keep and change, and ghosts (--count 40)",
    "strokes": "whether painted and drawn strokes are followed (--count 50)",
    "edit-transfer": "how near an edit carried over to a photograph comes to its truth (--count 20)",
    "visitors": "memory while visitors come and go (half an hour; --count 40)",
    "load": "many visitors at once: waits, failures, memory (--visitors 50 --minutes 10)",
    "replicas": "20 visitors at once, in one process and by two replicas of Ray Serve (--count 20)",
    "hub-check": "every published checkpoint once: fetched, loaded, sampled, dragged; writes docs/checkpoints.md",
    "gpu-check": "fixture tests, pictures and speed on a CUDA device",
}
USUAL = ("synthesis", "startup", "draggan", "editing", "brushing", "od-speed")
COUNTED = (
    "attribute-edits",
    "drag-accuracy",
    "drag-landmarks",
    "alignment",
    "projection",
    "inversion",
    "out-of-domain",
    "strokes",
    "edit-transfer",
    "visitors",
    "replicas",
    "hub-check",
)


def main(argv: list[str]) -> int:
    described = "\n".join(f"  {name:15} {what}" for name, what in NAMES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures what docs/benchmarks.md states.\n\n" + described,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", choices=[*NAMES, []], metavar="name", help="those up to od-speed if not given"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--quick", action="store_true", help="the smallest sizes and few repetitions")
    parser.add_argument("--count", type=int, help="of drags, faces, photographs, strokes or visitors: at most so many")
    parser.add_argument("--visitors", type=int, help="of load: how many at once; 50 if not given")
    parser.add_argument("--minutes", type=float, help="of load: for how long; 10 if not given")
    options = parser.parse_args(argv)
    if options.count is not None and options.count < 1:
        parser.error("--count is 1 or more")
    if (options.visitors or 1) < 1 or (options.minutes or 1) <= 0:
        parser.error("--visitors is 1 or more, --minutes more than 0")
    # Threads that spin while they wait take the cores away from the process that works; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    failed = False
    for name in options.names or USUAL:
        module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
        own = {"count": options.count} if name in COUNTED else {}
        own |= {"visitors": options.visitors, "minutes": options.minutes} if name == "load" else {}
        failed |= bool(module.main(options.device, options.quick, **own))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
