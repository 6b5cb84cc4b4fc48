"""Untrusted text in files and terminals: nothing in it is executed or interpreted.

One function for each kind of output: ``csv_cell`` (and ``csv_text``), ``json_line``, ``markdown``,
``html_text``, and for a terminal and a log ``errors.printable`` and ``guard_logs``.
"""

from __future__ import annotations

import copy
import csv
import html
import io
import json
import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any

from xferlab.errors import CONTROL, printable
from xferlab.formatting import fold, terminal_width

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet would compute (OWASP, CSV injection), also in full width."""
LONGEST = 300
"""Characters of a text from a run's folder that a page shows; the rest is cut off."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MARKUP = re.compile(r"([\\`*#\[\]]|(?<!\w)_|_(?!\w))|([|~$@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
"""Signs that a backslash takes the meaning from everywhere (a ``_`` within a word has none), and
those that must be written as a number: a table's bar, strike-through, a formula, an address."""


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV; strings are made harmless, numbers are written as they are."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def csv_cell(value: Any) -> Any:
    """Return a cell's value; a string that a spreadsheet would take for a formula gets a ``'``.

    Line breaks and tabs stay, other control characters are shown. A number is never changed, nor
    a string that is one.

    >>> csv_cell("=1+1"), csv_cell(" -x"), csv_cell(-1.5), csv_cell("-1"), csv_cell("a=b")
    ("'=1+1", "' -x", '-1.5', '-1', 'a=b')
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    if not isinstance(value, str):
        return value
    text = visible(value)
    begins = text.lstrip()
    is_formula = begins.startswith(FORMULA) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula or text.startswith(("\t", "\r")) else text


def visible(text: str) -> str:
    """Return ``text`` with its line breaks and tabs, and every other control character shown.

    >>> visible("a\\tb\\x1b[2J")
    'a\\tb\\\\x1b[2J'
    """
    return CONTROL.sub(lambda m: m[0] if m[0] in "\n\t" else f"\\x{ord(m[0]):02x}", text)


def json_line(value: Any) -> str:
    """Return a value as JSON on one line, which reads back as it was and moves no terminal.

    >>> json_line("é\\x9b")
    '"é\\\\u009b"'
    """
    text = json.dumps(value, ensure_ascii=False)
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def html_text(value: Any) -> str:
    """Return a text as HTML, with nothing in it that a browser or a terminal would obey.

    >>> html_text("<b>\\x1b[2J")
    '&lt;b&gt;\\\\x1b[2J'
    """
    return html.escape(shorten(value))


def shorten(value: Any) -> str:
    """Return a text on one line, cut where it is very long, with control characters shown.

    >>> shorten("a\\x1b[2J"), len(shorten("x" * 1000))
    ('a\\\\x1b[2J', 301)
    """
    text = printable(str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


class _GuardedFormatter(logging.Formatter):
    """Formats as another formatter does; a text within a line cannot begin another line.

    Args:
        inner: the other one; None for the message alone.
        stream: where the lines go; for a terminal they are folded at its width.
    """

    def __init__(self, inner: logging.Formatter | None, stream: Any) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()
        self._stream = stream

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        if isinstance(record.args, tuple):
            record.args = tuple(printable(a) if isinstance(a, str) else a for a in record.args)
        return fold(visible(self._inner.format(record)), terminal_width(self._stream))


def guard_logs() -> None:
    """Let no log of this process hold a control character, wherever it goes."""
    for handler in (*logging.getLogger().handlers, *logging.getLogger("xferlab").handlers):
        if not isinstance(handler.formatter, _GuardedFormatter):
            stream = getattr(handler, "stream", None)
            handler.setFormatter(_GuardedFormatter(handler.formatter, stream))


def markdown(text: object) -> str:
    """Return a text as Markdown that says the same, in a table too and as HTML, and does nothing.

    >>> print(markdown("<b>*a*</b> | [x](y) http://z val_loss"))
    &lt;b&gt;\\*a\\*&lt;/b&gt; &#124; \\[x\\](y) http&#58;//z val_loss
    """
    shown = html.escape(printable(str(text)), quote=False)
    return _MARKUP.sub(lambda m: f"\\{m[1]}" if m[1] else f"&#{ord(m[2])};", shown)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
