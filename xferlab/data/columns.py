"""Column names: pairs of columns, and errors for a column that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from xferlab.config.overrides import format_for_shell
from xferlab.data.notes import join_some
from xferlab.errors import ConfigError, nearest

SHOWN = 20
"""Names of columns that a message lists."""
PAIRS = (
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question", "passage"),
    ("question", "context"),
    ("question", "answer"),
    ("query", "passage"),
    ("query", "document"),
    ("query", "title"),
    ("anchor", "positive"),
    ("first", "second"),
    ("left", "right"),
    ("source", "target"),
    ("text", "pair"),
)
"""Names of the two text columns of a pair, besides numbered ones."""
_COUNTED = re.compile(r"(.*?)([_\- .]?)(1|2|[ab]|one|two|left|right)", re.IGNORECASE)
_SECOND = {"1": "2", "a": "b", "one": "two", "left": "right"}


def second_of(name: str, known: Iterable[str]) -> str | None:
    """Return the column of the second texts for a column of first texts.

    >>> second_of("sentence1", ["id", "sentence1", "sentence2"])
    'sentence2'
    >>> second_of("text", ["text", "label"]) is None
    True
    """
    by_lower = {column.lower(): column for column in known}
    lower = name.lower()
    for first, second in PAIRS:
        if lower == first and second in by_lower:
            return by_lower[second]
    match = _COUNTED.fullmatch(lower)
    if match is None or match[3] not in _SECOND:
        return None
    return by_lower.get(f"{match[1]}{match[2]}{_SECOND[match[3]]}")


def pair_of(known: Sequence[str]) -> tuple[str, str] | None:
    """Return the first two columns that are the two texts of a pair, by their names."""
    for name in known:
        second = second_of(name, known)
        if second is not None:
            return name, second
    return None


def missing_column(name: str, known: Iterable[str], source: str, key: str) -> ConfigError:
    """Return the error for a column that ``source`` does not have."""
    names = list(known)
    return ConfigError(
        f"{source} has no column '{name}'; its columns are: {join_some(names, SHOWN)}",
        where=key,
        fix=_column_meant(name, names, key),
    )


def _column_meant(name: str, names: Sequence[str], key: str) -> str:
    group = key.rpartition(".")[0]
    pair = pair_of(names) if key.endswith(".text") else None
    if pair:
        both = f"{format_for_shell(key, pair[0])} {format_for_shell(f'{group}.pair', pair[1])}"
        return f"if a row is two texts: {both}"
    near = nearest(name, names)
    flag = key.startswith("--")
    if near:
        return f"did you mean {format_for_shell(key, near)}?"
    return f"{key}{' ' if flag else '='}COLUMN, one of those"
