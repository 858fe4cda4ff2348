"""Notes that the pickle machine takes about tensors, arrays and NVIDIA's persistent objects, and tensors made of them.

A record holds what the file says, checked so far that nothing can be out of bounds: a tensor lies within its storage
and has no more elements than it (no expanded views), a storage has the bytes that it claims.
"""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from ..errors import RefusedFile, shown
from .machine import Budget, Calls, Global, Machine

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first of the pickles in a file of the old torch format
LEGACY_START = pickle.dumps(LEGACY_MAGIC, protocol=2)
STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# How each type lies in the file, and as what it is kept; NumPy has no bfloat16.
NUMBERS = {
    torch.float32: ("<f4", np.float32),
    torch.float64: ("<f8", np.float32),
    torch.float16: ("<f2", np.float32),
    torch.bfloat16: ("<u2", np.uint32),
    torch.int64: ("<i8", np.int64),
    torch.int32: ("<i4", np.int32),
    torch.int16: ("<i2", np.int16),
    torch.int8: ("i1", np.int8),
    torch.uint8: ("u1", np.uint8),
    torch.bool: ("u1", np.bool_),
}
MAX_DIMENSIONS = 8
MAX_SET = 32


@dataclass(eq=False)
class StorageRecord:
    """A run of ``count`` numbers. ``data`` is a view of them in the mapped file: all tensors of a storage share it."""

    dtype: torch.dtype
    count: int
    data: memoryview | None = None

    @property
    def nbytes(self) -> int:
        return self.count * self.dtype.itemsize


@dataclass(eq=False)
class TensorRecord:
    storage: StorageRecord
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype:
        return self.storage.dtype

    def tensor(self) -> torch.Tensor:
        """The numbers, in memory of their own, contiguous; floating-point ones as float32."""
        if self.storage.data is None or len(self.storage.data) < self.storage.nbytes:
            raise RefusedFile("This checkpoint is damaged: a stored tensor is not what the file says about it.")
        stored, kept = NUMBERS[self.dtype]
        out = np.empty(self.size, kept)
        if out.size:
            flat = np.frombuffer(self.storage.data, stored, self.storage.count)[self.offset :]
            step = np.dtype(stored).itemsize
            view = np.lib.stride_tricks.as_strided(flat, self.size, [step * n for n in self.stride], writeable=False)
            with np.errstate(over="ignore"):  # becomes infinite, which is refused
                np.copyto(out, view != 0 if self.dtype == torch.bool else view, casting="unsafe")
        if self.dtype == torch.bfloat16:  # the upper half of a float32
            out <<= 16
            out = out.view(np.float32)
        return torch.from_numpy(out)


@dataclass(eq=False)
class ModuleRecord:
    """An object of NVIDIA's persistence: a class name and a state (its ``__dict__``). Its source text is not kept."""

    class_name: str
    state: dict


@dataclass(eq=False)
class NamespaceRecord:
    """The arguments of a training program (argparse)."""

    values: dict = field(default_factory=dict)

    def set_state(self, state: dict) -> None:
        if not isinstance(state, dict):
            raise TypeError
        self.values = state


@dataclass(eq=False)
class DTypeRecord:
    """A NumPy number type."""

    kind: str
    order: str = "="

    def set_state(self, state: tuple) -> None:
        order = state[1]
        if order not in ("<", ">", "=", "|"):
            raise ValueError
        self.order = order

    def dtype(self) -> np.dtype:
        return np.dtype(self.order + self.kind)


@dataclass(eq=False)
class ArrayRecord:
    """A NumPy array whose numbers are known to be there."""

    shape: tuple[int, ...] = ()
    kind: DTypeRecord | None = None
    fortran: bool = False
    data: bytes | memoryview | str = b""

    def set_state(self, state: tuple) -> None:
        _version, shape, kind, fortran, data = state
        if isinstance(data, str):  # of Python 2; long ones come as views
            encode(data, "latin-1")  # whether it can be: a copy is made when it is used, for many may share it
        if not isinstance(kind, DTypeRecord) or not isinstance(data, (bytes, memoryview, str)):
            raise TypeError
        if whole_numbers(shape) * kind.dtype().itemsize != len(data):
            raise ValueError
        self.shape, self.kind, self.fortran, self.data = shape, kind, bool(fortran), data

    def tensor(self) -> torch.Tensor:
        """The numbers, in memory of their own, contiguous; floating-point ones as float32."""
        if self.kind is None:
            raise RefusedFile("This checkpoint is damaged: an array in it has no content.")
        data = encode(self.data, "latin-1") if isinstance(self.data, str) else self.data
        flat = np.frombuffer(data, self.kind.dtype()).reshape(self.shape, order="F" if self.fortran else "C")
        kept = np.float32 if self.kind.kind[0] == "f" else flat.dtype.newbyteorder("=")
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return torch.from_numpy(np.array(flat, kept, order="C"))


def whole_numbers(size: object) -> int:
    """Checks a shape and gives its number of elements."""
    if not isinstance(size, (tuple, list)) or len(size) > MAX_DIMENSIONS:
        raise ValueError
    total = 1
    for n in size:
        if type(n) is not int or n < 0:
            raise ValueError
        total *= n
    return total


def tensor_record(storage, offset, size, stride, *_rest) -> TensorRecord:
    """``torch._utils._rebuild_tensor_v2``; gradients, hooks and metadata are of no use here."""
    if not isinstance(storage, StorageRecord):
        raise TypeError
    elements = whole_numbers(size)
    whole_numbers(stride)
    if type(offset) is not int or offset < 0 or len(size) != len(stride):
        raise ValueError
    if elements:
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if last >= storage.count or elements > storage.count:
            raise ValueError
    return TensorRecord(storage, offset, tuple(size), tuple(stride))


def parameter(data, *_rest) -> TensorRecord:
    if not isinstance(data, TensorRecord):
        raise TypeError
    return data


def number_type(kind: str, *_flags) -> DTypeRecord:
    if not isinstance(kind, str) or not re.fullmatch(r"[biuf][1248]", kind):
        raise RefusedFile(f"This file holds NumPy values of type {shown(kind, 20)}, which no checkpoint needs.")
    return DTypeRecord(kind)


def scalar(kind: DTypeRecord, data: bytes) -> int | float | bool:
    if not isinstance(kind, DTypeRecord) or len(data) > 8:
        raise TypeError
    return np.frombuffer(data, kind.dtype())[0].item()


def encode(text: str, encoding: str) -> bytes:
    """``_codecs.encode``: how protocol 2 writes bytes."""
    if not isinstance(text, str) or len(text) > 4096 or encoding not in ("latin1", "latin-1"):
        raise ValueError
    return text.encode("latin-1")


def nothing(*args) -> frozenset:
    """Stands for a set: no reader looks into one. Small ones only, for torch builds the same set again."""
    if len(args) > 1 or (args and (not isinstance(args[0], (list, tuple)) or len(args[0]) > MAX_SET)):
        raise ValueError
    return frozenset()


def empty_dict(*args) -> dict:
    if args:
        raise ValueError
    return {}


def empty_list(*args) -> list:
    if args:
        raise ValueError
    return []


def module(meta: dict) -> ModuleRecord:
    """``_reconstruct_persistent_obj``: takes class name and state out of the record, and nothing else."""
    if meta["type"] != "class" or not isinstance(meta["class_name"], str) or not isinstance(meta["state"], dict):
        raise ValueError
    return ModuleRecord(meta["class_name"], meta["state"])


def _numpy(prefix: str) -> Calls:
    return {
        (f"{prefix}.multiarray", "scalar"): scalar,
        (f"{prefix}.multiarray", "_reconstruct"): lambda *args: ArrayRecord(),
    }


PLAIN: Calls = {
    ("collections", "OrderedDict"): empty_dict,
    ("collections", "defaultdict"): lambda *args: {},
    ("builtins", "set"): nothing,
    ("builtins", "dict"): empty_dict,
    ("builtins", "list"): empty_list,
    ("__builtin__", "set"): nothing,
    ("__builtin__", "dict"): None,
    ("argparse", "Namespace"): lambda: NamespaceRecord(),
    ("_codecs", "encode"): encode,
    ("numpy", "dtype"): number_type,
    ("numpy", "ndarray"): None,
    **_numpy("numpy.core"),
    **_numpy("numpy._core"),
}
TENSORS: Calls = {
    ("torch._utils", "_rebuild_tensor"): tensor_record,
    ("torch._utils", "_rebuild_tensor_v2"): tensor_record,
    ("torch._utils", "_rebuild_parameter"): parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): parameter,
    ("torch", "Size"): lambda size: size,
    ("torch", "device"): lambda *args: None,
    **{("torch", name): None for name in STORAGES},
    **{("torch", str(dtype).removeprefix("torch.")): None for dtype in STORAGES.values()},
}
PERSISTENCE: Calls = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): module,
    ("dnnlib.util", "EasyDict"): empty_dict,
}


def storage_type(kind: object) -> torch.dtype:
    if not isinstance(kind, Global) or kind.module != "torch" or kind.name not in STORAGES:
        raise RefusedFile("This file holds tensors of a type that no checkpoint needs.")
    return STORAGES[kind.name]


# -- the old torch format: five pickles, then the numbers


def legacy_pickles(data, calls: Calls, budget: Budget, on_foreign=None) -> tuple[object, list[StorageRecord], int]:
    """Walks through a file of the old torch format without unpickling it.

    Gives the object (with records in it), its storages in the order of the file, and the offset behind the last
    pickle. Raises RefusedFile where the numbers announced are not there.
    """
    data = memoryview(data)
    storages: dict[str, StorageRecord] = {}

    def persistent(identifier: tuple) -> StorageRecord:
        kind, storage, key, _location, count, *view = identifier
        if kind != "storage" or not isinstance(key, str) or type(count) is not int or count < 0 or any(view):
            raise ValueError
        dtype = storage_type(storage)
        if count * dtype.itemsize > len(data):
            raise RefusedFile("This checkpoint announces more numbers than it holds; download or copy it again.")
        return storages.setdefault(key, StorageRecord(dtype, count))

    def next_pickle(**options):
        nonlocal at
        machine = Machine(data, calls, on_foreign=on_foreign, start=at, budget=budget, **options)
        value = machine.run()
        at = machine.end
        return value

    at = 0
    magic, _protocol, system = next_pickle(), next_pickle(), next_pickle()
    if magic != LEGACY_MAGIC or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedFile("This is not a checkpoint of the old torch format.")
    value, keys = next_pickle(persistent=persistent), next_pickle()
    if not isinstance(keys, list) or len(keys) != len(storages) or any(key not in storages for key in keys):
        raise RefusedFile("This checkpoint is damaged: its list of tensors does not fit its content.")
    found, begin = [storages[key] for key in keys], at
    for storage in found:  # each is a count of eight bytes and the numbers
        begin += 8 + storage.nbytes
        if begin > len(data):
            raise RefusedFile("This checkpoint announces more numbers than it holds; download or copy it again.")
        storage.data = data[begin - storage.nbytes : begin]
        if struct.unpack("<q", data[begin - storage.nbytes - 8 : begin - storage.nbytes])[0] != storage.count:
            raise RefusedFile("This checkpoint is damaged: a stored tensor is not what the file says about it.")
    return value, found, at


def storage_from_bytes(budget: Budget) -> Callable:
    """``torch.storage._load_from_bytes`` for one file: the bytes are a whole file of the old torch format.

    They are inspected at once; the numbers are copied when a tensor wants them.
    """
    known: dict[int, tuple[object, StorageRecord]] = {}  # by identity: one run of bytes may be referred to often

    def load(data) -> StorageRecord:
        if id(data) in known:
            return known[id(data)][1]
        if not isinstance(data, (bytes, memoryview)) or not bytes(data[: len(LEGACY_START)]) == LEGACY_START:
            raise RefusedFile("This checkpoint is damaged: a stored tensor is not in the torch format.")
        record, storages, _at = legacy_pickles(data, TENSORS | PLAIN, budget)
        if not isinstance(record, StorageRecord) or len(storages) != 1:
            raise RefusedFile("This checkpoint is damaged: a stored tensor is not in the torch format.")
        known[id(data)] = (data, record)
        return record

    return load
