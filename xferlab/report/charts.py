"""What a report draws: a swept number against the score, and every job by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.report.read_runs import JobResult
from xferlab.report.settings import SEED, Report
from xferlab.report.svg import COLOURS, Line, line_chart
from xferlab.report.tables import label_of, shown
from xferlab.sweep.job_state import FINISHED

MOST_CURVES = 300
MOST_NAMED = 7
LOG_FROM = 20
"""An axis whose largest value is so many times the smallest is logarithmic."""
MOST_TICKS = 14


def numeric_keys(report: Report) -> list[str]:
    """Return the swept keys, seed aside, that have several values, all numbers."""
    values = {key: [job.setting(key) for job in report.jobs] for key in report.keys if key != SEED}
    return [k for k, each in values.items() if all(map(is_number, each)) and len(set(each)) > 1]


def is_number(value: Any) -> bool:
    """Return whether a value is a number, not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Chart:
    """A chart with what stands above it.

    Attributes:
        name: its title.
        legend: style and name of its kinds of line.
        svg: the chart; empty if there is nothing to draw.
    """

    name: str
    legend: Sequence[tuple[str, str]]
    svg: str


def charts_of(report: Report) -> list[Chart]:
    """Return what can be drawn: swept numbers, the learning rate first, then curves by epoch."""
    keys = sorted(numeric_keys(report), key=lambda key: key != "optimizer.lr")[:3]
    charts = [_score_chart(report, key) for key in keys] + _curve_charts(report)
    return [chart for chart in charts if chart.svg]


def _score_chart(report: Report, key: str) -> Chart:
    others = [each for each in report.keys if each not in (key, SEED)]
    groups: dict[str, dict[float, list[tuple[float, str]]]] = {}
    for job in report.jobs:
        if job.best is not None and job.state.status == FINISHED:
            label = label_of({k: job.setting(k) for k in others})
            points = groups.setdefault(label, {})
            told = f"{job_label(report, job)}: {report.monitor} {shown(job.best)}"
            points.setdefault(float(job.setting(key)), []).append((job.best, told))
    chosen = label_of({k: report.best.values[k] for k in others}) if report.best else ""
    lines = [
        _score_line(label, points, _style(label, chosen, number, len(groups)))
        for number, (label, points) in enumerate(groups.items())
    ]
    lines.sort(key=lambda line: line.style == "best")
    values = sorted({x for points in groups.values() for x in points})
    log = bool(values) and values[0] > 0
    log = log and (key == "optimizer.lr" or values[-1] / values[0] >= LOG_FROM)
    ticks = values if len(values) <= MOST_TICKS else ()
    svg = line_chart(lines, key, report.monitor, log=log, ticks=ticks)
    return Chart(f"{report.monitor} by {key}", _score_legend(lines, chosen), svg)


def _score_legend(lines: Sequence[Line], chosen: str) -> list[tuple[str, str]]:
    if len(lines) == 1:
        return [("best", "a dot a run; the line is their mean, the band their range")]
    if len(lines) > MOST_NAMED:
        return [("best", chosen), ("faint", "other settings")]
    return [(line.style, line.name.partition(" (mean")[0]) for line in reversed(lines)]


def _style(label: str, chosen: str, number: int, count: int) -> str:
    if label == chosen:
        return "best"
    return f"c{number}" if count <= COLOURS else "faint"


def _score_line(
    label: str, points: Mapping[float, Sequence[tuple[float, str]]], style: str
) -> Line:
    xs = sorted(points)
    scores = [[score for score, _ in points[x]] for x in xs]
    means = [(x, sum(each) / len(each)) for x, each in zip(xs, scores, strict=True)]
    several = any(len(each) > 1 for each in scores)
    return Line(
        f"{label or 'mean'}" + (" (mean; the band is the range)" if several else ""),
        means,
        style,
        dots=[(x, score, told) for x in xs for score, told in points[x]],
        low=[min(each) for each in scores] if several else (),
        high=[max(each) for each in scores] if several else (),
    )


def _curve_charts(report: Report) -> list[Chart]:
    best = label_of(report.best.values) if report.best else ""
    legend = [("best", f"best: {best}"), ("faint", "other settings")] if best else []
    names = dict.fromkeys([report.monitor, "val_loss", "loss"])
    return [Chart(_curve_name(name), legend, _curves(report, name)) for name in names]


def _curve_name(name: str) -> str:
    return {"loss": "training loss", "val_loss": "validation loss"}.get(name, name) + " by epoch"


def _curves(report: Report, name: str) -> str:
    best = {job.folder for job in report.best.jobs} if report.best else set()
    ranked = sorted(report.jobs, key=lambda job: _rank(report, job))
    lines = []
    for job in ranked[:MOST_CURVES]:
        points = [(row["epoch"], row[name]) for row in job.history if {"epoch", name} <= set(row)]
        if points:
            score = f": best {shown(job.best)}" if job.best is not None else ""
            told = f"{job_label(report, job)}{score} ({job.state.status})"
            lines.append(Line(told, points, "best" if job.folder in best else "faint"))
    lines.sort(key=lambda line: line.style == "best")
    return line_chart(lines, "epoch", name, whole=True)


def _rank(report: Report, job: JobResult) -> float:
    if job.best is None:
        return float("inf")
    return -job.best if report.mode == "max" else job.best


def job_label(report: Report, job: JobResult) -> str:
    """Return the swept values of a job, or its name where nothing was swept."""
    return label_of({key: job.setting(key) for key in report.keys}) or job.folder.name
