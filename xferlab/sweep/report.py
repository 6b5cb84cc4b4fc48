"""One table for a sweep: printed, and written as CSV, JSON, Markdown and pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from xferlab.errors import ConfigError, printable
from xferlab.files import write_json, write_whole
from xferlab.pictures import rate_words
from xferlab.sweep.frozen import JOB
from xferlab.sweep.results import JobResult
from xferlab.sweep.settings import Report, Setting, read_report
from xferlab.sweep.sweep_pictures import draw_pictures
from xferlab.training.progress import as_time

LONGEST_TABLE = 60
"""Rows that are printed; a longer table is written, and its best rows are shown."""


def report_on(folders: Sequence[Path]) -> Report:
    """Print the report and write it, or raise ConfigError."""
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing or not folders:
        raise ConfigError(
            "there is no such folder" if missing else "no folder is named",
            where=" ".join(["report", *missing]),
            fix="python -m xferlab report outputs/sweeps/NAME",
        )
    report = read_report(folders)
    print_report(report)
    target = write_report(report)
    print(f"kept in    {target}/: summary.md, results.csv, results.json, pictures")
    return report


def write_report(report: Report) -> Path:
    """Write the tables and pictures; return where: into the sweep, or for several beside them."""
    target = report.folders[0]
    if len(report.folders) > 1:
        target = Path("outputs/reports") / f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}"
    rows = job_rows(report)
    write_whole(target / "results.csv", _as_csv(rows))
    write_json(
        target / "results.json",
        {
            "sweeps": [str(folder) for folder in report.folders],
            "monitor": report.monitor,
            "better": report.better,
            "best": setting_row(report, report.best) if report.best else None,
            "settings": [setting_row(report, setting) for setting in report.settings],
            "jobs": rows,
        },
    )
    pictures = draw_pictures(report, target)
    write_whole(target / "summary.md", _as_markdown(report, pictures))
    return target


def job_rows(report: Report) -> list[dict[str, Any]]:
    """Return a row a job: its id, what was swept, status, scores, where the best was, time."""
    return [_job_row(report, job) for job in report.jobs]


def _job_row(report: Report, job: JobResult) -> dict[str, Any]:
    sweep = {"sweep": str(job.folder.parent)} if len(report.folders) > 1 else {}
    return {
        "run": job.folder.name,
        **sweep,
        **{key: job.setting(key) for key in report.keys},
        "status": job.state.status,
        report.monitor: job.best,
        "best epoch": job.epoch,
        "best step": job.step,
        f"last {report.monitor}": job.last,
        **{f"test {name}": value for name, value in job.test.items()},
        "seconds": job.seconds,
        "error": job.state.record.get("error"),
    }


def setting_row(report: Report, setting: Setting) -> dict[str, Any]:
    """Return a setting's values, its number of jobs, and mean and spread of each score."""
    scores = {report.monitor: setting.best} | {f"test {k}": v for k, v in setting.test.items()}
    row = {**setting.values, "jobs": len(setting.jobs), "finished": setting.finished}
    for name, spread in scores.items():
        row[name] = spread[0] if spread else None
        row[f"{name} sd"] = spread[1] if spread else None
    return row


def print_report(report: Report) -> None:
    """Print the table, and under it seeds together, the best setting and what failed."""
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=200)
    print(f"\nsweep      {', '.join(str(f) for f in report.folders)}  {counted_states(report)}")
    jobs: Sequence[JobResult] = report.jobs
    if len(jobs) > LONGEST_TABLE:
        sign = -1 if report.better == "max" else 1
        scored = [job for job in jobs if job.best is not None]
        jobs = sorted(scored, key=lambda job: sign * (job.best or 0.0))[:LONGEST_TABLE]
        print(f"the best {len(jobs)} of {len(report.jobs)} jobs; all are in results.csv")
    console.print(_table([_printed_job(report, job) for job in jobs]))
    if report.over_seeds and len(report.settings) <= LONGEST_TABLE:
        console.print(_table([_printed_setting(report, each) for each in report.settings]))
    for line in closing_lines(report):
        print(line)


def counted_states(report: Report) -> str:
    """Return ``6 jobs: 5 finished, 1 failed``."""
    counts = ", ".join(f"{count} {word}" for word, count in report.counts.most_common())
    return f"{len(report.jobs)} job{'s' * (len(report.jobs) != 1)}: {counts}"


def closing_lines(report: Report) -> list[str]:
    """Return the best setting, and each failed job with its error and what runs it again."""
    lines = [f"best       {best_words(report)}"] if report.best else []
    for job in report.jobs:
        if job.state.failed:
            lines += [
                f"failed     {job.folder.name}  {job.state.record.get('error', '')}",
                f"           log: {job.folder / 'train.log'}",
            ]
            if (job.folder / JOB).exists():
                lines.append(f"           again: python -m xferlab.worker {job.folder}")
    return lines


def best_words(report: Report) -> str:
    """Return the best setting and its scores in one line."""
    assert report.best is not None
    values = [f"{key}={shown(value)}" for key, value in report.best.values.items()]
    scores = {report.monitor: report.best.best} | {
        f"test {name}": spread for name, spread in report.best.test.items() if name != "loss"
    }
    told = ", ".join(f"{name} {spread_words(spread)}" for name, spread in scores.items())
    seeds = f"  ({report.best.finished} seeds)" if report.over_seeds else ""
    return f"{' '.join(values)}  {told}{seeds}".strip()


def _printed_job(report: Report, job: JobResult) -> dict[str, str]:
    row = _job_row(report, job)
    for name in ("best step", "test loss", "error"):  # in the files
        row.pop(name, None)
    row["seconds"] = as_time(job.seconds) if job.seconds is not None else None
    row["time"] = row.pop("seconds")
    for name, value in row.items():
        if isinstance(value, float) and name not in report.keys:
            row[name] = f"{value:.4f}"
    return {key: shown(value) for key, value in row.items()}


def _printed_setting(report: Report, setting: Setting) -> dict[str, str]:
    row = {key: shown(value) for key, value in setting.values.items()}
    row["seeds"] = f"{setting.finished}/{len(setting.jobs)}"
    row[report.monitor] = spread_words(setting.best)
    named = {f"test {name}": spread_words(v) for name, v in setting.test.items() if name != "loss"}
    return row | named | {"": "best" if setting is report.best else ""}


def shown(value: Any) -> str:
    """Return a value as a table shows it: a rate as it is typed, a score with four digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return rate_words(value, 4) if 0 < abs(value) < 0.1 else f"{value:.4g}"
    return str(value)


def spread_words(spread: tuple[float, float | None] | None) -> str:
    """Return mean and sample standard deviation.

    >>> spread_words((0.9, 0.012)), spread_words((0.9, None)), spread_words(None)
    ('0.9000 ± 0.0120', '0.9000', '')
    """
    if spread is None:
        return ""
    mean, deviation = spread
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that any row fills, in their order."""
    columns = dict.fromkeys(key for row in rows for key in row)
    return [key for key in columns if any(row.get(key) not in (None, "") for row in rows)]


def _table(rows: Sequence[Mapping[str, str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in _columns(rows):
        number = any((row.get(column) or "x")[0].isdigit() for row in rows) and column != "run"
        table.add_column(
            escape(printable(column)), justify="right" if number else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(escape(printable(row.get(column, ""))) for column in _columns(rows)))
    return table


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _as_markdown(report: Report, pictures: Sequence[Path]) -> str:
    parts = [f"# {', '.join(folder.name for folder in report.folders)}", counted_states(report)]
    if report.best:
        parts.append(f"**Best:** {best_words(report)}")
    if report.over_seeds:
        parts += ["## Over seeds", "Mean and sample standard deviation over finished jobs."]
        parts.append(_markdown_table([_printed_setting(report, each) for each in report.settings]))
    parts += ["## Jobs", _markdown_table([_printed_job(report, job) for job in report.jobs])]
    errors = [f"- `{job.folder.name}`: {job.state.record.get('error')}"
              for job in report.jobs if job.state.failed]  # fmt: skip
    parts += ["## Failed", "\n".join(errors)] if errors else []
    parts += [f"![{path.stem}]({path.name})" for path in pictures]
    return "\n\n".join(parts) + "\n"


def _markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    columns = _columns(rows)
    cells = [[str(row.get(c, "")).replace("|", "\\|") for c in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
