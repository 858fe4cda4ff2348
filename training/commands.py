"""The command line that made a run, as cards state it: without what only concerns the machine or the log."""

from __future__ import annotations

import argparse
from pathlib import Path

from .loop import RUNTIME_OPTIONS


def command_line(parser: argparse.ArgumentParser, fixed: str, given: dict, defaults: dict | None = None) -> str:
    """The line that made a run: ``fixed``, and the options ``given`` that differ from ``defaults`` (the parser's)."""
    if defaults is None:
        defaults = {name: parser.get_default(name) for name in given}
    switches = {action.dest: action.option_strings[-1] for action in parser._actions if action.nargs == 0}
    return " ".join([parser.prog, fixed, *words_of(given, defaults, switches)])


def placed(path: str) -> str:
    """A run's state or a network that ships as a command names it, without the folders of a machine."""
    own = Path(path)
    folder = "runs" if own.suffix == ".pt" else "weights/embedded"
    return f"{folder}/{own.parent.name}/{own.name}"


def data_and_out(data: str) -> str:
    return f"--data {Path(data).name} --out runs/NAME"


def out_and_data(data: str, state: dict) -> str:
    """The same for a trainer that needs no photographs: ``--data`` only where some took part."""
    return "--out runs/NAME" + (f" --data {Path(data).name}" if state["train_images"] else "")


def words_of(given: dict, defaults: dict, switches: dict[str, str]) -> list[str]:
    """The options of a run that differ from the defaults, as one types them; ``switches`` take no value."""
    words = []
    for key, value in given.items():
        # What only concerns the machine it ran on, or the log, makes no other network.
        if (key in RUNTIME_OPTIONS and key != "images") or defaults.get(key) == value:
            continue
        flag = "--" + key.replace("_", "-")
        value = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        words.append(switches.get(key, f"{flag} {value}"))
    return words


def change_words(change: dict) -> str:
    former = ", ".join(f"--{k.replace('_', '-')} {v}" for k, v in change.items() if k != "until")
    return f"{former} until image {change['until']:,}"
