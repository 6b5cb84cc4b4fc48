"""Texts of run folders in HTML: shown, never obeyed."""

from __future__ import annotations

from html import escape
from typing import Any

from xferlab.errors import printable

LONGEST = 300
"""Characters of a text from a run's folder; the rest is cut off."""


def text(value: Any) -> str:
    """Return a text as HTML, with nothing in it that a browser or a terminal would obey.

    >>> text("<b>\\x1b[2J")
    '&lt;b&gt;\\\\x1b[2J'
    """
    words = printable(str(value))
    return escape(words if len(words) <= LONGEST else words[:LONGEST] + "…")
