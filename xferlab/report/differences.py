"""A comparison as lines, as rows of JSON and as rows of a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from xferlab.errors import printable
from xferlab.report.comparison import Compared, Comparison, describe_result, describe_test
from xferlab.report.tables import format_difference, format_p_value, format_setting

MAX_LINES = 10


def difference_lines(comparison: Comparison | None, mode: str) -> list[str]:
    """Return the lines for a terminal: the test, then one for each other setting."""
    if comparison is None:
        return []
    lines = [f"test       {line}" for line in (describe_test(comparison), comparison.note) if line]
    for each in comparison.others[:MAX_LINES]:
        row = difference_row(each, mode)
        lines.append(
            f"           {row['setting'] or 'the other'}: best minus this {row['difference']}"
            f" ({row['95 % interval']}), p {row['p']}: {row['what it means']}"
        )
    return [printable(line) for line in lines]


def difference_row(each: Compared, mode: str) -> dict[str, str]:
    """Return a comparison as a row of texts."""
    found = each.difference
    return {
        "setting": format_setting(each.setting.values),
        "runs": f"{found.runs[0]} and {found.runs[1]}",
        "examples": f"{found.examples:,}" if found.examples else "",
        "difference": format_difference(found.mean),
        "95 % interval": f"{format_difference(found.low)} to {format_difference(found.high)}",
        "p": format_p_value(each.p),
        "what it means": describe_result(each, mode),
    }


def difference_rows(comparison: Comparison | None) -> list[dict[str, Any]]:
    """Return every comparison for programs."""
    if comparison is None:
        return []
    return [
        {
            **each.setting.values,
            "split": comparison.split,
            "score": comparison.score,
            **{key: _finite(value) for key, value in asdict(each.difference).items()},
            "p_holm": each.p,
            "note": comparison.note,
        }
        for each in comparison.others
    ]


def _finite(value: Any) -> Any:
    return None if value == float("inf") else value
