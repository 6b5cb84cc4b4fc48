"""Numbers, durations, paths and scores as text for people."""

from __future__ import annotations

import os
import textwrap
import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

LABEL_WIDTH = 11
"""Characters of a line's label, as in ``schedule   ``."""
COMMANDS = ("saved to", "view", "train      python")
"""Labels of lines to be copied, which are not folded."""


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, plural where it is not one.

    >>> format_count(1, "step"), format_count(1200, "step"), format_count(2, "class")
    ('1 step', '1,200 steps', '2 classes')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith(('s', 'x', 'tch')) else 's'}"


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> format_duration(8), format_duration(95), format_duration(7300)
    ('8 s', '1 min 35 s', '2 h 1 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def format_size(count: float) -> str:
    """Return a number of bytes in the unit that leaves at most three digits before the point.

    >>> format_size(512), format_size(371_146_213), format_size(1_583_544_840)
    ('512 bytes', '371 MB', '1.6 GB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.{1 if unit == 1e9 else 0}f} {name}"
    return f"{count:.0f} bytes"


def format_learning_rate(rate: float, digits: int = 2) -> str:
    """Return a learning rate as short as it can be typed.

    >>> [format_learning_rate(rate) for rate in (5e-5, 0.000318, 0.01, 0.25, 1.0, 0)]
    ['5e-5', '3.2e-4', '1e-2', '0.25', '1', '0']
    """
    if rate == 0 or 0.1 <= rate < 100:
        return f"{rate:.{digits}g}"
    mantissa, _, exponent = f"{rate:.{digits - 1}e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def format_scores(scores: Mapping[str, float]) -> str:
    """Return scores by name with four decimals.

    >>> format_scores({"loss": 0.51234, "accuracy": 0.75})
    'loss 0.5123  accuracy 0.7500'
    """
    return "  ".join(f"{name} {value:.4f}" for name, value in scores.items())


def format_type(hint: Any) -> str:
    """Return an annotation as people read it.

    >>> [format_type(each) for each in (float, int | None, list[str], Enum("Resume", "never auto"))]
    ['float', 'int or null', 'list[str]', 'never|auto']
    """
    if hint is Any:
        return "any"
    if hint is type(None):
        return "null"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "|".join(member.name for member in hint)
    parts = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(format_type, parts))
    if parts:
        return f"{origin.__name__}[{', '.join(map(format_type, parts))}]"
    return str(getattr(hint, "__name__", hint))


def format_path(path: Path) -> str:
    """Return a path relative to the working directory where it is below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(os.pardir) else relative


def fold(line: str, width: int | None, indent: int = LABEL_WIDTH) -> str:
    """Return a labelled line on as many lines as a terminal needs, the text below the text.

    >>> print(fold("note       two words", 17))
    note       two
               words
    """
    if width is None or len(line) <= width or "\n" in line or line.startswith(COMMANDS):
        return line
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


def terminal_width(stream: Any) -> int | None:
    """Return the columns of the terminal that a stream writes to, None if it is no terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (AttributeError, OSError, ValueError):
        return None
