"""What the judges say of a network: ``python -m training measure --network stylegan2/faces --data faces_128.zip``."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from weights import paths, store

from . import judges
from .card import ROOT
from .stylegan2_state import load_run

COMMAND = "what judges that no training sees say of a network"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training measure", description=__doc__)
    p.add_argument("--network", required=True, help="stylegan2/NAME that ships, a .safetensors, or a run's folder")
    p.add_argument("--data", required=True, help="the zip or folder it was trained on")
    p.add_argument("--judges", nargs="+", default=None, choices=list(judges.JUDGES), help="default: those that fit")
    p.add_argument("--count", type=int, default=1000, help="pictures of each kind")
    p.add_argument("--smaller", type=int, nargs="*", default=[200], help="smaller counts to print as well")
    p.add_argument("--psi", type=float, nargs="+", default=[1.0, 0.7])
    p.add_argument("--cache", default=str(ROOT / "runs" / "judged"), help="keeps what is said of photographs")
    p.add_argument("--threads", type=int, default=None)
    return p


def load_network(network: str):
    """The generator that ships under a name, of a file, or the averaged one of a run's folder."""
    path = Path(network)
    if path.suffix == ".safetensors":
        return store.load(path)
    if (path / "state.pt").is_file():
        return load_run(path)[1]
    return store.load(paths.embedded(network))


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    names = args.judges or judges.fitting(args.data)
    if not names:
        raise judges.JudgeError("No judge is installed: run `make judges`.")
    net = load_network(args.network)
    smaller = [n for n in args.smaller if n < args.count]
    rows = judges.measure(net, args.data, names, args.count, args.psi, smaller, args.cache)
    print("\n".join(judges.table(rows)))
    return 0
