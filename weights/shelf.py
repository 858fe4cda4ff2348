"""What lies in the cache folder: downloads turned into our own files, and notes on which file became which.

    converted/  networks of the catalogue     names/      notes: what a catalogue entry became, or why it was refused
    own/        visitors' files               files/      what is used as it is (face detector, encoders)
    downloads/  files that are still on their way (see ``hub``)
    reading/    what a reader is writing (see ``isolation``)

Every file is written under another name first and then renamed, so what is there is whole. Needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from . import hub, paths, store
from .atomic import replacing
from .catalogue import CatalogueEntry, entry
from .errors import NoRoom

READER = 1  # goes up when a reader changes what it makes of a file: conversions are then made anew
OWN_BYTES = 4 * 2**30  # visitors' files together; the ones unused for longest go first


def status(name: str) -> str:
    """Where a checkpoint is: ``shipped``, ``cached`` (on this machine) or ``remote`` (to be downloaded).

    ``missing`` is said of one that should have shipped and is not there. Asks no network. Raises UserError for an
    unknown name.
    """
    found = entry(name)
    if found.shipped:
        return "shipped" if found.path.is_file() else "missing"
    return "cached" if at_hand(found) or hub.cached(found) else "remote"


def converted(sha256: str, part: str = "generator") -> Path:
    return paths.cache() / "converted" / f"{sha256}-{part}-r{READER}.safetensors"


def own(sha256: str, part: str) -> Path:
    return paths.cache() / "own" / f"{sha256}-{part}-r{READER}.safetensors"


def as_it_is(found: CatalogueEntry, sha256: str) -> Path:
    return paths.cache() / "files" / f"{sha256}{Path(found.file).suffix}"


def _note(found: CatalogueEntry) -> Path:
    identity = f"{found.repo} {found.file} {found.revision} {found.sha256} r{READER}"
    return paths.cache() / "names" / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.json"


def read_note(found: CatalogueEntry) -> dict:
    """``{"file", "sha256"}`` of a fetched checkpoint, ``{"refused", "sha256"}`` of one that cannot be read, or {}."""
    try:
        note = json.loads(_note(found).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in note.items() if isinstance(v, str)} if isinstance(note, dict) else {}


def write_note(found: CatalogueEntry, **content: str) -> None:
    path = _note(found)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_text(json.dumps({"name": found.name, **content}), encoding="utf-8")
    except OSError:  # the note only saves work the next time
        pass


def at_hand(found: CatalogueEntry) -> tuple[Path, str] | None:
    """The cached file of a checkpoint on the Hub and the SHA-256 of its original, if it was fetched before."""
    note = read_note(found)
    if "file" not in note or "sha256" not in note:
        return None
    path = paths.cache() / note["file"]
    return (path, note["sha256"]) if path.is_file() else None


def drop(found: CatalogueEntry) -> None:
    """Removes what was fetched for a catalogue entry, and the note of it."""
    note = read_note(found)
    if "file" in note:
        (paths.cache() / note["file"]).unlink(missing_ok=True)
        converted(note.get("sha256", ""), "encoder").unlink(missing_ok=True)
    _note(found).unlink(missing_ok=True)


def drop_own(sha256: str) -> None:
    for path in (paths.cache() / "own").glob(f"{sha256}-*.safetensors"):
        path.unlink(missing_ok=True)


def keep(made: Path, target: Path) -> None:
    """Moves what a reader made to its place. Raises OSError where it lies on another disk or there is no such place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(made, target)


def take(original: Path, target: Path) -> None:
    """Moves a download, or copies a file of another program's cache, to its place. Raises NoRoom."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if hub.is_ours(original):
            os.replace(original, target)
        else:
            with replacing(target) as beside:
                shutil.copyfile(original, beside)
    except OSError as error:
        full = store.is_full(error)
        raise NoRoom(
            store.no_room(target.parent) if full else f"{target.parent} cannot be written; set GANBOOK_CACHE."
        ) from error


def touch(path: Path) -> None:
    """Notes that a file was used."""
    try:
        os.utime(path)
    except OSError:
        pass


def prune_own(keep: Path, limit: int = OWN_BYTES) -> None:
    """Removes visitors' files, the ones unused for longest first, until the rest fits; never ``keep``."""
    try:
        files = sorted((f.stat().st_mtime, f.stat().st_size, f) for f in keep.parent.glob("*.safetensors") if f != keep)
        total = sum(size for _time, size, _file in files) + keep.stat().st_size
    except OSError:  # another process is tidying up as well
        return
    for _time, size, file in files:
        if total <= limit:
            return
        try:
            file.unlink(missing_ok=True)
        except OSError:  # mapped by a running network, on Windows
            continue
        total -= size
