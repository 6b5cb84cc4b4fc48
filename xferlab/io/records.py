"""JSON files of a run's or a sweep's folder, read as data whoever wrote them."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError

LARGEST_FILE = 4_000_000  # bytes, unless a caller sets another limit
MOST_VALUES = 2_000_000
DEEPEST = 32
LONGEST_NUMBER = 300  # digits; a float has no more

Shape = Any
"""What a value must be:

- a type: ``str``, ``int``, ``bool``, ``float`` (an int is one too), ``dict``, ``list``, ``object``
  (anything);
- ``None``; a ``range`` that contains an int; a compiled pattern that a text matches as a whole;
- ``[shape]``: a list of those; ``(shape, shape)``: one of these;
- ``{"key": shape}``: a table with that key. ``"key?"`` may be missing, ``"*"`` stands for every
  key that is not named; without it such keys may hold anything.
"""

_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_WORDS |= {dict: "a table", list: "a list", object: "anything", type(None): "null"}


def read_record(
    path: Path,
    shape: Shape,
    *,
    largest: int = LARGEST_FILE,
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Any:
    """Return the content of a JSON file that has the given shape.

    It is an ordinary file, no link, of at most ``largest`` bytes, two million values and 32 levels;
    its texts can be encoded. They may contain anything: show them through ``errors.printable``
    or ``rich.markup.escape``, and make no path of them unless the shape was a pattern of names.

    Args:
        path: the file.
        shape: what it must hold, see :data:`Shape`.
        largest: bytes.
        upgrade: gives the object of an older version the present keys.

    Raises:
        ConfigError: it is not there, or not such a file.
    """
    try:
        text = read_text(path, largest)
        if sum(map(text.count, ",[{")) > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES:,} values")
        value = json.loads(text, parse_int=_whole_number)
        _refuse_odd(value)
        if upgrade and isinstance(value, dict):
            value = upgrade(value)
        wrong = next(_misfits(value, shape, ""), None)
    except FileNotFoundError:
        raise damaged(path, f"there is no {path.name} in this folder") from None
    except RecursionError:
        raise damaged(path, f"{path.name} is damaged: it is too deep") from None
    except json.JSONDecodeError as e:
        raise damaged(path, f"{path.name} is damaged: it is not JSON ({e})") from None
    except OSError as e:
        raise damaged(path, f"{path.name} cannot be read: {e.strerror}") from None
    except ValueError as e:
        raise damaged(path, f"{path.name} is damaged: {e}") from None
    if wrong:
        raise damaged(path, f"{path.name} is damaged: {wrong}")
    return value


def read_text(path: Path, largest: int = LARGEST_FILE) -> str:
    """Return the text of a small ordinary file: no link is followed, no pipe waited for.

    Raises:
        OSError: it is not there or cannot be read.
        ValueError: it is a link, no ordinary file, too large, or not UTF-8.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        if e.errno == errno.ELOOP:
            raise ValueError("it is a link") from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError("it is no ordinary file")
    with os.fdopen(handle, "rb") as stream:
        data = stream.read(largest + 1)
    if len(data) > largest:
        raise ValueError(f"it has more than {largest:,} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise ValueError(f"byte {e.start} is not UTF-8") from None


def _whole_number(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number in it has more than {LONGEST_NUMBER} digits")
    return int(digits)


def damaged(path: Path, what: str) -> ConfigError:
    """Return the error of a file that xferlab did not leave like that."""
    return ConfigError(
        what,
        where=str(path),
        fix="name a folder that xferlab made; get a fresh copy if somebody sent it to you",
    )


def _refuse_odd(value: Any) -> None:
    """Raise ValueError for depth and for halves of characters, which no terminal or file takes."""
    level = [value]
    depth = 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"it is deeper than {DEEPEST} levels")
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += [*one, *one.values()]
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str) and _HALF.search(one):
                raise ValueError("it holds half a character (a lone surrogate)")
        level = below


_HALF = re.compile("[\ud800-\udfff]")


def _misfits(value: Any, shape: Shape, where: str) -> Iterator[str]:
    """Yield a sentence for everything that does not fit the shape."""
    if isinstance(shape, tuple):
        if all(any(True for _ in _misfits(value, one, where)) for one in shape):
            yield _describe(value, where, " or ".join(map(_word, shape)))
    elif isinstance(shape, Mapping) and isinstance(value, dict):
        yield from _misfitting_keys(value, shape, where)
    elif isinstance(shape, list) and isinstance(value, list):
        for i, one in enumerate(value):
            yield from _misfits(one, shape[0], f"{where}[{i}]")
    elif not _fits(value, shape):
        yield _describe(value, where, _word(shape))


def _misfitting_keys(value: Any, shape: Mapping[str, Shape], where: str) -> Iterator[str]:
    named = {key.removesuffix("?"): one for key, one in shape.items() if key != "*"}
    for key in shape:
        if key != "*" and not key.endswith("?") and key not in value:
            yield f"it has no '{_joined(where, key)}'"
    for key, one in value.items():
        expected = named.get(key, shape.get("*", object))
        yield from _misfits(one, expected, _joined(where, key))


def _fits(value: Any, shape: Shape) -> bool:
    if isinstance(shape, range):
        return type(value) is int and value in shape
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    if shape is None or shape is object:
        return shape is object or value is None
    if shape is float:
        return type(value) in (int, float)
    return type(value) is shape


def _word(shape: Shape) -> str:
    if isinstance(shape, range):
        return f"a whole number from {shape.start} to {shape.stop - 1}"
    if isinstance(shape, re.Pattern):
        return f"like {shape.pattern}"
    if isinstance(shape, Mapping | list):
        shape = type(shape)
    return _WORDS[type(None) if shape is None else shape]


def _joined(where: str, key: str) -> str:
    return f"{where}.{key[:60]}" if where else key[:60]


def _describe(value: Any, where: str, wanted: str) -> str:
    shown = repr(value) if isinstance(value, str | int | float | bool) else ""
    given = _WORDS[type(value)] if len(shown) > 60 or not shown else shown
    return f"{where or 'it'} is {given}, not {wanted}"
