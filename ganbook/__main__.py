"""``ganbook COMMAND``, or ``python -m ganbook COMMAND`` where it is not installed."""

from __future__ import annotations

import argparse
import os
import sys

from weights.errors import UserError

from . import commands
from .run import device


def main(given: list[str] | None = None) -> None:
    """Runs one command. What the user can mend ends the program with a sentence and status 1."""
    given = sys.argv[1:] if given is None else given
    if given[:1] == ["run"]:
        from . import run

        run.main(given[1:], prog="ganbook run")
        return
    options = arguments(given)
    if options.device:
        os.environ["GANBOOK_DEVICE"] = options.device
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        options.does(options)
    except UserError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or 'A file'}: {error.strerror or error}")


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ganbook", description="GAN image editing, in the browser and without one.")
    found = parser.add_subparsers(metavar="COMMAND", required=True)
    found.add_parser("run", help="serve the page; ganbook run --help lists its flags")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", type=device, help="cpu, cuda, cuda:1, mps; CUDA if there is one, else the CPU")
    shared.add_argument("--offline", action="store_true", help="never ask the network for a checkpoint")
    for name, (function, describe) in commands.COMMANDS.items():
        summary = (function.__doc__ or "").splitlines()[0]
        one = found.add_parser(name, parents=[shared], help=summary, description=summary)
        describe(one)
        one.set_defaults(does=function)
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
