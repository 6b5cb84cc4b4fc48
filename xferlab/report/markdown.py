"""``summary.md``: the report to read, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from xferlab.report.settings import Report
from xferlab.report.tables import (
    best_words,
    columns_of,
    counted_states,
    printed_job,
    printed_setting,
)


def as_markdown(report: Report, pictures: Sequence[Path]) -> str:
    """Return the summary."""
    parts = [f"# {', '.join(folder.name for folder in report.folders)}", counted_states(report)]
    if report.best:
        parts.append(f"**Best:** {best_words(report)}")
    if report.over_seeds:
        parts += ["## Over seeds", "Mean and sample standard deviation over finished jobs."]
        parts.append(_markdown_table([printed_setting(report, each) for each in report.settings]))
    parts += ["## Jobs", _markdown_table([printed_job(report, job) for job in report.jobs])]
    errors = [f"- `{job.folder.name}`: {job.state.record.get('error')}"
              for job in report.jobs if job.state.failed]  # fmt: skip
    parts += ["## Failed", "\n".join(errors)] if errors else []
    parts += [f"![{path.stem}]({path.name})" for path in pictures]
    return "\n\n".join(parts) + "\n"


def _markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    columns = columns_of(rows)
    cells = [[str(row.get(c, "")).replace("|", "\\|") for c in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
