"""Pickles of numbers, read by a small interpreter of our own: nothing that a file names is called.

A pickle is a program for a stack machine. Python's own unpickler calls what the program names, and
numpy's callables trust their arguments: `numpy.ndarray((1,), 'O', bytes)` follows an address that the
file chose. Here only the opcodes run that `pickle.dumps` writes for a dictionary of numbers and arrays
(protocols 2 to 5, numpy 1 and 2), and arrays are built from a shape, one of a few number formats and
bytes of just that length. The opcodes' arguments are parsed by `pickletools.genops`, which runs nothing.
What is built stays as small as the file: bytes are used where they lie, and its names are a fixed list.

Opcodes: CPython's Lib/pickletools.py. See docs/decisions/0012.
"""

import dataclasses
import math
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid

MOST_OPCODES = 2_000_000
"""Features of 50,000 images saved one by one take 1.3 million; a hundred at a time, 13 thousand."""
FORMATS = ("f2", "f4", "f8", "i4", "i8")
NAMES = {"numpy ndarray", "numpy dtype", "_codecs encode"} | {
    f"{package}.{name}"
    for package in ("numpy.core", "numpy._core")
    for name in ("multiarray _reconstruct", "multiarray scalar", "numeric _frombuffer")
}
MARK = object()

Value = None | bool | int | float | np.ndarray


def loads(content: bytes) -> dict[str, Value | list[Value]]:
    """The numbers, arrays and lists of them by name that a pickle holds.

    Arrays are float16 to 64 or int32 or 64, of at most 2 axes, none empty, and together no larger
    than `content`.

    Raises:
        ValueError: it is damaged, or holds or calls anything else.
    """
    machine = _Machine(len(content))
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if opcode.name not in OPCODES or count >= MOST_OPCODES:
            raise Invalid(f"opcode {count} is {opcode.name}, which no file of numbers holds")
        OPCODES[opcode.name](machine, argument)
    (state,) = machine.pop(1)
    if not isinstance(state, dict):
        raise Invalid("it holds no dictionary")
    found = {
        name: [_value(each) for each in held] if isinstance(held, list) else _value(held)
        for name, held in state.items()
    }
    lists = (held if isinstance(held, list) else [held] for held in found.values())
    if sum(a.nbytes for held in lists for a in held if isinstance(a, np.ndarray)) > len(content):
        raise Invalid("it repeats its arrays")
    return found


class _Name:
    """A callable of `NAMES`, which is never looked up."""

    def __init__(self, words: str) -> None:
        if words not in NAMES:
            raise Invalid(f"it wants to run {words.replace(' ', '.')[:80]}, which is not opened")
        self.word = words.split()[1]


class _Format:
    """A number format; its byte order comes later."""

    def __init__(self, word: str) -> None:
        self.word, self.order = word, "<"

    def array(self, content: bytes, shape: tuple[Any, ...], order: Any = "C") -> np.ndarray:
        """The array whose bytes are all of `content`, without a copy."""
        dtype = np.dtype(self.order + self.word)
        if len(shape) > 2 or not all(type(axis) is int and axis > 0 for axis in shape):
            raise Invalid("an array has more than 2 axes, or an empty one")
        if len(content) != dtype.itemsize * math.prod(shape):
            raise Invalid(f"an array has {len(content):,} bytes, and its shape is of others")
        return np.frombuffer(content, dtype).reshape(shape, order=order)


@dataclasses.dataclass(eq=False)
class _Array:
    """An array, built after it was named."""

    value: np.ndarray | None = None


class _Machine:
    """The stack and memo of one program."""

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.left = size  # bytes that may still be made from text

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        """The last `count` values."""
        if len(self.stack) < count:
            raise Invalid("it takes more from its stack than is there")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def marked(self) -> list[Any]:
        """The values since the last mark."""
        for count, value in enumerate(reversed(self.stack)):
            if value is MARK:
                return self.pop(count + 1)[1:]
        raise Invalid("a mark is missing")

    def keep(self, index: int | None) -> None:
        """Remember the last value, by default at the next free place."""
        (value,) = self.pop(1)
        self.memo[len(self.memo) if index is None else index] = value
        self.push(value)

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise Invalid("it recalls what it did not keep")
        self.push(self.memo[index])

    def extend(self, values: list[Any]) -> None:
        if not self.stack or type(self.stack[-1]) is not list:
            raise Invalid("it appends to what is no list")
        self.stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        keys = values[::2]
        fits = len(values) % 2 == 0 and all(type(key) is str for key in keys)
        if not fits or not self.stack or type(self.stack[-1]) is not dict:
            raise Invalid("it sets what is no entry of a dictionary by a name")
        self.stack[-1].update(zip(keys, values[1::2], strict=True))

    def name(self) -> None:
        module, name = self.pop(2)
        self.push(_Name(f"{module} {name}" if type(module) is type(name) is str else "nothing"))

    def call(self) -> None:
        """Build what a callable would return for the arguments that numpy's pickles give it."""
        called, given = self.pop(2)
        match called.word if isinstance(called, _Name) else None, given:
            case "encode", (str(text), "latin1") if len(text) <= self.left:
                self.left -= len(text)
                self.push(text.encode("latin1"))
            case "dtype", (str(word), False, True) if word in FORMATS:
                self.push(_Format(word))
            case "_reconstruct", (_Name(word="ndarray"), (0,), b"b"):
                self.push(_Array())
            case "scalar", (_Format() as form, bytes(content)):
                self.push(form.array(content, ()).item())
            case "_frombuffer", (bytes() | bytearray(), _Format(), tuple(), "C" | "F"):
                content, form, shape, order = given
                self.push(_Array(form.array(content, shape, order)))
            case _:
                raise Invalid("it calls a function in a way that numpy's pickles do not")

    def build(self) -> None:
        """Give a number format its byte order, or an array its numbers."""
        built, state = self.pop(2)
        match built, state:
            case _Format(), (3, "<" | ">" as order, None, None, None, -1, -1, 0):
                built.order = order
            case _Array(), (1, tuple(shape), _Format() as form, bool(turned), bytes(content)):
                built.value = form.array(content, shape, "F" if turned else "C")
            case _:
                raise Invalid("it sets a state that numpy's pickles do not")
        self.push(built)


def _value(held: Any) -> Value:
    if isinstance(held, _Array) and held.value is not None:
        return held.value
    if held is None or type(held) in (bool, int, float):
        return held
    raise Invalid("it holds something that is neither a number nor an array")


def _protocol(_: _Machine, number: int) -> None:
    if not 2 <= number <= 5:
        raise Invalid(f"it is of protocol {number}; expected 2 to 5")


def _push(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


OPCODES: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _protocol,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _Machine.push),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE"), _Machine.push),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BYTEARRAY8"), _Machine.push),
    "NONE": _push(None),
    "NEWTRUE": _push(True),
    "NEWFALSE": _push(False),
    "MARK": _push(MARK),
    "EMPTY_TUPLE": _push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop(3))),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.marked())),
    "APPEND": lambda machine, _: machine.extend(machine.pop(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "SETITEM": lambda machine, _: machine.update(machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "GLOBAL": lambda machine, words: machine.push(_Name(words)),
    "STACK_GLOBAL": lambda machine, _: machine.name(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.keep),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.recall),
}
