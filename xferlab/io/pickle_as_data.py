"""Reads a pickle as data: nothing is imported, called or built that is not on a closed list.

A pickle is a program for a stack machine. ``parse_pickle`` runs the few opcodes that containers,
texts, numbers and tensors need, on values of its own; any other opcode, and any name that is not
given, is refused before anything happens. ``pickletools`` decodes their arguments.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 1 << 24
"""Of one pickle. That of a model's weights has some 100 bytes a tensor."""
MAX_OPCODES = 400_000
"""Of one pickle: some 25 a tensor."""

Build = Callable[..., Any]


@dataclass(frozen=True)
class Reference:
    """A persistent id: what the pickle says of an object that is stored elsewhere."""

    key: Any


@dataclass(frozen=True)
class Name:
    """A name of Python (``module name``) and what stands for it here."""

    text: str
    build: Build | None


def parse_pickle(
    data: bytes, callables: Mapping[str, Build], types: frozenset[str]
) -> tuple[Any, int]:
    """Return the value of the pickle that ``data`` begins with, and its length in bytes.

    Args:
        data: begins with a pickle of protocol 2 or later; bytes after its end are not looked at.
        callables: what stands for each name that may be called, by ``module name``.
        types: further names, which stand for themselves (as ``Name``) and cannot be called.

    Raises:
        ValueError: the pickle is damaged, or needs anything that is not given.
    """
    return _Machine(callables, types).run(data)


class _Machine:
    """The stack machine; one method for each kind of opcode."""

    def __init__(self, callables: Mapping[str, Build], types: frozenset[str]) -> None:
        self._callables = callables
        self._types = types
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> tuple[Any, int]:
        stream = io.BytesIO(data[:MAX_BYTES])
        for _ in range(MAX_OPCODES):
            opcode, argument = _decode(stream)
            if opcode == "STOP":
                return self._pop(), stream.tell()
            self._step(opcode, argument)
        raise ValueError(f"its pickle has more than {MAX_OPCODES:,} opcodes")

    def _step(self, opcode: str, argument: Any) -> None:
        if opcode in _IGNORED:
            return
        if opcode in _ARGUMENTS:
            self._stack.append(argument)
        elif opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode]())
        elif opcode in _TUPLES:
            self._stack.append(tuple(self._take(_TUPLES[opcode])))
        elif opcode in _PUTS:
            self._memo[len(self._memo) if argument is None else argument] = self._top()
        elif opcode in _GETS:
            self._get(argument)
        else:
            _METHODS[opcode](self, argument)

    def _pop(self) -> Any:
        bottom = self._marks[-1] if self._marks else 0
        if len(self._stack) <= bottom:
            raise ValueError("its pickle takes a value that is not there")
        return self._stack.pop()

    def _top(self) -> Any:
        value = self._pop()
        self._stack.append(value)
        return value

    def _take(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _take_marked(self) -> list[Any]:
        if not self._marks:
            raise ValueError("its pickle takes values that are not there")
        bottom = self._marks.pop()
        values = self._stack[bottom:]
        del self._stack[bottom:]
        return values

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise ValueError("its pickle refers to a value that is not there")
        self._stack.append(self._memo[number])

    def _mark(self, argument: Any) -> None:
        self._marks.append(len(self._stack))

    def _tuple(self, argument: Any) -> None:
        self._stack.append(tuple(self._take_marked()))

    def _global(self, argument: str) -> None:
        self._push_name(argument)

    def _stack_global(self, argument: Any) -> None:
        module, name = self._take(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("its pickle has a name that is no text")
        self._push_name(f"{module} {name}")

    def _push_name(self, text: str) -> None:
        if text not in self._callables and text not in self._types:
            raise ValueError(f"its pickle names {text[:60]!r}, which no weights need")
        self._stack.append(Name(text, self._callables.get(text)))

    def _persistent_id(self, argument: Any) -> None:
        self._stack.append(Reference(self._pop()))

    def _reduce(self, argument: Any) -> None:
        name, arguments = self._take(2)
        if not isinstance(name, Name) or name.build is None or not isinstance(arguments, tuple):
            raise ValueError("its pickle calls what cannot be called")
        try:
            self._stack.append(name.build(*arguments))
        except TypeError as error:
            raise ValueError(f"its pickle calls {name.text} with wrong arguments") from error

    def _append(self, argument: Any) -> None:
        self._extend([self._pop()])

    def _appends(self, argument: Any) -> None:
        self._extend(self._take_marked())

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise ValueError("its pickle appends to what is no list")
        target.extend(values)

    def _set_item(self, argument: Any) -> None:
        self._update(self._take(2))

    def _set_items(self, argument: Any) -> None:
        self._update(self._take_marked())

    def _update(self, values: list[Any]) -> None:
        target = self._top()
        keys = values[::2]
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError("its pickle sets items of what is no table")
        if not all(isinstance(key, str | int) for key in keys):
            raise ValueError("its pickle has a key that is neither text nor number")
        target.update(zip(keys, values[1::2], strict=True))

    def _build(self, argument: Any) -> None:
        """Drop the attributes of a table: those of a state dict are versions of modules."""
        self._pop()
        if not isinstance(self._top(), dict):
            raise ValueError("its pickle sets attributes of what has none")


def _decode(stream: io.BytesIO) -> tuple[str, Any]:
    """Return the name of the next opcode, which is one of those allowed, and its argument."""
    code = stream.read(1).decode("latin-1")
    if not code:
        raise ValueError("its pickle has no end")
    opcode = _OPCODES.get(code)
    if opcode is None or opcode.name not in _ALLOWED:
        name = opcode.name if opcode else repr(code)
        raise ValueError(f"its pickle has the opcode {name}, which no weights need")
    try:
        if opcode.name == "GLOBAL":
            return opcode.name, f"{_read_line(stream)} {_read_line(stream)}"
        return opcode.name, opcode.arg.reader(stream) if opcode.arg else None
    except (ValueError, OverflowError) as error:
        raise ValueError(f"its pickle is damaged: {str(error)[:80]}") from error


def _read_line(stream: io.BytesIO) -> str:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise ValueError("it ends in a name")
    return line[:-1].decode()


_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_IGNORED = frozenset({"PROTO", "FRAME"})
_ARGUMENTS = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
)
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = frozenset({"BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"BINGET", "LONG_BINGET"})
_METHODS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine._mark,
    "TUPLE": _Machine._tuple,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "BINPERSID": _Machine._persistent_id,
    "REDUCE": _Machine._reduce,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "BUILD": _Machine._build,
}
_ALLOWED = frozenset({"STOP"}).union(
    _IGNORED, _ARGUMENTS, _CONSTANTS, _TUPLES, _PUTS, _GETS, _METHODS
)
