"""``summary.md``: the report to read, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from xferlab.escaping import markdown, markdown_table
from xferlab.report.analysis import Analysis
from xferlab.report.comparison import Comparison, describe_test
from xferlab.report.cost import describe_cost
from xferlab.report.differences import difference_row
from xferlab.report.failures import Failure, failures_of
from xferlab.report.importance import Importance
from xferlab.report.tables import (
    describe_best,
    describe_data,
    describe_simple_models,
    describe_weights,
    filled_columns,
    format_status_counts,
    printed_job_row,
    printed_setting_row,
    task_name,
)
from xferlab.report.training_setup import TrainingSetup


def render_markdown(analyses: Sequence[Analysis], charts: Sequence[Path]) -> str:
    """Return the summary: a section for each task and monitored score, then the charts."""
    first = analyses[0].report
    names = ", ".join(markdown(folder.name or folder) for folder in first.folders)
    blocks = [f"# {names}"]
    for each in analyses:
        report = each.report
        if len(analyses) > 1:
            blocks.append(f"# {markdown(task_name(report) or 'jobs')}: {markdown(report.monitor)}")
        blocks += _section(each)
    if first.left_out:
        blocks += ["## Left out", *(f"- {markdown(line)}" for line in first.left_out)]
    blocks += [f"![{path.stem}]({path.name})" for path in charts]
    return "\n\n".join(blocks) + "\n"


def _section(analysis: Analysis) -> list[str]:
    report = analysis.report
    comparison = analysis.comparison
    blocks = [markdown(format_status_counts(report)), *map(markdown, describe_data(report))]
    if weights := describe_weights(report):
        blocks.append(f"{markdown(weights)}.")
    if report.best:
        blocks.append(f"**Best:** {markdown(describe_best(report))}")
    simple = describe_simple_models(report)
    if simple:
        blocks.append(f"**Simple models:** {markdown(simple)}")
    blocks.append(f"**Cost:** {markdown(describe_cost(report.jobs))}")
    if report.over_repeats:
        blocks += [
            f"## Over {report.repeats}",
            "Mean and sample standard deviation over finished jobs.",
        ]
        blocks.append(_table([printed_setting_row(report, each) for each in report.settings]))
    if comparison and (comparison.others or comparison.note):
        blocks += ["## Compared with the best", *_differences(comparison, report.mode)]
    if analysis.folds:
        lines = (analysis.folds.describe(), analysis.folds.describe_errors())
        blocks += ["## Folds", *(f"- {markdown(line)}" for line in lines if line)]
    if analysis.importance:
        blocks += ["## Importance", *_importance(analysis.importance)]
    blocks += ["## What was trained", _setup(analysis.setup)]
    blocks += ["## Jobs", _table([printed_job_row(report, job) for job in report.jobs])]
    failures = failures_of(report)
    return blocks + (["## Failed", *map(_failure, failures)] if failures else [])


def _importance(found: Importance) -> list[str]:
    rows = [
        {"key": key, "variance explained": f"{fraction:.0%}"} for key, fraction in found.ranked()
    ]
    return [f"{markdown(found.describe())}.", _table(rows)]


def _setup(setup: TrainingSetup) -> str:
    rows = [
        {"what": name if place == 0 else "", "value": value}
        for name, values in setup.parts.items()
        for place, value in enumerate(values)
    ]
    return _table(rows)


def _differences(comparison: Comparison, mode: str) -> list[str]:
    blocks = [markdown(line) for line in (describe_test(comparison), comparison.note) if line]
    if comparison.others:
        blocks.append(_table([difference_row(each, mode) for each in comparison.others]))
    return blocks


def _failure(failure: Failure) -> str:
    """Return a failure as indented code, which shows every character as it is."""
    lines = [*failure.lines, f" again: {failure.rerun_command}"]
    block = "\n".join(f"    {line}" for line in lines)
    return f"{markdown(failure.job.folder.name)}:\n\n{block}"


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    columns = filled_columns(rows)
    lines = [[markdown(row.get(column, "")) for column in columns] for row in rows]
    return markdown_table([markdown(column) for column in columns], lines).rstrip("\n")
