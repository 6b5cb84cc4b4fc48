"""``report``: one table for a sweep, printed, and written as CSV, JSON, Markdown and charts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from xferlab.cli.terminal import print_folded
from xferlab.errors import ConfigError, printable
from xferlab.escaping import csv_text
from xferlab.io.atomic import atomic_write, write_json
from xferlab.report.analysis import Analysis, analyse
from xferlab.report.charts import write_charts
from xferlab.report.comparison import compare
from xferlab.report.differences import difference_lines, difference_rows
from xferlab.report.html import render_page
from xferlab.report.markdown import render_markdown
from xferlab.report.out_of_fold import (
    MISLABELLED,
    PREDICTIONS,
    fold_lines,
    out_of_fold,
)
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Report, read_reports
from xferlab.report.tables import (
    closing_lines,
    describe_data,
    describe_weights,
    filled_columns,
    format_status_counts,
    job_rows,
    printed_job_row,
    printed_setting_row,
    setting_row,
    task_name,
)

FILES = ("report.html", "summary.md", "results.csv", "results.json", PREDICTIONS, MISLABELLED)
LONGEST_TABLE = 60
"""Rows that are printed; a longer table is written, and its best rows are shown."""


def report(flags: argparse.Namespace, folders: list[str]) -> int:
    """Print the table of sweeps and runs, unfinished ones too, and write it beside them."""
    report_on([Path(folder) for folder in folders])
    return 0


def report_on(folders: Sequence[Path]) -> list[Report]:
    """Print the report and write it, or raise ConfigError.

    Args:
        folders: sweeps and runs.
    """
    missing = [str(folder) for folder in folders if not os.path.exists(folder)]
    if missing or not folders:
        raise ConfigError(
            "there is no such folder" if missing else "no folder is named",
            where=" ".join(["report", *missing]),
            fix="python -m xferlab report outputs/sweeps/NAME",
        )
    parts = [(report, compare(report)) for report in read_reports(folders)]
    refuse_taken_names(target_of(parts[0][0]))
    for line in parts[0][0].left_out:
        print(f"left out   {printable(line)}")
    for report, comparison in parts:
        print_report(report)
        for line in difference_lines(comparison, report.mode):
            print_folded(line)
    folds = [out_of_fold(report) for report, _ in parts]
    for found, reason in folds:
        for line in fold_lines(found, reason):
            print_folded(line)
    pairs = zip(parts, folds, strict=True)
    target = write_report([analyse(*part, found) for part, (found, _) in pairs])
    print(
        f"saved to   {printable(str(target))}/: report.html, summary.md, results.csv, results.json"
    )
    return [report for report, _ in parts]


def write_report(parts: Sequence[Analysis]) -> Path:
    """Write page, tables and charts; return where: into the sweep, or for several beside them."""
    folders = parts[0].report.folders
    target = target_of(parts[0].report)
    rows = [job_rows(each.report) for each in parts]
    atomic_write(target / "results.csv", as_csv([row for each in rows for row in each]))
    groups = [_group(each, own) for each, own in zip(parts, rows, strict=True)]
    write_json(
        target / "results.json", {"sweeps": [str(each) for each in folders], "groups": groups}
    )
    charts = write_charts(parts[0].report, target)
    atomic_write(target / "summary.md", render_markdown(parts, charts))
    first = next((each.folds for each in parts if each.folds is not None), None)
    if first is not None:
        atomic_write(target / PREDICTIONS, csv_text(first.prediction_rows()))
    if first is not None and first.errors is not None:
        atomic_write(target / MISLABELLED, csv_text(first.error_rows()))
    atomic_write(target / "report.html", render_page(parts))
    return target


def _group(analysis: Analysis, jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a report as plain data, for ``results.json``."""
    report = analysis.report
    importance = analysis.importance
    return {
        "task": task_name(report),
        "data": dict(report.scored_on),
        "monitor": report.monitor,
        "better": report.mode,
        "best": setting_row(report, report.best) if report.best else None,
        "settings": [setting_row(report, setting) for setting in report.settings],
        "differences": difference_rows(analysis.comparison),
        "importance": importance.fractions if importance else None,
        "setup": analysis.setup.parts,
        "jobs": jobs,
    }


def target_of(report: Report) -> Path:
    """Return where a report is written: into the one folder, or for several beside them."""
    folders = report.folders
    if len(folders) > 1:
        return Path("outputs/reports") / f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}"
    return folders[0]


def refuse_taken_names(target: Path) -> None:
    """Raise ConfigError if a folder has the name of one of a report's files."""
    for name in FILES:
        if (target / name).is_dir() and not (target / name).is_symlink():
            raise ConfigError(
                f"{name} is a folder here, and the report is a file of that name",
                where=str(target / name),
                fix="rename the folder",
            )


def print_report(report: Report) -> None:
    """Print the table, and under it seeds and folds together, the best setting and what failed."""
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=200)
    folders = ", ".join(printable(str(folder)) for folder in report.folders)
    print(f"\nsweep      {folders}  {format_status_counts(report)}")
    for line in describe_data(report):
        print_folded(f"data       {printable(line)}")
    if weights := describe_weights(report):
        print_folded(f"weights    {printable(weights)}")
    jobs: Sequence[JobResult] = report.jobs
    if len(jobs) > LONGEST_TABLE:
        sign = -1 if report.mode == "max" else 1
        scored = [job for job in jobs if job.score is not None]
        jobs = sorted(scored, key=lambda job: sign * (job.score or 0.0))[:LONGEST_TABLE]
        print(f"the best {len(jobs)} of {len(report.jobs)} jobs; all are in results.csv")
    rows = [printed_job_row(report, job) for job in jobs]
    optional = [f"last {report.monitor}", "epoch", "time"]
    if len(report.counts) == 1:
        optional.insert(0, "status")  # the line above has it
    columns = fitting_columns(rows, console.width, optional)
    console.print(_table(rows, columns))
    if set(filled_columns(rows)) - {*columns, "status"}:
        print("the other columns are in results.csv; a wider terminal shows them\n")
    if report.over_repeats and len(report.settings) <= LONGEST_TABLE:
        settings = [printed_setting_row(report, each) for each in report.settings]
        console.print(_table(settings, filled_columns(settings)))
    for line in closing_lines(report):
        if line.startswith(" "):  # a command, to be copied
            print(line)
        else:
            print_folded(line)


def _table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        number = any((row.get(column) or "x")[0].isdigit() for row in rows) and column != "run"
        table.add_column(
            escape(printable(column)), justify="right" if number else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(escape(printable(row.get(column, ""))) for column in columns))
    return table


def fitting_columns(
    rows: Sequence[Mapping[str, str]], width: int, optional: Sequence[str]
) -> list[str]:
    """Return the columns of a table that fit into a width, without optional ones if need be."""
    columns = filled_columns(rows)
    widths = {
        column: 2 + max(len(column), *(len(row.get(column, "")) for row in rows))
        for column in columns
    }
    for name in optional:
        if sum(widths[column] for column in columns) > width and name in columns:
            columns.remove(name)
    return columns


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV, a column for each key of any of them."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return csv_text([columns, *([row.get(key, "") for key in columns] for row in rows)])
