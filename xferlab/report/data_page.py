"""The page of ``data --html``: what a data set is like, in the style of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.report.html import Card, render_template
from xferlab.report.html_tables import NUMBER, Cell, HtmlTable, Row
from xferlab.report.svg import Line, LineChart, render_chart
from xferlab.statistics.summary import DataSummary
from xferlab.statistics.tables import Table
from xferlab.statistics.tokens import TokenCounts

STYLES = ("best", "c0", "c1")
POINTS = 60


@dataclass(frozen=True)
class Part:
    """One part of the page: a table, and a chart below it."""

    title: str
    note: str
    table: HtmlTable
    chart: dict[str, Any] | None


def render_data_page(summary: DataSummary, words: Sequence[str]) -> str:
    """Return the whole page.

    Args:
        summary: the statistics.
        words: the data as it is chosen: overrides.
    """
    spec = summary.spec
    classes = f", {spec.num_classes} classes" if spec.class_names else ""
    parts = []
    for table in summary.tables():
        chart = _length_chart(summary) if table.title == "tokens" else None
        heading = table.title[:1].upper() + table.title[1:]
        note = table.note[:1].upper() + table.note[1:]
        parts.append(Part(heading, note, _html_table(table), chart))
    notes = list(summary.notes)
    if not summary.tokens:
        notes.append(f"tokens are not counted: {summary.tokenizer}")
    return render_template(
        "sections.html",
        command="data",
        title=", ".join(word.rpartition("=")[2].rpartition("/")[2] for word in words),
        summary=f"Task {spec.task.name.replace('_', ' ')}{classes}; {' '.join(words)}",
        cards=_cards(summary),
        notes=notes,
        sections=parts,
    )


def _cards(summary: DataSummary) -> list[Card]:
    """Return what matters most: how much there is, what is cut, what is to be beaten."""
    sizes = [f"{name} {each.rows:,}" for name, each in summary.rows.items()]
    cards = [Card("rows", f"{sum(r.rows for r in summary.rows.values()):,}", ", ".join(sizes))]
    if summary.tokens:
        counts = summary.tokens["train"]
        longest = f"longest {counts.lengths.max():,} tokens, limit {counts.max_length}"
        cards.append(Card("training rows cut", f"{counts.cut / len(counts.lengths):.1%}", longest))
    for each in summary.baselines[-1:]:
        split = next(iter(each.scores), "")
        scores = each.scores.get(split, {})
        metric = next(iter(scores), "")
        if metric:
            detail = f"{split} {metric}, {each.name}"
            cards.append(Card("to be beaten", f"{scores[metric]:.4f}", detail))
    train = summary.rows["train"]
    detail = f"{train.repeated:,} repeated, {train.empty:,} empty"
    cards.append(Card("contradictory training rows", f"{train.contradictory:,}", detail))
    return cards


def _html_table(table: Table) -> HtmlTable:
    rows = []
    for row in table.rows:
        cells = [Cell(cell, _sort_key(cell), _css(i, table)) for i, cell in enumerate(row)]
        rows.append(Row(cells, False))
    return HtmlTable(table.title, table.columns, rows)


def _css(column: int, table: Table) -> str:
    if not table.is_text:
        return NUMBER if column else ""
    is_text = table.columns[column] in ("text", "pair", "label")
    return "text" if is_text and table.columns[column] != "label" else ""


def _sort_key(cell: str) -> str:
    """Return what a cell is sorted by: the number that it begins with, or else its text.

    >>> _sort_key("1,200 (25.0%)"), _sort_key("joy")
    ('1200', 'joy')
    """
    first = cell.split(" ")[0].replace(",", "")
    try:
        float(first)
    except ValueError:
        return cell
    return first


def _length_chart(summary: DataSummary) -> dict[str, Any] | None:
    """Return the fraction of rows that have at most so many tokens."""
    from markupsafe import Markup

    counts = summary.tokens
    lines = [
        Line(name, _cumulative(each), style)
        for (name, each), style in zip(counts.items(), STYLES, strict=False)
    ]
    if any(len(line.points) < 2 for line in lines):
        return None
    limit = summary.spec.max_length
    reach = max(line.points[-1][0] for line in lines)
    if limit <= reach:
        lines.append(Line(f"data.max_length={limit}", [(limit, 0.0), (limit, 1.0)], "c2"))
    legend = [(line.style, line.label) for line in lines]
    chart = LineChart(
        title="rows with at most so many tokens",
        legend=legend,
        lines=lines[::-1],
        x_label="tokens",
        y_label="fraction of rows",
        integer_x=True,
    )
    return {"title": chart.title, "legend": legend, "svg": Markup(render_chart(chart))}


def _cumulative(counts: TokenCounts) -> list[tuple[float, float]]:
    import numpy as np

    lengths = np.sort(counts.lengths)
    longest = max(int(np.percentile(lengths, 99.5)), counts.max_length if counts.cut else 1)
    places = np.unique(np.linspace(0, longest, POINTS).round().astype(int))
    fractions = np.searchsorted(lengths, places, side="right") / len(lengths)
    return list(zip(places.tolist(), fractions.tolist(), strict=True))
