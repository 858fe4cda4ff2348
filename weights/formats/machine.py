"""A pickle machine that builds nothing but plain values and records.

A pickle is a program. This module runs the harmless part of it, in plain Python: containers, numbers, strings,
and *calls*, each of which must be in the table that the caller hands over, where it names a function of ours that
only checks its arguments and takes notes. No module is imported by name, no class of the file's choosing exists,
and what the file can make us allocate, and how long it can keep us busy, is bounded by its ``Budget``. The functions
in the table must do work that does not grow with their arguments, because one argument can be passed many times; text
and bytes that they return are charged.

Instruction set: https://github.com/python/cpython/blob/main/Lib/pickletools.py. The text instructions of protocol 0,
instances of old classes and extension codes are not part of it; no checkpoint needs them.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import RefusedFile, shown

MAX_INTEGER = 16  # bytes
MAX_KEY = 8  # members of a tuple that is used as a key
MAX_NAME = 4096  # bytes: longer strings of Python 2, where text and data are one type, are data


@dataclass(frozen=True)
class Global:
    """A name that the file refers to. It stays a name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass
class Budget:
    """What one file may use up, the pickles inside of it included."""

    steps: int = 500_000  # a published 1024 px checkpoint takes about 40 000; each can leave some 200 bytes behind
    text: int = 16 * 2**20  # bytes; the longest honest texts are a few source files of about 30 kB
    keys: int = 8192  # keys other than text, whose hashes anybody can make collide; optimizers count their parameters

    def take_text(self, count: int) -> None:
        self.text -= max(count, 0)
        if self.text < 0:
            raise RefusedFile("This pickle holds more text than any checkpoint has, so it is not read.")

    def take_key(self) -> None:
        self.keys -= 1
        if self.keys < 0:
            raise RefusedFile("This pickle uses more numbers as keys than any checkpoint does, so it is not read.")


class Marker:
    """Stands on the stack where a container begins."""


MARK = Marker()
Calls = dict[tuple[str, str], Callable]


class Machine:
    """Runs one pickle inside ``data`` from ``start``; afterwards ``end`` is the offset behind it.

    Args:
        data: anything that a memoryview can be made of (bytes, mmap).
        calls: ``{(module, name): function(*args)}``, both for calls and for new objects. A value of None admits the
            name as an argument of other calls, but not to be called.
        persistent: what to do with a persistent identifier (``torch.save`` writes storages so); None refuses them.
        on_foreign: called with a ``Global`` that is not in ``calls``, before it is refused, to raise a better sentence.

    Raises:
        RefusedFile: for anything else than the above.
    """

    def __init__(
        self,
        data,
        calls: Calls,
        persistent: Callable | None = None,
        on_foreign: Callable[[Global], None] | None = None,
        start: int = 0,
        budget: Budget | None = None,
    ):
        self.data = memoryview(data)
        self.calls, self.persistent, self.on_foreign = calls, persistent, on_foreign
        self.at = self.end = start
        self.stack: list = []
        self.memo: dict[int, object] = {}
        self.budget = budget or Budget()

    # -- reading the bytes

    def take(self, count: int) -> memoryview:
        if count < 0 or self.at + count > len(self.data):
            raise RefusedFile("This file ends in the middle of its data; download or copy it again.")
        view = self.data[self.at : self.at + count]
        self.at += count
        return view

    def number(self, kind: str) -> int:
        return struct.unpack(kind, self.take(struct.calcsize(kind)))[0]

    def line(self) -> str:
        # A name: it ends with a newline and is short.
        window = bytes(self.data[self.at : self.at + 512])
        stop = window.find(b"\n")
        if stop < 0:
            raise RefusedFile("This pickle is damaged: a name in it has no end.")
        self.at += stop + 1
        return window[:stop].decode("utf-8", "replace")

    def string(self, count: int, encoding: str = "utf-8") -> str:
        self.budget.take_text(count)
        try:
            return str(self.take(count), encoding, "surrogatepass" if encoding == "utf-8" else "strict")
        except UnicodeDecodeError:
            raise RefusedFile("This pickle is damaged: a text in it is not valid.") from None

    def text_or_data(self, count: int) -> str | memoryview:
        """A string of Python 2: text, or where it is longer than any name a view of the data."""
        return self.take(count) if count > MAX_NAME else self.string(count, "latin-1")

    def integer(self, count: int) -> int:
        if count > MAX_INTEGER:
            raise RefusedFile("This pickle holds a number longer than any checkpoint has, so it is not read.")
        return int.from_bytes(self.take(count), "little", signed=True)

    # -- the stack

    def pop(self):
        if not self.stack or self.stack[-1] is MARK:
            raise RefusedFile("This pickle is damaged: its instructions do not fit together.")
        return self.stack.pop()

    def pop_to_mark(self) -> list:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is MARK:
                items = self.stack[i + 1 :]
                del self.stack[i:]
                return items
        raise RefusedFile("This pickle is damaged: its instructions do not fit together.")

    def top(self, kind: type):
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise RefusedFile("This pickle is damaged: it fills a container that is not there.")
        return self.stack[-1]

    def fetch(self, index: int):
        if index not in self.memo:
            raise RefusedFile("This pickle is damaged: it refers to a value that is not there.")
        return self.memo[index]

    # -- what the instructions do

    def find(self, module: object, name: object) -> Global:
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedFile("This pickle is damaged: something that is no text stands where a name belongs.")
        found = Global(module, name)
        if (found.module, found.name) not in self.calls:
            if self.on_foreign is not None:
                self.on_foreign(found)
            raise RefusedFile(f"This file asks for {shown(found)}, which no checkpoint needs, so it was not opened.")
        return found

    def call(self, function: object, args: object):
        if not isinstance(function, Global) or not isinstance(args, tuple):
            raise RefusedFile("This pickle is damaged: it calls something that is no function.")
        action = self.calls[function.module, function.name]
        if action is None:
            raise RefusedFile(f"This file calls {shown(function)}, which no checkpoint needs, so it was not opened.")
        try:
            value = action(*args)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError):
            raise RefusedFile(f"This file calls {shown(function)} with values that make no sense.") from None
        if isinstance(value, (str, bytes)):  # a copy of an argument, which may be passed again and again
            self.budget.take_text(len(value))
        return value

    def build(self, state: object) -> None:
        target = self.stack[-1] if self.stack else None
        if hasattr(target, "set_state"):
            try:
                target.set_state(state)
            except (TypeError, ValueError, IndexError, KeyError, AttributeError):
                raise RefusedFile("This file gives an object a state that makes no sense.") from None
        elif not isinstance(target, dict):  # a dict's own attributes (state dicts carry _metadata) are of no use to us
            raise RefusedFile("This pickle is damaged: it gives a state to a plain value.")

    def fill(self, target: dict, items: list) -> None:
        if len(items) % 2:
            raise RefusedFile("This pickle is damaged: a key in it has no value.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self.key(key)] = value

    def key(self, key: object):
        """``key``, if it may be one (see ``plain_key``)."""
        # Only the hashes of text and bytes are salted.
        if not isinstance(key, (str, bytes)):
            self.budget.take_key()
        return plain_key(key)

    def run(self):
        """The value that the pickle describes."""
        while self.budget.steps > 0:
            self.budget.steps -= 1
            code = self.take(1)[0]
            if code == pickle.STOP[0]:
                self.end = self.at
                return self.pop()
            action = INSTRUCTIONS.get(code)
            if action is None:
                raise RefusedFile(f"This pickle uses an instruction (0x{code:02x}) that no checkpoint needs.")
            action(self)
        raise RefusedFile("This pickle has more instructions than any checkpoint needs, so it is not read.")


def plain_key(key: object):
    """Keys whose hash is cheap: a deep tuple's would overflow the interpreter's own stack, long integers collide."""
    parts = key if isinstance(key, tuple) and len(key) <= MAX_KEY else (key,)
    for part in parts:
        if isinstance(part, int) and abs(part) >= 2**63:
            break
        if not isinstance(part, (str, int, float, bytes, Global, type(None))):
            break
    else:
        return key
    raise RefusedFile("This pickle uses a key that no checkpoint needs, so it is not read.")


# -- the table of instructions


def _push(value: Callable) -> Callable:
    def action(m: Machine) -> None:
        m.stack.append(value(m))

    return action


def _append(m: Machine) -> None:
    value = m.pop()
    m.top(list).append(value)


def _appends(m: Machine) -> None:
    items = m.pop_to_mark()
    m.top(list).extend(items)


def _add_items(m: Machine) -> None:
    items = m.pop_to_mark()
    m.top(set).update([m.key(item) for item in items])


def _set_item(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    m.fill(m.top(dict), [key, value])


def _set_items(m: Machine) -> None:
    items = m.pop_to_mark()
    m.fill(m.top(dict), items)


def _dict(m: Machine) -> dict:
    made: dict = {}
    m.fill(made, m.pop_to_mark())
    return made


def _tuple(count: int) -> Callable:
    return lambda m: tuple([m.pop() for _ in range(count)][::-1])


def _reduce(m: Machine):
    args = m.pop()
    return m.call(m.pop(), args)


def _new_with_keywords(m: Machine):
    keywords, args = m.pop(), m.pop()
    if keywords:
        raise RefusedFile("This pickle makes an object with named arguments, which no checkpoint needs.")
    return m.call(m.pop(), args)


def _stack_global(m: Machine) -> Global:
    name = m.pop()
    return m.find(m.pop(), name)


def _persistent(m: Machine):
    if m.persistent is None:
        raise RefusedFile("This pickle refers to data outside of itself, so it cannot be read.")
    identifier = m.pop()
    try:
        return m.persistent(identifier)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError):
        raise RefusedFile("This file refers to stored data in a way that makes no sense.") from None


def _put(index: Callable) -> Callable:
    def action(m: Machine) -> None:
        value = m.pop()
        m.stack.append(value)
        m.memo[index(m)] = value

    return action


INSTRUCTIONS: dict[int, Callable[[Machine], object]] = {
    code[0]: action
    for code, action in {
        pickle.PROTO: lambda m: m.take(1),
        pickle.FRAME: lambda m: m.take(8),
        pickle.MARK: lambda m: m.stack.append(MARK),
        pickle.POP: lambda m: m.stack.pop() if m.stack else m.pop(),
        pickle.POP_MARK: lambda m: m.pop_to_mark(),
        pickle.NONE: _push(lambda m: None),
        pickle.NEWTRUE: _push(lambda m: True),
        pickle.NEWFALSE: _push(lambda m: False),
        pickle.BININT: _push(lambda m: m.number("<i")),
        pickle.BININT1: _push(lambda m: m.number("<B")),
        pickle.BININT2: _push(lambda m: m.number("<H")),
        pickle.LONG1: _push(lambda m: m.integer(m.number("<B"))),
        pickle.LONG4: _push(lambda m: m.integer(m.number("<I"))),
        pickle.BINFLOAT: _push(lambda m: m.number(">d")),
        pickle.SHORT_BINUNICODE: _push(lambda m: m.string(m.number("<B"))),
        pickle.BINUNICODE: _push(lambda m: m.string(m.number("<I"))),
        pickle.BINUNICODE8: _push(lambda m: m.string(m.number("<Q"))),
        pickle.SHORT_BINSTRING: _push(lambda m: m.string(m.number("<B"), "latin-1")),  # str of Python 2
        pickle.BINSTRING: _push(lambda m: m.text_or_data(m.number("<i"))),
        pickle.SHORT_BINBYTES: _push(lambda m: bytes(m.take(m.number("<B")))),
        pickle.BINBYTES: _push(lambda m: m.take(m.number("<I"))),  # views: the data is copied when it is used
        pickle.BINBYTES8: _push(lambda m: m.take(m.number("<Q"))),
        pickle.BYTEARRAY8: _push(lambda m: m.take(m.number("<Q"))),
        pickle.EMPTY_TUPLE: _push(lambda m: ()),
        pickle.TUPLE1: _push(_tuple(1)),
        pickle.TUPLE2: _push(_tuple(2)),
        pickle.TUPLE3: _push(_tuple(3)),
        pickle.TUPLE: _push(lambda m: tuple(m.pop_to_mark())),
        pickle.EMPTY_LIST: _push(lambda m: []),
        pickle.LIST: _push(lambda m: m.pop_to_mark()),
        pickle.APPEND: _append,
        pickle.APPENDS: _appends,
        pickle.EMPTY_DICT: _push(lambda m: {}),
        pickle.DICT: _push(_dict),
        pickle.SETITEM: _set_item,
        pickle.SETITEMS: _set_items,
        pickle.EMPTY_SET: _push(lambda m: set()),
        pickle.ADDITEMS: _add_items,
        pickle.FROZENSET: _push(lambda m: frozenset([m.key(item) for item in m.pop_to_mark()])),
        pickle.GLOBAL: _push(lambda m: m.find(m.line(), m.line())),
        pickle.STACK_GLOBAL: _push(_stack_global),
        pickle.REDUCE: _push(_reduce),
        pickle.NEWOBJ: _push(_reduce),
        pickle.NEWOBJ_EX: _push(_new_with_keywords),
        pickle.BUILD: lambda m: m.build(m.pop()),
        pickle.BINPERSID: _push(_persistent),
        pickle.BINGET: _push(lambda m: m.fetch(m.number("<B"))),
        pickle.LONG_BINGET: _push(lambda m: m.fetch(m.number("<I"))),
        pickle.BINPUT: _put(lambda m: m.number("<B")),
        pickle.LONG_BINPUT: _put(lambda m: m.number("<I")),
        pickle.MEMOIZE: _put(lambda m: len(m.memo)),
    }.items()
}
