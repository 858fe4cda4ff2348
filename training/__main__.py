"""``python -m training NAME ...`` runs the command NAME; ``python -m training NAME --help`` lists its options.

A command is a module of this package, or a folder, with a line ``COMMAND = "what it makes"`` and ``main(argv)``.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from pathlib import Path

import training

LINE = re.compile(r'^COMMAND = "(.+)"$', re.MULTILINE)


def commands() -> dict[str, str]:
    """Name -> what it makes. Only reads the files, for importing them takes seconds."""
    found = {}
    for module in pkgutil.iter_modules(training.__path__):
        path = Path(module.module_finder.path, module.name, "__init__.py" if module.ispkg else "")
        line = LINE.search((path if module.ispkg else path.with_suffix(".py")).read_text(encoding="utf-8"))
        if line:
            found[module.name] = line[1]
    return found


def main(argv: list[str]) -> int:
    found = commands()
    if not argv or argv[0] not in found:
        print("usage: python -m training NAME [options]\n")
        for name, what in found.items():
            print(f"  {name:12} {what}")
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    return importlib.import_module(f"training.{argv[0]}").main(argv[1:]) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
