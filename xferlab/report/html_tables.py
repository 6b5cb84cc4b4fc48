"""The tables of a report's page: each cell with the value that it is sorted by."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.formatting import format_duration
from xferlab.report.comparison import Compared, Comparison, describe_result
from xferlab.report.cost import examples_per_second, steps_of
from xferlab.report.out_of_fold import OutOfFold
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Report, Setting, is_number
from xferlab.report.svg import render_interval
from xferlab.report.tables import (
    format_difference,
    format_mean_sd,
    format_p_value,
    format_score,
    format_value,
    name_of,
)

if TYPE_CHECKING:
    from markupsafe import Markup

NUMBER = "n"
"""CSS class of a cell that is aligned right."""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what it shows.
        sort_key: what the page sorts by.
        css: its class.
        kind: how the text is shown: plainly, as ``code``, or as a ``status``.
        drawing: an interval that stands before the text.
    """

    text: str
    sort_key: str
    css: str = ""
    kind: str = ""
    drawing: Markup | None = None


EMPTY = Cell("", "")
EMPTY_NUMBER = Cell("", "", NUMBER)


@dataclass(frozen=True)
class Row:
    """One row and whether it is of the best setting."""

    cells: Sequence[Cell]
    is_best: bool


@dataclass(frozen=True)
class HtmlTable:
    """A table that can be sorted: its name for screen readers, columns and rows."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Row]

    def css(self, column: int) -> str:
        """Return the class of a column's head."""
        is_number = any(row.cells[column].css == NUMBER for row in self.rows)
        return NUMBER if is_number else ""


def value_cell(value: Any) -> Cell:
    """Return the cell of a swept value."""
    if is_number(value):
        return Cell(format_value(value), str(value), NUMBER)
    return Cell(format_value(value), format_value(value))


def number_cell(value: float | None, text: str) -> Cell:
    """Return the cell of a number; an empty one if there is none."""
    return EMPTY_NUMBER if value is None else Cell(text, repr(value), NUMBER)


def score_cell(value: float | None) -> Cell:
    """Return the cell of a score."""
    return EMPTY_NUMBER if value is None else number_cell(value, format_score(value))


def settings_table(report: Report, comparison: Comparison | None) -> HtmlTable | None:
    """Return the settings, the best first, with mean scores and the difference from the best."""
    if not any(setting.best for setting in report.settings):
        return None
    compared = {id(each.setting): each for each in comparison.others} if comparison else {}
    names = [name for name in _test_names(report.settings) if name != "loss"]
    columns = [*(report.settings[0].values or ["run"]), "finished", report.monitor]
    columns += [f"test {name}" for name in names]
    if compared:
        columns += ["difference", "95 % interval", "p", "what it means"]
    reach = _reach(list(compared.values()))
    rows = []
    for setting in _ranked(report):
        cells = _setting_cells(setting, names)
        if compared:
            cells += _difference_cells(report, setting, compared.get(id(setting)), reach)
        rows.append(Row(cells, setting is report.best))
    return HtmlTable("settings", columns, rows)


def label_errors_table(found: OutOfFold, most: int) -> HtmlTable | None:
    """Return the first labels that are probably wrong, each with its text; None without any."""
    header, *rows = itertools.islice(found.error_rows(), most + 1)
    if not rows:
        return None
    names = [str(name) for name in header]
    return HtmlTable("labels", names, [Row(_error_cells(names, row), False) for row in rows])


def _error_cells(names: Sequence[str], row: Sequence[Any]) -> list[Cell]:
    cells = []
    for name, value in zip(names, row, strict=True):
        if isinstance(value, float):
            cells.append(score_cell(value))
        elif name in ("text", "pair"):
            cells.append(Cell(str(value), str(value), "text"))
        else:
            cells.append(value_cell(value))
    return cells


def _ranked(report: Report) -> list[Setting]:
    """Return the settings by their mean score, those without one last."""
    sign = -1 if report.mode == "max" else 1
    return sorted(
        report.settings, key=lambda s: (s.best is None, sign * s.best[0] if s.best else 0)
    )


def _test_names(items: Sequence[Setting] | Sequence[JobResult]) -> list[str]:
    return list(dict.fromkeys(name for item in items for name in item.test))


def _reach(compared: Sequence[Compared]) -> float:
    """Return how far from 0 the furthest end of an interval is."""
    ends = [abs(end) for e in compared for end in (e.difference.low, e.difference.high)]
    return max(ends, default=0.0) or 1.0


def _setting_cells(setting: Setting, names: Sequence[str]) -> list[Cell]:
    values = list(setting.values.values()) or [name_of(setting)]
    cells = [value_cell(value) for value in values]
    cells.append(value_cell(f"{setting.finished} of {len(setting.jobs)}"))
    scores = [setting.best, *(setting.test.get(name) for name in names)]
    cells += [number_cell(score[0] if score else None, format_mean_sd(score)) for score in scores]
    return cells


def _difference_cells(
    report: Report, setting: Setting, compared: Compared | None, reach: float
) -> list[Cell]:
    from markupsafe import Markup

    if compared is None:
        meaning = "the best" if setting is report.best else ""
        return [EMPTY_NUMBER, EMPTY, EMPTY_NUMBER, Cell(meaning, meaning, "wide")]
    found = compared.difference
    ends = f"{format_difference(found.low)} to {format_difference(found.high)}"
    bar = render_interval(found.mean, found.low, found.high, reach, compared.is_significant)
    meaning = describe_result(compared, report.mode)
    return [
        number_cell(found.mean, format_difference(found.mean)),
        Cell(ends, repr(found.mean), drawing=Markup(bar)),
        number_cell(compared.p, format_p_value(compared.p)),
        Cell(meaning, meaning, "wide"),
    ]


def jobs_table(report: Report) -> HtmlTable:
    """Return a row a job, with what differs, its scores and what it cost."""
    names = _test_names(report.jobs)
    columns = ["run", *report.keys, "status"]
    columns += [report.monitor, "epoch", f"last {report.monitor}"]
    columns += [*(f"test {name}" for name in names), "time", "steps", "examples/s"]
    best = {job.folder for job in report.best.jobs} if report.best else set()
    rows = [Row(_job_cells(report, job, names), job.folder in best) for job in report.jobs]
    return HtmlTable("jobs", columns, rows)


def _job_cells(report: Report, job: JobResult, names: Sequence[str]) -> list[Cell]:
    name = job.folder.name
    status = job.state.status
    speed = examples_per_second(job)
    steps = steps_of(job)
    return [
        Cell(name, name, kind="code"),
        *(value_cell(job.setting(key)) for key in report.keys),
        Cell(status, status, kind="status"),
        score_cell(job.score),
        number_cell(job.epoch, str(job.epoch)),
        score_cell(job.last),
        *(score_cell(job.test.get(name)) for name in names),
        number_cell(job.seconds, format_duration(job.seconds or 0)),
        number_cell(steps, f"{steps or 0:,}"),
        number_cell(speed, f"{speed or 0:,.0f}"),
    ]
