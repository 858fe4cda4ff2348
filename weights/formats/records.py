"""Notes that the pickle machine takes about tensors, arrays and NVIDIA's persistent objects, and tensors made of them.

A record holds what the file says, checked so far that nothing can be out of bounds: a tensor lies within its storage
and has no more elements than it (no expanded views), a storage has the bytes that it claims.
"""

from __future__ import annotations

import io
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
MAX_DIMENSIONS = 8
MAX_SET = 32


@dataclass(eq=False)
class StorageRecord:
    """A run of ``count`` numbers in the file. ``read()`` gives them as a flat tensor."""

    dtype: torch.dtype
    count: int
    read: Callable[[], torch.Tensor] | None = None


@dataclass(eq=False)
class TensorRecord:
    storage: StorageRecord
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype:
        return self.storage.dtype

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.size, dtype=object)) * self.dtype.itemsize if self.size else self.dtype.itemsize

    def tensor(self) -> torch.Tensor:
        """The numbers, in memory of their own."""
        flat = self.storage.read()
        if flat.dtype != self.dtype or flat.numel() < self.storage.count:
            raise RefusedFile("This checkpoint is damaged: a stored tensor is not what the file says about it.")
        return torch.as_strided(flat, self.size, self.stride, self.offset).clone(memory_format=torch.contiguous_format)


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
    data: bytes | memoryview = b""

    def set_state(self, state: tuple) -> None:
        _version, shape, kind, fortran, data = state
        if isinstance(data, str):  # of Python 2; long ones come as views
            data = encode(data, "latin-1")
        if not isinstance(kind, DTypeRecord) or not isinstance(data, (bytes, memoryview)):
            raise TypeError
        if whole_numbers(shape) * kind.dtype().itemsize != len(data):
            raise ValueError
        self.shape, self.kind, self.fortran, self.data = shape, kind, bool(fortran), data

    def array(self) -> np.ndarray:
        if self.kind is None:
            raise RefusedFile("This checkpoint is damaged: an array in it has no content.")
        flat = np.frombuffer(self.data, self.kind.dtype())
        return flat.reshape(self.shape, order="F" if self.fortran else "C").copy()


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
    need = at + sum(8 + storages[key].count * storages[key].dtype.itemsize for key in keys)
    if need > len(data):
        raise RefusedFile("This checkpoint announces more numbers than it holds; download or copy it again.")
    return value, [storages[key] for key in keys], at


def storage_from_bytes(budget: Budget) -> Callable:
    """``torch.storage._load_from_bytes`` for one file: the bytes are a whole file of the old torch format.

    They are inspected at once; the numbers are read, by ``torch.load(weights_only=True)``, when a tensor wants them.
    """
    known: dict[int, tuple[object, StorageRecord]] = {}  # by identity: one run of bytes may be referred to often

    def load(data) -> StorageRecord:
        if id(data) in known:
            return known[id(data)][1]
        if not isinstance(data, (bytes, memoryview)) or not bytes(data[: len(LEGACY_START)]) == LEGACY_START:
            raise RefusedFile("This checkpoint is damaged: a stored tensor is not in the torch format.")
        record, storages, at = legacy_pickles(memoryview(data), TENSORS | PLAIN, budget)
        if not isinstance(record, StorageRecord) or len(storages) != 1:
            raise RefusedFile("This checkpoint is damaged: a stored tensor is not in the torch format.")
        if struct.unpack("<q", data[at : at + 8])[0] != record.count:
            raise RefusedFile("This checkpoint is damaged: a stored tensor is not in the torch format.")

        def read() -> torch.Tensor:
            stored = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            return torch.empty(0, dtype=record.dtype).set_(stored)

        record.read = read
        known[id(data)] = (data, record)
        return record

    return load
