"""Label formats: lists written as text, multi-hot lists, numbers with a decimal comma."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

INTEGER = re.compile(r"-?\d{1,300}")
FLOAT = re.compile(r"[+-]?(\d{1,300}\.?\d{0,300}|\.\d{1,300})([eE][+-]?\d{1,3})?")
COMMA = re.compile(r"[+-]?\d{0,300},\d{1,300}")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
NOTHING = frozenset(
    ("nan", "na", "n/a", "#n/a", "null", "none", "nil", "<na>", "-", "--", "?", "missing")
)
"""Names of a missing value, in lower case."""

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ITEM = re.compile(rf"({_QUOTED})|([^\s,'\"\[\](){{}}:]+)", re.DOTALL)
_BETWEEN = re.compile(r"\s*,\s*|\s+")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


def literal_list(text: str) -> list[Any] | None:
    """Return the items of a list that is written as text, or None for other text.

    JSON's, Python's (tuples and sets too) and numpy's way of writing are read; items are quoted
    texts, numbers, true, false and null.

    >>> literal_list("['joy', 'love']"), literal_list("[1 0 1]"), literal_list("[joy]")
    (['joy', 'love'], [1, 0, 1], None)
    """
    text = text.strip()
    if len(text) < 2 or _BRACKETS.get(text[0]) != text[-1]:
        return None
    inside = text[1:-1].strip()
    items: list[Any] = []
    at = 0
    while at < len(inside):
        found = _ITEM.match(inside, at)
        if not found:
            return None
        try:
            items.append(_unquoted(found[1]) if found[1] else _bare(found[2]))
        except ValueError:
            return None
        at = found.end()
        if at == len(inside):
            break
        between = _BETWEEN.match(inside, at)
        if not between:
            return None
        at = between.end()
    return items


def _unquoted(word: str) -> str:
    if "\\" not in word:
        return word[1:-1]
    try:
        return str(json.loads(word) if word[0] == '"' else ast.literal_eval(word))
    except (ValueError, SyntaxError) as e:
        raise ValueError(word) from e


def _bare(word: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if INTEGER.fullmatch(word):
        return int(word)
    if FLOAT.fullmatch(word):
        return float(word)
    raise ValueError(word)


def as_bit(value: Any) -> int | None:
    """Return 0 or 1 for a value that means one of them, else None."""
    if type(value) is int:
        return value if value in (0, 1) else None
    if isinstance(value, str):
        return {"0": 0, "1": 1, "0.0": 0, "1.0": 1}.get(value.strip())
    return int(value) if isinstance(value, bool | int | float) and value in (0, 1) else None


@dataclass(frozen=True)
class MultiHot:
    """Whether lists are multi-hot: a 0 or 1 for each class, not names of classes.

    Attributes:
        width: numbers in each list; 0 where lists are names.
        against: rows that are not multi-hot, though most others cannot be names.
        repeats: rows of names in which one occurs twice.
    """

    width: int
    against: tuple[int, ...] = ()
    repeats: tuple[int, ...] = ()


def detect_multi_hot(lists: Sequence[Sequence[Any]]) -> MultiHot:
    """Return whether lists are multi-hot.

    A list of names has each once; so lists of numbers with one twice are no names. Lists of two
    numbers that are all 0 and 1 cannot be names either: every row would have both.
    """
    signs = [i for i, row in enumerate(lists) if _repeats_number(row)]
    sizes = Counter(len(row) for row in lists)
    if not signs and set(sizes) == {2} and all(_is_multi_hot(row, 2) for row in lists):
        signs = list(range(len(lists)))
    if not signs:
        return MultiHot(0)
    width = Counter(len(lists[i]) for i in signs).most_common(1)[0][0]
    against = tuple(i for i, row in enumerate(lists) if not _is_multi_hot(row, width))
    if not against:
        return MultiHot(width)
    if 2 * len(signs) >= len(lists) or 2 * len(against) < len(lists):
        return MultiHot(width, against)
    return MultiHot(0, repeats=tuple(signs))


def _repeats_number(row: Sequence[Any]) -> bool:
    return len(set(map(str, row))) < len(row) and all(_is_number(value) for value in row)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return bool(FLOAT.fullmatch(value.strip()))
    return isinstance(value, bool | int | float)


def _is_multi_hot(row: Sequence[Any], width: int) -> bool:
    return len(row) == width and all(as_bit(value) is not None for value in row)


@dataclass(frozen=True)
class NumberFormats:
    """The kinds of the plain labels of a split, by row.

    Attributes:
        whole: rows with a whole number, without a point.
        pointed: rows with a number that has a point or an exponent.
        comma: rows with a decimal comma.
        words: rows with anything else.
        fractions: rows with a number that is no whole one.
        thousands: whether every number with a comma may have it between thousands.
    """

    whole: tuple[int, ...]
    pointed: tuple[int, ...]
    comma: tuple[int, ...]
    words: tuple[int, ...]
    fractions: tuple[int, ...]
    thousands: bool

    @property
    def count(self) -> int:
        """Rows that hold a number."""
        return len(self.whole) + len(self.pointed) + len(self.comma)


def number_formats(cells: Sequence[tuple[int, Any]]) -> NumberFormats:
    """Return which cells, each with its row, are numbers, and their format."""
    kinds: dict[str, list[int]] = {"whole": [], "pointed": [], "comma": [], "words": []}
    fractions: list[int] = []
    commas: set[str] = set()
    known: dict[str, tuple[str, bool]] = {}
    for row, value in cells:
        text = "word" if isinstance(value, bool) else str(value)
        if text not in known:
            known[text] = _format_of(text.strip())
            if known[text][0] == "comma":
                commas.add(text.strip())
        kind, is_fraction = known[text]
        kinds[kind].append(row)
        if is_fraction:
            fractions.append(row)
    thousands = bool(commas) and all(map(THOUSANDS.fullmatch, commas))
    rows = {name: tuple(found) for name, found in kinds.items()}
    return NumberFormats(**rows, fractions=tuple(fractions), thousands=thousands)


def _format_of(text: str) -> tuple[str, bool]:
    """Return the kind of a cell, and whether it is a number with a fraction."""
    for kind, pattern in (("whole", INTEGER), ("pointed", FLOAT), ("comma", COMMA)):
        if pattern.fullmatch(text):
            return kind, kind != "whole" and not float(text.replace(",", ".")).is_integer()
    return "words", False


def with_decimal_point(value: Any) -> Any:
    """Return a number with a decimal comma with a point; other values unchanged."""
    if isinstance(value, str) and COMMA.fullmatch(value.strip()):
        return value.strip().replace(",", ".")
    return value


def without_decimal_point(name: str) -> str:
    """Return a whole number without its point, other text unchanged.

    >>> without_decimal_point("1.0"), without_decimal_point("1.5"), without_decimal_point("a")
    ('1', '1.5', 'a')
    """
    if FLOAT.fullmatch(name) and not INTEGER.fullmatch(name) and float(name).is_integer():
        return str(int(float(name)))
    return name
