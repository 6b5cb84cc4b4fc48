"""A run as HTML, which notebooks show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from xferlab.errors import printable


def render_run(title: str, scores: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    """Return a run's final scores and its epochs as two tables.

    Args:
        title: a line above them.
        scores: of ``metrics.json``.
        history: a row for each epoch.
    """
    splits = [split for split in ("validation", "test") if isinstance(scores.get(split), Mapping)]
    names = dict.fromkeys(name for split in splits for name in scores[split])
    final = [
        {"score": name} | {split: scores[split].get(name) for split in splits} for name in names
    ]
    columns = list(dict.fromkeys(name for row in history for name in row))
    tables = html_table(["score", *splits], final) + html_table(columns, history)
    return f"<p>{escape(printable(title))}</p>{tables}"


def html_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as an HTML table; every cell is escaped.

    >>> html_table(["lr"], [{"lr": 0.5}])
    '<table><tr><th>lr</th></tr><tr><td>0.5</td></tr></table>'
    """
    head = "".join(f"<th>{escape(printable(name))}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in columns) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return escape(printable(text))
