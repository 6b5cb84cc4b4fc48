"""Texts of strangers in files that others open: nothing in them is obeyed.

Every control character and every sign that turns the direction of writing is shown as ``\\x..``.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from xferlab.errors import printable

FORMULA = ("=", "+", "-", "@")
"""How a cell begins that a spreadsheet would compute (OWASP, CSV injection)."""
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

    >>> csv_cell("=1+1"), csv_cell(" -x"), csv_cell(-1.5), csv_cell("a=b")
    ("'=1+1", "' -x", '-1.5', 'a=b')
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown


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
