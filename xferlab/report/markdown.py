"""``summary.md``: the report to read, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from xferlab.escaping import markdown, markdown_table
from xferlab.report.comparison import Comparison, describe_test
from xferlab.report.cost import cost_words
from xferlab.report.differences import difference_row
from xferlab.report.failures import failures_of
from xferlab.report.settings import Report
from xferlab.report.tables import (
    best_words,
    columns_of,
    counted_states,
    data_lines,
    printed_job,
    printed_setting,
    task_of,
)


def as_markdown(parts: Sequence[tuple[Report, Comparison | None]], pictures: Sequence[Path]) -> str:
    """Return the summary: a part for each task and monitored score, then the pictures."""
    names = ", ".join(markdown(folder.name or folder) for folder in parts[0][0].folders)
    told = [f"# {names}"]
    for report, comparison in parts:
        if len(parts) > 1:
            told.append(f"# {markdown(task_of(report) or 'jobs')}: {markdown(report.monitor)}")
        told += _part(report, comparison)
    if parts[0][0].left_out:
        told += ["## Left out", *(f"- {markdown(line)}" for line in parts[0][0].left_out)]
    told += [f"![{path.stem}]({path.name})" for path in pictures]
    return "\n\n".join(told) + "\n"


def _part(report: Report, comparison: Comparison | None) -> list[str]:
    parts = [markdown(counted_states(report)), *map(markdown, data_lines(report))]
    if report.best:
        parts.append(f"**Best:** {markdown(best_words(report))}")
    parts.append(f"**Cost:** {markdown(cost_words(report.jobs))}")
    if report.over_seeds:
        parts += ["## Over seeds", "Mean and sample standard deviation over finished jobs."]
        parts.append(_table([printed_setting(report, each) for each in report.settings]))
    if comparison and (comparison.others or comparison.note):
        parts += ["## Beside the best", *_differences(comparison, report.mode)]
    parts += ["## Jobs", _table([printed_job(report, job) for job in report.jobs])]
    errors = [_failure(each.job.folder.name, each.lines, each.again)
              for each in failures_of(report)]  # fmt: skip
    return parts + (["## Failed", *errors] if errors else [])


def _differences(comparison: Comparison, mode: str) -> list[str]:
    told = [markdown(line) for line in (describe_test(comparison), comparison.note) if line]
    if comparison.others:
        told.append(_table([difference_row(each, mode) for each in comparison.others]))
    return told


def _failure(name: str, lines: Sequence[str], again: str) -> str:
    """Return a failure as indented code, in which nothing is obeyed."""
    block = "\n".join(f"    {line}" for line in [*lines, f" again: {again}"])
    return f"{markdown(name)}:\n\n{block}"


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    columns = columns_of(rows)
    lines = [[markdown(row.get(column, "")) for column in columns] for row in rows]
    return markdown_table([markdown(column) for column in columns], lines).rstrip("\n")
