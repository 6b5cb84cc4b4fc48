"""Which charts a report has: a swept number against the score, every job by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from xferlab.io.atomic import atomic_write
from xferlab.report.parallel_coordinates import parallel_chart
from xferlab.report.pareto import pareto_charts
from xferlab.report.read_runs import JobResult
from xferlab.report.repeats import REPEATS
from xferlab.report.settings import Report, is_number
from xferlab.report.svg import LOG_RATIO, Chart, Dot, LegendEntry, Line, LineChart, render_file
from xferlab.report.tables import format_setting, format_value
from xferlab.sweeps.job_state import FINISHED

MAX_SCORE_CHARTS = 3
MAX_CURVES = 300
MAX_LEGEND = 7
MAX_COLOURS = 6
MAX_TICKS = 14
LEARNING_RATE = "optimizer.lr"


def charts_of(report: Report) -> list[Chart]:
    """Return the charts: swept numbers, curves by epoch, score by cost, all swept values."""
    charts = [_score_chart(report, key) for key in _numeric_keys(report)[:MAX_SCORE_CHARTS]]
    names = dict.fromkeys([report.monitor, "val_loss", "loss"])
    charts += [_curve_chart(report, name) for name in names]
    shown: list[Chart] = [chart for chart in charts if chart.has_points()]
    shown += pareto_charts(report)
    parallel = parallel_chart(report)
    return [*shown, parallel] if parallel else shown


def write_charts(report: Report, folder: Path) -> list[Path]:
    """Write the main charts as SVG files and return them."""
    candidates = [("score", _score_chart(report, key)) for key in _numeric_keys(report)[:1]]
    candidates.append(("curves", _curve_chart(report, report.monitor)))
    charts: dict[str, Chart] = {name: chart for name, chart in candidates if chart.has_points()}
    if parallel := parallel_chart(report):
        charts["parallel"] = parallel
    for name, chart in charts.items():
        atomic_write(folder / f"{name}.svg", render_file(chart))
    return [folder / f"{name}.svg" for name in charts]


def _numeric_keys(report: Report) -> list[str]:
    """Return the swept keys with several values, all numbers: the learning rate first, no seed."""
    values = {
        key: [job.setting(key) for job in report.jobs] for key in report.keys if key not in REPEATS
    }
    keys = [k for k, each in values.items() if all(map(is_number, each)) and len(set(each)) > 1]
    return sorted(keys, key=lambda key: key != LEARNING_RATE)


def _score_chart(report: Report, key: str) -> LineChart:
    """Return the chart of a swept number against the score: a line for each other setting."""
    other_keys = [each for each in report.keys if each not in (key, *REPEATS)]
    groups = _scores_by_value(report, key, other_keys)
    best = format_setting({k: report.best.values[k] for k in other_keys}) if report.best else ""
    lines = []
    for number, (setting, points) in enumerate(groups.items()):
        style = f"c{number}" if len(groups) <= MAX_COLOURS else "faint"
        lines.append(_score_line(setting, points, "best" if setting == best else style))
    lines.sort(key=lambda line: line.style == "best")
    values = sorted({x for points in groups.values() for x in points})
    return LineChart(
        title=f"{report.monitor} by {key}",
        legend=_score_legend(lines, best),
        lines=lines,
        x_label=key,
        y_label=report.monitor,
        log_x=_is_log(key, values),
        x_ticks=values if len(values) <= MAX_TICKS else (),
    )


def _scores_by_value(
    report: Report, key: str, other_keys: Sequence[str]
) -> dict[str, dict[float, list[Dot]]]:
    """Return the finished jobs as dots, by the setting of the other keys and the value of one."""
    groups: dict[str, dict[float, list[Dot]]] = {}
    for job in report.jobs:
        if job.score is not None and job.state.status == FINISHED:
            setting = format_setting({k: job.setting(k) for k in other_keys})
            x = float(job.setting(key))
            label = f"{job_label(report, job)}: {report.monitor} {format_value(job.score)}"
            groups.setdefault(setting, {}).setdefault(x, []).append(Dot(x, job.score, label))
    return groups


def _is_log(key: str, values: Sequence[float]) -> bool:
    if not values or values[0] <= 0:
        return False
    return key == LEARNING_RATE or values[-1] / values[0] >= LOG_RATIO


def _score_legend(lines: Sequence[Line], best: str) -> list[LegendEntry]:
    if len(lines) == 1:
        return [("best", "a dot a run; the line is their mean, the band their range")]
    if len(lines) > MAX_LEGEND:
        return [("best", best), ("faint", "other settings")]
    return [(line.style, line.label.partition(" (mean")[0]) for line in reversed(lines)]


def _score_line(setting: str, points: Mapping[float, Sequence[Dot]], style: str) -> Line:
    xs = sorted(points)
    scores = [[dot.y for dot in points[x]] for x in xs]
    label = setting or "mean"
    has_band = any(len(each) > 1 for each in scores)
    return Line(
        label=f"{label} (mean; the band is the range)" if has_band else label,
        points=[(x, sum(each) / len(each)) for x, each in zip(xs, scores, strict=True)],
        style=style,
        dots=[dot for x in xs for dot in points[x]],
        low=[min(each) for each in scores] if has_band else (),
        high=[max(each) for each in scores] if has_band else (),
    )


def _curve_chart(report: Report, name: str) -> LineChart:
    """Return the chart of a column of the histories: a line for each job, the best on top."""
    best_jobs = {job.folder for job in report.best.jobs} if report.best else set()
    ranked = sorted(report.jobs, key=lambda job: _rank(report, job))
    lines = []
    for job in ranked[:MAX_CURVES]:
        points = _curve(job, name)
        if points:
            style = "best" if job.folder in best_jobs else "faint"
            lines.append(Line(_curve_label(report, job), points, style))
    lines.sort(key=lambda line: line.style == "best")
    legend: list[LegendEntry] = []
    if report.best:
        best = format_setting(report.best.values)
        legend = [("best", f"best: {best}"), ("faint", "other settings")] if best else []
    long_names = {"loss": "training loss", "val_loss": "validation loss"}
    title = f"{long_names.get(name, name)} by epoch"
    return LineChart(title, legend, lines, "epoch", name, integer_x=True)


def _curve(job: JobResult, name: str) -> list[tuple[float, float]]:
    rows = [row for row in job.history if {"epoch", name} <= set(row)]
    points = [(row["epoch"], row[name]) for row in rows]
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _curve_label(report: Report, job: JobResult) -> str:
    score = f": {report.monitor} {format_value(job.score)}" if job.score is not None else ""
    return f"{job_label(report, job)}{score} ({job.state.status})"


def _rank(report: Report, job: JobResult) -> float:
    if job.score is None:
        return math.inf
    return -job.score if report.mode == "max" else job.score


def job_label(report: Report, job: JobResult) -> str:
    """Return the swept values of a job, or its name where nothing was swept."""
    return format_setting({key: job.setting(key) for key in report.keys}) or job.folder.name
