"""``python -m benchmarks [names] [--device cpu|cuda] [--quick]`` runs the benchmarks of these names, or all."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

NAMES = {
    "synthesis": "pictures a second, against the arithmetic of the original",
    "startup": "from python app.py to a page and to its first gallery",
    "gpu-check": "fixture tests, pictures and speed on a CUDA device",
}


def main(argv: list[str]) -> int:
    described = "\n".join(f"  {name:11} {what}" for name, what in NAMES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures what the README promises.\n\n" + described,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="name", help="all but gpu-check if not given")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--quick", action="store_true", help="the smallest sizes and few repetitions")
    options = parser.parse_args(argv)
    # Threads that spin while they wait take the cores away from the process that works; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    failed = False
    for name in options.names or ("synthesis", "startup"):
        module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
        failed |= bool(module.main(options.device, options.quick))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
