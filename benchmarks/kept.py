"""What long benchmarks have measured, one line of JSON each, so that they can be stopped and started again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from models import device_of

ROOT = Path(__file__).resolve().parent.parent


def code(*files: Path) -> str:
    """A hash of source files: with other code a measurement is another one."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def drag_code(*own: Path) -> str:
    """A hash of all that a drag depends on, and of the files of the benchmark itself."""
    return code(*sorted(ROOT.glob("pipelines/draggan/*.py")), *sorted(ROOT.glob("models/*.py")), *own)


def read(path: Path) -> dict[str, dict]:
    """The results of a file by their keys; lines that were cut off are left out."""
    found = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        try:
            entry = json.loads(line)
            found[entry["key"]] = entry["result"]
        except (ValueError, KeyError, TypeError):
            continue
    return found


class Results:
    """Results that JSON can hold, of one network and one state of the code; others in the file are left alone."""

    def __init__(self, path: Path, code: str, net):
        self.path, self.name = path, net.info.name
        self.about = f"{code} {net.info.sha256[:12]} {device_of(net).type}"
        self.before = read(path)

    def get(self, key: str, measure: Callable[[], dict]) -> dict:
        """The result under ``key``: the one that is kept, or what ``measure`` gives, which is kept then."""
        key = f"{self.about} {key}"
        if key not in self.before:
            self.before[key] = measure()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "network": self.name, "result": self.before[key]}) + "\n")
        return self.before[key]
