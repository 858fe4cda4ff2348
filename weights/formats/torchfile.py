"""Files of ``torch.save``: the zip format of today and the stream of pickles of old.

Our own pickle machine walks through them; torch's reader is never asked, since it takes calls and copies without any
limit. The numbers stay where they lie in the mapped file until ``take_tensors`` wants them: each storage is there once,
however many tensors share it.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
from pathlib import Path

from ..errors import RefusedFile, shown
from . import nvidia
from .machine import Budget, Machine
from .records import PERSISTENCE, PLAIN, TENSORS, StorageRecord, legacy_pickles, storage_type

MAX_DIRECTORY = 4 * 2**20  # bytes of a zip's list of contents; a thousand tensors take 80 kB
MAX_PICKLE = 32 * 2**20  # bytes of the pickle inside; the numbers lie beside it
CUT = "This file begins like a torch checkpoint but is cut or damaged; download or copy it again."
CALLS = PLAIN | TENSORS | PERSISTENCE


def read_legacy(data) -> object:
    """The mapped bytes of a file that begins with torch's old magic number -> its content, with records for tensors."""
    return legacy_pickles(data, CALLS, Budget(), on_foreign=nvidia.foreign)[0]


def read_zip(path: Path) -> object:
    """A zip file -> its content, with records for tensors.

    Raises RefusedFile for a zip that is compressed, that holds more than its own size, or that is no checkpoint.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        if _directory_size(file, size) > MAX_DIRECTORY:
            raise RefusedFile("This zip file lists more contents than any checkpoint has, so it is not read.")
        try:
            with zipfile.ZipFile(file) as archive:
                root, entries = _inspect(archive, size)
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                return _walk(memoryview(data), archive, root, entries)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeDecodeError, struct.error):
            raise RefusedFile(CUT) from None


def _directory_size(file, size: int) -> int:
    """Bytes of the central directory, as the end record states them: the zip module reads all of it at once."""
    tail_size = min(size, 66_000)  # the end record and the longest comment
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise RefusedFile(CUT)
    stated = struct.unpack("<I", tail[at + 12 : at + 16])[0]
    record = tail.rfind(b"PK\x06\x06", 0, at)  # the 64-bit end record, which the zip module prefers where it is
    if record >= 0 and record + 56 <= len(tail):
        stated = max(stated if stated != 0xFFFFFFFF else 0, struct.unpack("<Q", tail[record + 40 : record + 48])[0])
    elif stated == 0xFFFFFFFF:
        return size
    return stated


def _inspect(archive: zipfile.ZipFile, size: int) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """Checks the list of contents before anything in it is opened."""
    infos = archive.infolist()
    entries = {info.filename: info for info in infos}
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
    root = roots[0] if roots else ""
    if any(name.endswith(".npy") for name in entries):
        raise RefusedFile("This file holds arrays of NumPy, which no checkpoint that is read here uses.")
    if f"{root}constants.pkl" in entries or any(name.startswith(f"{root}code/") for name in entries):
        raise RefusedFile("This is a TorchScript program, not a checkpoint; choose the file with the weights alone.")
    unfolded = sum(info.file_size for info in infos)
    if unfolded > size or any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
        # torch stores without compression, so the contents are never more than the file.
        raise RefusedFile(
            f"This zip file is compressed ({unfolded / 2**20:.0f} MB inside of {max(size / 2**20, 0.1):.1f} MB), which"
            " torch checkpoints never are, so it was not unpacked."
        )
    if len(entries) != len(infos):
        raise RefusedFile("This zip file holds two files of one name, which torch checkpoints never do.")
    if len(roots) != 1:
        raise RefusedFile("This is a zip file without a torch checkpoint in it; choose the .pt or .pth file itself.")
    if entries[f"{root}data.pkl"].file_size > MAX_PICKLE:
        raise RefusedFile("The pickle in this torch file is larger than any checkpoint's, so it is not read.")
    order = entries.get(f"{root}byteorder")
    if order is not None and (order.file_size > 16 or archive.read(order) != b"little"):
        raise RefusedFile("This checkpoint was written on a machine with another byte order, which is not supported.")
    return root, entries


def _walk(data: memoryview, archive: zipfile.ZipFile, root: str, entries: dict) -> object:
    """Runs the pickle through our machine. Its storages are views of ``data``, the mapped file."""
    storages: dict[str, StorageRecord] = {}

    def persistent(identifier: tuple) -> StorageRecord:
        kind, storage, key, _location, count = identifier
        if kind != "storage" or not isinstance(key, str) or type(count) is not int or count < 0:
            raise ValueError
        dtype = storage_type(storage)
        entry = entries.get(f"{root}data/{key}")
        if entry is None or entry.file_size < count * dtype.itemsize:
            raise RefusedFile(f"This checkpoint is damaged: its data block {shown(key, 20)} is missing or too short.")
        if key not in storages:
            storages[key] = StorageRecord(dtype, count, _stored(data, entry)[: count * dtype.itemsize])
        return storages[key]

    pickled = archive.read(entries[f"{root}data.pkl"])
    return Machine(pickled, CALLS, persistent=persistent, on_foreign=nvidia.foreign).run()


def _stored(data: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    """The bytes of an entry that is not compressed. Raises RefusedFile where they are not all there."""
    head = data[entry.header_offset : entry.header_offset + 30] if entry.header_offset >= 0 else b""
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise RefusedFile(CUT)
    name, extra = struct.unpack("<HH", head[26:30])  # the list of contents need not have the same lengths
    start = entry.header_offset + 30 + name + extra
    found = data[start : start + entry.file_size]
    if len(found) < entry.file_size:
        raise RefusedFile(CUT)
    return found
