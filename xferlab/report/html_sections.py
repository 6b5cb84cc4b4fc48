"""The parts of a report's page as HTML; every text from a run folder goes through ``text``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xferlab.escaping import html_text as text
from xferlab.formatting import format_duration
from xferlab.report.charts import charts_of
from xferlab.report.comparison import Compared, Comparison, describe_result, describe_test
from xferlab.report.confusion import ConfusionTable, confusion_of
from xferlab.report.cost import cost_words, rows_a_second, steps_of
from xferlab.report.failures import failures_of
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Report, Setting
from xferlab.report.svg import interval
from xferlab.report.tables import counted_states, label_of, p_words, shown, signed, spread_words

Cell = tuple[str, str, str]
"""HTML, what it is sorted by, and its class."""


def words_cell(value: Any) -> Cell:
    """Return the cell of a value as it is shown."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return text(shown(value)), text(value if number else shown(value)), "n" if number else ""


def number_cell(value: float | None, words: str) -> Cell:
    """Return the cell of a number; an empty one if there is none."""
    return (text(words), repr(value), "n") if value is not None else ("", "", "n")


def table(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]], name: str) -> str:
    """Return a table that can be sorted, in a box of its own that scrolls.

    Args:
        columns: their names.
        rows: the class of each row, and its cells.
        name: told to those who cannot see.
    """
    numbers = [any(cells[i][2] == "n" for _, cells in rows) for i in range(len(columns))]
    head = "".join(
        f'<th{" class=n" if number else ""} scope="col">{text(column)}</th>'
        for column, number in zip(columns, numbers, strict=True)
    )
    body = "".join(
        f'<tr class="{kind}">'
        + "".join(f'<td class="{css}" data-v="{key}">{cell}</td>' for cell, key, css in cells)
        + "</tr>"
        for kind, cells in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(name)}">'
        f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def cards(report: Report, comparison: Comparison | None) -> str:
    """Return what matters most: the best setting, whether it is better, what it cost."""
    parts = []
    if report.best:
        scores = {report.monitor: report.best.best} | {
            f"test {name}": each for name, each in report.best.test.items() if name != "loss"
        }
        told = ", ".join(f"{name} {spread_words(each)}" for name, each in scores.items())
        name = label_of(report.best.values) or report.best.jobs[0].folder.name
        parts.append(("best setting", name, told))
    if comparison and comparison.others:
        real = sum(each.is_significant for each in comparison.others)
        value = f"{real} of {len(comparison.others)}"
        parts.append(("settings told apart from the best", value,
                      f"at p < 0.05 by {comparison.split} {comparison.score}"))  # fmt: skip
    parts.append(("jobs", counted_states(report).partition(": ")[2], f"{len(report.jobs)} in all"))
    time, _, more = cost_words(report.jobs).partition(" of training, ")
    parts.append(("training time", time, more))
    return '<div class="cards">' + "".join(
        f'<div class="card"><div class="label">{text(label)}</div><div class="value">{text(value)}'
        f'</div><div class="more">{text(more)}</div></div>'
        for label, value, more in parts
    ) + "</div>"  # fmt: skip


def settings_section(report: Report, comparison: Comparison | None) -> str:
    """Return the settings with their mean scores, each beside the best one."""
    if not report.settings or not any(each.best for each in report.settings):
        return ""
    found = {id(each.setting): each for each in comparison.others} if comparison else {}
    reach = max((abs(v) for e in found.values() for v in (e.difference.low, e.difference.high)),
                default=1.0) or 1.0  # fmt: skip
    names = list(dict.fromkeys(name for each in report.settings for name in each.test))
    names = [name for name in names if name != "loss"]
    columns = [*(report.settings[0].values or ["run"]), "finished", report.monitor]
    columns += [f"test {name}" for name in names]
    if found:
        columns += ["difference", "95 % interval", "p", "what it means"]
    sign = -1 if report.mode == "max" else 1
    ranked = sorted(
        report.settings, key=lambda s: (s.best is None, sign * s.best[0] if s.best else 0)
    )
    rows = []
    for setting in ranked:
        cells = [words_cell(v) for v in setting.values.values()] or [
            words_cell(setting.jobs[0].folder.name)
        ]
        cells.append(words_cell(f"{setting.finished} of {len(setting.jobs)}"))
        for spread in (setting.best, *(setting.test.get(name) for name in names)):
            cells.append(number_cell(spread[0] if spread else None, spread_words(spread)))
        if found:
            cells += _difference_cells(report, setting, found.get(id(setting)), reach)
        rows.append(("best" if setting is report.best else "", cells))
    several = any(len(each.jobs) > 1 for each in report.settings)
    told = "Mean ± sample standard deviation over the seeds that finished. " if several else ""
    return (
        f"<h2>Settings</h2><p class=faint>{told}{_how(comparison)}</p>"
        f"{table(columns, rows, 'settings')}"
    )


def _how(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    score = f"{comparison.split} {comparison.score}"
    told = [f"The difference is the best's {score} less this one's"] * bool(comparison.others)
    told += [describe_test(comparison), comparison.note[:1].upper() + comparison.note[1:]]
    if comparison.split == "validation" and comparison.others:
        told.append("The best was chosen by these very scores, so p is a little too small")
    return " ".join(f"{text(each).rstrip('.')}." for each in told if each)


def _difference_cells(
    report: Report, setting: Setting, compared: Compared | None, reach: float
) -> list[Cell]:
    if compared is None:
        means = "the best" if setting is report.best else ""
        return [("", "", "n"), ("", "", ""), ("", "", "n"), (means, means, "wide")]
    found = compared.difference
    ends = f"{signed(found.low)} to {signed(found.high)}"
    picture = interval(found.mean, found.low, found.high, reach, compared.is_significant)
    bar = (
        f'<span title="{text(ends)}">{picture}<span class="small faint">{text(ends)}</span></span>'
    )
    means = text(describe_result(compared, report.mode))
    return [
        number_cell(found.mean, signed(found.mean)),
        (bar, repr(found.mean), ""),
        number_cell(compared.p, p_words(compared.p)),
        (means, means, "wide"),
    ]


def charts_section(report: Report) -> str:
    """Return the charts side by side."""
    figures = "".join(
        f"<figure><h3>{text(chart.name)}</h3>{_legend(chart.legend)}{chart.svg}</figure>"
        for chart in charts_of(report)
    )
    return f'<h2>Scores and curves</h2><div class="charts">{figures}</div>' if figures else ""


def _legend(legend: Sequence[tuple[str, str]]) -> str:
    told = "".join(f'<span class="series {style}">{text(name)}</span>' for style, name in legend)
    return f'<div class="legend">{told}</div>' if told else ""


def confusion_section(report: Report) -> str:
    """Return the confusion of the best setting's runs, where they tell it."""
    jobs = (
        [job for job in report.best.jobs if job.state.status == "finished"] if report.best else []
    )
    found = confusion_of(jobs) if jobs else None
    return f"<h2>Confusion of the best setting</h2>{_confusion_table(found)}" if found else ""


def _confusion_table(found: ConfusionTable) -> str:
    head = "".join(f'<th scope="col" title="{text(n)}">{text(n)}</th>' for n in found.names)
    rows = ""
    for name, counts in zip(found.names, found.counts, strict=True):
        total = max(sum(counts), 1)
        rows += f'<tr><th scope="row" title="{text(name)}">{text(name)}</th>' + "".join(
            f'<td style="--share:{100 * n / total:.1f}">{n:,} <small>{100 * n / total:.0f}%</small>'
            "</td>"
            for n in counts
        ) + "</tr>"  # fmt: skip
    more = f"; {found.left_out} classes with fewer mistakes are not shown" * bool(found.left_out)
    return (
        f"<p class=faint>A row is a right class, a column what was predicted ({text(found.source)}"
        f"{more}).</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="confusion" style="width:'
        f'fit-content;max-width:100%"><table class="confusion"><thead><tr><th></th>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def jobs_section(report: Report) -> str:
    """Return a row a job, with what differs, its scores and what it cost."""
    tests = list(dict.fromkeys(name for job in report.jobs for name in job.test))
    columns = [
        "run",
        *report.keys,
        "status",
        report.monitor,
        "best epoch",
        f"last {report.monitor}",
    ]
    columns += [f"test {name}" for name in tests] + ["time", "steps", "rows/s"]
    best = {job.folder for job in report.best.jobs} if report.best else set()
    rows = [("best" if job.folder in best else "", _job_cells(report, job, tests))
            for job in report.jobs]  # fmt: skip
    return f"<h2>Jobs</h2>{table(columns, rows, 'jobs')}"


def _job_cells(report: Report, job: JobResult, tests: Sequence[str]) -> list[Cell]:
    status = text(job.state.status)
    rate, steps = rows_a_second(job), steps_of(job)
    return [
        (f"<code>{text(job.folder.name)}</code>", text(job.folder.name), ""),
        *(words_cell(job.setting(key)) for key in report.keys),
        (f'<span class="state {status}">{status}</span>', status, ""),
        _score_cell(job.best),
        number_cell(job.epoch, str(job.epoch)),
        _score_cell(job.last),
        *(_score_cell(job.test.get(name)) for name in tests),
        number_cell(job.seconds, format_duration(job.seconds or 0)),
        number_cell(steps, f"{steps or 0:,}"),
        number_cell(rate, f"{rate or 0:,.0f}"),
    ]


def _score_cell(value: float | None) -> Cell:
    return number_cell(value, f"{value:.4f}" if value is not None else "")


def failures_section(report: Report) -> str:
    """Return each failed job with its three lines and what runs it again."""
    found = failures_of(report)
    if not found:
        return ""
    parts = []
    for each in found[:100]:
        label = label_of({key: each.job.setting(key) for key in report.keys})
        lines = "\n".join(text(line) for line in each.lines)
        parts.append(
            f'<div class="failure"><h3><code>{text(each.job.folder.name)}</code> {text(label)}</h3>'
            f"<pre>{lines}</pre><p class=faint>log: <code>{text(each.job.folder / 'train.log')}"
            f"</code></p><pre class=again>{text(each.again)}</pre></div>"
        )
    more = f"<p class=faint>and {len(found) - 100} more</p>" if len(found) > 100 else ""
    return f"<h2>Failed</h2>{''.join(parts)}{more}"


def left_out_section(lines: Sequence[str]) -> str:
    """Return what could not be read, with the reasons."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<h2>Left out</h2><ul>{items}</ul>" if items else ""
