"""From a name or a file to a network that is ready for use.

Networks are shared by all visitors of the process, so they are in evaluation mode, frozen, and never changed. Shipped
ones stay in memory once loaded; of the others the least recently used go when together they pass ``keep_bytes()``
(a network still in use elsewhere lives on until its user is done).

Foreign files are read by another process (see ``isolation``), once: what it made of one lies in the cache folder as our
own safetensors, named after the SHA-256 of the original (see ``shelf``), and only that is opened here. A visitor's file
is known by its content alone: it is in no list, and nobody who does not have the file, or its whole SHA-256, gets at
it.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import models

from . import formats, hub, isolation, paths, shelf, store
from .catalogue import CatalogueEntry, CheckpointInfo, entry
from .errors import NoRoom, ReadingStopped, RefusedFile, UserError, shown

ENCODED = ("psp", "e4e")  # layouts of files that hold a generator and its encoder
# What an attempt to fetch gives where the disk has no room: the network, and the header of its file.
Loose = tuple[nn.Module, dict]
log = logging.getLogger(__name__)

_lock = threading.RLock()
_kept: OrderedDict[tuple, tuple[nn.Module, int, bool]] = OrderedDict()  # key -> network, bytes, stays for good
_busy: dict[object, list] = {}  # key -> [lock, number of threads that hold or want it]


def keep_bytes() -> int:
    """How much the networks in memory may weigh together: ``$GANBOOK_KEEP_MB``, else 2048 MB."""
    try:
        return int(os.environ.get("GANBOOK_KEEP_MB", "2048")) * 2**20
    except ValueError:
        return 2048 * 2**20


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """``auto``: ``$GANBOOK_DEVICE`` if set, else CUDA if there is one, else the CPU. Raises UserError."""
    wanted = str(device)
    if wanted == "auto":
        wanted = os.environ.get("GANBOOK_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(wanted)
    except RuntimeError:
        raise UserError(f"There is no device called {shown(wanted, 20)}; use cpu, cuda or mps.") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise UserError("This machine has no CUDA device that PyTorch can use; choose the device cpu.")
    return found


PARTS = ("generator", "discriminator", "encoder")


def load(
    name: str, device: str | torch.device = "auto", progress: hub.Progress | None = None, part: str = "generator"
) -> nn.Module:
    """The network of a catalogue entry; see ``weights.load``."""
    if isinstance(name, str) and name.startswith("own:"):
        raise UserError("This checkpoint came from a visitor's own file; load that file again in the Checkpoints tab.")
    found = entry(name)
    if not found.loadable:
        raise UserError(f"{found.title} cannot be loaded as a network: {found.note}")
    where = resolve_device(device)
    if part == "encoder":
        return _shared((found.name, part, str(where)), where, lambda: _encoder_of(found, progress))

    def make() -> tuple[nn.Module, CheckpointInfo]:
        if found.shipped:
            path = store.shipped(found.path)
            return store.load(path), _info(found, hub.file_sha256(path), store.header(path))
        for last in (False, True):
            path, sha256, loose = _obtain(found, progress)
            if loose is not None:  # the disk is full, so it is used from memory
                return loose[0], _info(found, sha256, loose[1])
            try:
                return store.load(path), _info(found, sha256, store.header(path))
            except RefusedFile:  # someone spoilt our cache: once more from the start
                if last:
                    raise
                shelf.drop(found)
        raise AssertionError("unreachable")

    return _shared((found.name, str(where)), where, make, stays=found.shipped)


def _encoder_of(found: CatalogueEntry, progress) -> tuple[nn.Module, CheckpointInfo]:
    """The encoder that lies in the file of a generator of the catalogue."""
    if found.layout not in ENCODED:
        raise UserError(f"{found.title}: the file of this network holds no encoder.")
    for last in (False, True):
        path, sha256, loose = _obtain(found, progress)
        if loose is not None:
            raise NoRoom(store.no_room(paths.cache()))
        try:
            path = shelf.converted(sha256, "encoder")
            return store.load(path), _info(found, sha256, store.header(path))
        except RefusedFile:  # someone spoilt our cache: once more from the start
            if last:
                raise
            shelf.drop(found)
    raise AssertionError("unreachable")


def fetch(name: str, progress: hub.Progress | None = None, offline: bool | None = None) -> Path:
    """Brings a checkpoint onto this machine; see ``weights.fetch``."""
    found = entry(name)
    if found.shipped:
        return store.shipped(found.path)
    path, _sha256, loose = _obtain(found, progress, offline)
    if loose is not None:
        raise NoRoom(store.no_room(paths.cache()))
    return path


def read(
    path: str | os.PathLike,
    device: str | torch.device = "auto",
    part: str = "generator",
    limit: int = formats.LIMIT,
    alive: isolation.Alive | None = None,
) -> nn.Module:
    """The network in a file; see ``weights.read``."""
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, not {part!r}")
    path = formats.check_file(path, limit)
    where = resolve_device(device)
    try:
        sha256 = hub.file_sha256(path)
    except OSError:
        raise RefusedFile("This file cannot be opened; choose it again.") from None
    targets = {part: shelf.own(sha256, part), "encoder": shelf.own(sha256, "encoder")}

    def make() -> tuple[nn.Module, CheckpointInfo]:
        target = targets[part]
        if target.is_file():
            try:
                net, info = _reopened(target, sha256)
                if "encoder" in info.card and not targets["encoder"].is_file():
                    _convert(path, "encoder", limit, targets, sha256, alive)
                return net, info
            except RefusedFile:  # spoilt, and removed; the original is at hand
                pass
        loose = _convert(path, part, limit, targets, sha256, alive)
        if loose is not None:
            return loose[0], _own_info(sha256, loose[1])
        found = _reopened(target, sha256)
        shelf.prune_own(keep=target)
        return found

    return _shared(("own", sha256, part, str(where)), where, make)


def reopen(sha256: str, device: str | torch.device = "auto", part: str = "generator") -> nn.Module:
    """A visitor's file again, by the whole SHA-256 in its ``info``; see ``weights.reopen``."""
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise UserError("This is not the SHA-256 of a checkpoint; load the file again in the Checkpoints tab.")
    where = resolve_device(device)

    def make() -> tuple[nn.Module, CheckpointInfo]:
        target = shelf.own(sha256, part)
        if not target.is_file():
            raise UserError("This checkpoint is not kept here any more; load its file again in the Checkpoints tab.")
        return _reopened(target, sha256)

    return _shared(("own", sha256, part, str(where)), where, make)


def forget(name_or_sha256: str) -> None:
    """Drops a network from memory and from the cache folder; see ``weights.forget``."""
    whole = re.fullmatch(r"[0-9a-f]{64}", str(name_or_sha256))
    found = None if whole else entry(name_or_sha256)
    prefix = ("own", name_or_sha256) if whole else (found.name,)
    with _lock:
        for key in [k for k in _kept if k[: len(prefix)] == prefix]:
            del _kept[key]
    if whole:
        shelf.drop_own(name_or_sha256)
    elif not found.shipped:
        shelf.drop(found)


# -- one copy per process


class _one_at_a_time:
    """Of several threads that want the same thing, one does the work and the others wait for it."""

    def __init__(self, key: object):
        self.key = key

    def __enter__(self) -> None:
        with _lock:
            self.entry = _busy.setdefault(self.key, [threading.RLock(), 0])
            self.entry[1] += 1
        self.entry[0].acquire()

    def __exit__(self, *error) -> None:
        self.entry[0].release()
        with _lock:
            self.entry[1] -= 1
            if not self.entry[1]:
                _busy.pop(self.key, None)


def _shared(key: tuple, device: torch.device, make: Callable, stays: bool = False) -> nn.Module:
    with _one_at_a_time(key):
        with _lock:
            if key in _kept:
                _kept.move_to_end(key)
                return _kept[key][0]
        # Networks are shared: whoever loads one first may be in inference mode, and another want gradients through it.
        with torch.inference_mode(False):
            net, info = make()
        try:
            net = net.to(device)
        except torch.OutOfMemoryError:
            raise UserError(f"{device} has no memory left for this checkpoint; choose a smaller one.") from None
        net.info = info
        _attach(net, device)
        weight = sum(t.numel() * t.element_size() for t in (*net.parameters(), *net.buffers()))
        with _lock:
            _kept[key] = (net, weight, stays)
            total = sum(size for _net, size, always in _kept.values() if not always)
            for old in [k for k, (_net, _size, always) in _kept.items() if not always and k != key]:
                if total <= keep_bytes():
                    break
                total -= _kept.pop(old)[1]
        return net


def _attach(net: nn.Module, device: torch.device) -> None:
    """A network that works with a generator which ships is given the one that is shared, instead of one of its own."""
    name = getattr(net, "config", {}).get("generator")
    if not isinstance(name, str) or not hasattr(net, "attach"):
        return
    if not entry(name).shipped:
        raise RefusedFile(f"This checkpoint belongs to {shown(name)}, which does not ship with ganbook.")
    generator = load(name, device)
    try:
        net.attach(generator)
    except ValueError:
        raise RefusedFile(f"This checkpoint was made for another {name} than the one that is here.") from None
    made_for = net.info.card.get("generator_sha256")
    if made_for not in (None, generator.info.sha256):
        log.warning("%s was trained with another state of %s; train it again", net.info.name, name)


# -- fetching and converting


def _obtain(found: CatalogueEntry, progress, offline=None) -> tuple[Path | None, str, Loose | None]:
    """Fetches and converts: path and the original's SHA-256, or the network itself where the disk is full."""
    with _one_at_a_time(("fetch", found.name)):
        ready = shelf.at_hand(found)
        if ready:
            return *ready, None
        if "refused" in shelf.read_note(found):
            raise RefusedFile(shelf.read_note(found)["refused"])
        original, sha256 = hub.download(found, progress, offline)
        size = original.stat().st_size
        try:
            if (found.technique, "generator") in models.all_stored():
                target = shelf.converted(sha256)
                targets = {"generator": target, "encoder": shelf.converted(sha256, "encoder")}
                alive = (lambda: progress(size, size)) if progress else None
                loose = None
                if not target.is_file():
                    loose = _convert(original, "generator", hub.LIMIT, targets, sha256, alive)
                if loose is not None:
                    return None, sha256, loose
            else:
                target = shelf.as_it_is(found, sha256)
                shelf.take(original, target)
        except ReadingStopped:  # perhaps the machine was busy
            raise
        except RefusedFile as refused:
            # It is the published file, so the next download would end the same way.
            shelf.write_note(found, refused=str(refused), sha256=sha256)
            raise
        finally:
            if hub.is_ours(original):
                original.unlink(missing_ok=True)
        shelf.write_note(found, file=target.relative_to(paths.cache()).as_posix(), sha256=sha256)
        return target, sha256, None


def _convert(
    original: Path, part: str, limit: int, targets: dict[str, Path], sha256: str, alive: isolation.Alive | None
) -> Loose | None:
    """Has a file read by the other process, and keeps what it made under ``targets``.

    A generator brings the encoder that lies beside it. Gives the network only if it could not be kept: a full or
    read-only disk is no reason not to go on.
    """
    with isolation.converted(original, part, limit, {"original_sha256": sha256}, alive) as made:
        try:
            for name, path in reversed(made.items()):  # the part that is looked for first is there last
                shelf.keep(path, targets[name])
        except OSError as error:
            log.warning("%s cannot be written, so this checkpoint is kept in memory only: %s", targets[part], error)
            return store.load(made[part]), store.header(made[part])
    return None


def _reopened(target: Path, sha256: str) -> tuple[nn.Module, CheckpointInfo]:
    try:
        net, info = store.load(target), _own_info(sha256, store.header(target))
    except RefusedFile:  # someone spoilt our cache
        target.unlink(missing_ok=True)
        raise
    shelf.touch(target)
    return net, info


# -- what the visitor is told about a network


def _info(found: CatalogueEntry, sha256: str, header: dict) -> CheckpointInfo:
    config = header["config"]
    return CheckpointInfo(
        name=found.name,
        technique=header["technique"],
        kind=header["kind"],
        sha256=sha256,
        title=found.title,
        licence=found.licence,
        source=found.link or "ships with ganbook",
        crop=found.crop,
        img_resolution=store.resolution(config),
        c_dim=config.get("c_dim", 0),
        labels=found.labels,
        card=header.get("card", {}),
    )


def _own_info(sha256: str, header: dict) -> CheckpointInfo:
    config, card = header["config"], header.get("card", {})
    size = store.resolution(config)
    return CheckpointInfo(
        name=f"own:{sha256[:12]}",
        technique=header["technique"],
        kind=header["kind"],
        sha256=sha256,
        title=f"Own file ({size} px)" if size else "Own file",
        licence="as stated where the file came from",
        source=f"own file ({shown(card.get('layout', 'ganbook'), 20)})",
        crop=card.get("crop") if card.get("crop") in ("ffhq", "celeba") else None,
        img_resolution=store.resolution(config),
        c_dim=config.get("c_dim", 0),
        card=card,
    )
