"""Pictures of a sweep: a value against the score, all jobs' curves, parallel coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.formatting import format_count, format_learning_rate
from xferlab.plotting import BLUE, FAINT, GRID, INK, new_figure, save_figure, set_title
from xferlab.report.charts import is_number, numeric_keys
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import SEED, Report
from xferlab.report.tables import label_of
from xferlab.sweep.job_state import FINISHED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = (BLUE, "#c8511b", "#2f8f5b", "#7b4fa3", "#b08900", "#5c6b78")
"""Colours of lines that are told apart; of more lines only the best one has a colour."""
Column = tuple[list[float], list[tuple[float, str]]]
"""Heights of the jobs on one axis, and what is written at which height."""
MOST_CURVES = 300
MOST_TICKS = 18
"""Values that are written below an axis where they were tried; of more, round numbers."""
PALE = "#b4bcc5"
LOG_FROM = 20
"""An axis whose largest value is so many times the smallest is logarithmic."""


def draw_plots(report: Report, folder: Path) -> list[Path]:
    """Draw what there is to draw, and return the files written."""
    scored = [job for job in report.jobs if job.best is not None]
    drawn = []
    for name, draw in (("score", _score), ("curves", _curves), ("parallel", _parallel)):
        path = folder / f"{name}.png"
        if scored and draw(report, scored, path):
            drawn.append(path)
    return drawn


def _score(report: Report, scored: Sequence[JobResult], path: Path) -> bool:
    """Draw a swept number against the score: every job a dot, a line through the means."""
    keys = numeric_keys(report)
    if not keys:
        return False
    key = "optimizer.lr" if "optimizer.lr" in keys else keys[0]
    figure, axes = new_figure()
    lines = _lines_over(report, key)
    best = report.best
    chosen = label_of({k: v for k, v in best.values.items() if k != key}, _as_words) if best else ""
    few = len(lines) <= len(LINES)
    for number, (label, points) in enumerate(lines.items()):
        if few or label == chosen:
            _draw_line(axes, points, LINES[number if few else 0], label)
        else:
            _draw_faint(axes, points)
    _scale(axes, sorted({float(job.setting(key)) for job in scored}), key)
    axes.set_ylabel(report.monitor)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    told = (
        f"best {format_learning_rate(float(best.values[key]), 3)}"
        if best and key in best.values
        else ""
    )
    told += "; a dot a seed, the band is their range" if report.over_seeds else ""
    set_title(axes, f"{report.monitor} by {key}", told)
    save_figure(figure, path)
    return True


def _lines_over(report: Report, key: str) -> dict[str, dict[float, list[float]]]:
    """Return, for each setting of the other keys, the finished jobs' scores by value of ``key``."""
    lines: dict[str, dict[float, list[float]]] = {}
    others = [each for each in report.keys if each not in (key, SEED)]
    for job in report.jobs:
        if job.best is not None and job.state.status == FINISHED:
            label = label_of({k: job.setting(k) for k in others}, _as_words)
            line = lines.setdefault(label, {})
            line.setdefault(float(job.setting(key)), []).append(job.best)
    return lines


def _draw_line(axes: Axes, points: Mapping[float, list[float]], colour: str, label: str) -> None:
    xs = sorted(points)
    means = [sum(points[x]) / len(points[x]) for x in xs]
    axes.plot(xs, means, color=colour, linewidth=1.8, zorder=3, label=label)
    if any(len(points[x]) > 1 for x in xs):
        low, high = [min(points[x]) for x in xs], [max(points[x]) for x in xs]
        axes.fill_between(xs, low, high, color=colour, alpha=0.13, linewidth=0)
    dots = [(x, value) for x in xs for value in points[x]]
    axes.plot(*zip(*dots, strict=True), "o", color=colour, markersize=4, zorder=4)


def _draw_faint(axes: Axes, points: Mapping[float, list[float]]) -> None:
    """Draw one line of too many to be told apart."""
    xs = sorted(points)
    means = [sum(points[x]) / len(points[x]) for x in xs]
    axes.plot(xs, means, "o-", color=PALE, linewidth=0.9, markersize=3, zorder=2)


def _scale(axes: Axes, values: Sequence[float], key: str) -> None:
    """Write the values that were tried below the axis, as they are typed."""
    from matplotlib.ticker import NullLocator

    if values[0] > 0 and (key == "optimizer.lr" or values[-1] / values[0] >= LOG_FROM):
        axes.set_xscale("log")
    if len(values) <= MOST_TICKS:
        step = -(-len(values) // 9)
        axes.set_xticks(
            values[::step], [format_learning_rate(value, 3) for value in values[::step]]
        )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(key)


def _curves(report: Report, scored: Sequence[JobResult], path: Path) -> bool:
    """Draw the monitored value of every job by epoch; the best setting's in colour."""
    curves = [
        (job, [(row["epoch"], row[report.monitor]) for row in job.history if report.monitor in row])
        for job in report.jobs
    ]
    curves = [(job, points) for job, points in curves if points][:MOST_CURVES]
    if not curves:
        return False
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_figure()
    best = {job.folder for job in report.best.jobs} if report.best else set()
    for job, points in curves:
        chosen = job.folder in best
        axes.plot(
            *zip(*points, strict=True),
            color=BLUE if chosen else PALE,
            linewidth=1.8 if chosen else 0.9,
            marker="o",
            markersize=3.5 if chosen else 2,
            zorder=4 if chosen else 2,
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(report.monitor)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    told = label_of(report.best.values, _as_words) if report.best else ""
    set_title(
        axes,
        f"{report.monitor} of {format_count(len(curves), 'job')}",
        f"blue: {told}" * bool(told),
    )
    save_figure(figure, path)
    return True


def _parallel(report: Report, scored: Sequence[JobResult], path: Path) -> bool:
    """Draw a line a job through its swept values to its score; better ones are darker."""
    keys = [key for key in report.keys
            if key != SEED and len({repr(job.setting(key)) for job in scored}) > 1]  # fmt: skip
    scores = [job.best for job in scored if job.best is not None]
    if len(keys) < 2 or min(scores) == max(scores):
        return False
    from matplotlib.colors import LinearSegmentedColormap

    columns = [_spread(_column([job.setting(key) for job in scored]), scores) for key in keys]
    columns.append(_column(scores, most=5, spaced=False))
    figure, axes = new_figure(max(900, 150 * len(columns)))
    colours = LinearSegmentedColormap.from_list("", ["#d5dbe1", "#8fb4d6", BLUE, "#0d3c66"])
    heights = columns[-1][0] if report.mode == "max" else [1 - h for h in columns[-1][0]]
    for number in sorted(range(len(scored)), key=lambda n: heights[n]):
        line = [column[0][number] for column in columns]
        axes.plot(range(len(columns)), line, color=colours(heights[number]), linewidth=1.4,
                  alpha=0.85)  # fmt: skip
    for x, (_, marks) in enumerate(columns):
        axes.axvline(x, color=FAINT, linewidth=0.8, zorder=1)
        for height, text in marks:
            axes.annotate(text, (x, height), (5, 0), textcoords="offset points", va="center",
                          fontsize=8.5, color=INK, bbox={"fc": "white", "ec": "none", "alpha": 0.75,
                                                         "pad": 0.8})  # fmt: skip
    axes.set_xticks(range(len(columns)), [*keys, report.monitor])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xlim(-0.1, len(columns) - 1 + 0.35)
    set_title(axes, f"{format_count(len(scored), 'job')}, a line each", "darker is better")
    save_figure(figure, path)
    return True


def _column(values: Sequence[Any], most: int = 8, *, spaced: bool = True) -> Column:
    """Return the height of each value, from 0 to 1, and what is written where on the axis.

    Few values, and words, stand at equal distances in their order; many numbers to scale.
    """
    numbers = all(map(is_number, values))
    distinct = sorted(set(values)) if numbers else sorted({_as_words(v) for v in values})
    if not numbers or (spaced and len(distinct) <= most):
        place = {value: n / max(len(distinct) - 1, 1) for n, value in enumerate(distinct)}
        heights = [place[value if numbers else _as_words(value)] for value in values]
        return heights, [(height, _as_words(value)) for value, height in place.items()]
    return _to_scale([float(value) for value in values], most)


def _spread(column: Column, scores: Sequence[float]) -> Column:
    """Return a column with jobs of one value a little apart, by score, so that none hides."""
    heights, marks = column
    spread = list(heights)
    for height in set(heights):
        same = sorted((n for n, h in enumerate(heights) if h == height), key=lambda n: scores[n])
        for place, number in enumerate(same):
            spread[number] += 0.06 * (place / max(len(same) - 1, 1) - 0.5) if same[1:] else 0
    return spread, marks


def _to_scale(values: list[float], most: int) -> Column:
    import math

    low, high = min(values), max(values)
    log = low > 0 and high / low >= LOG_FROM
    to, back = (math.log, math.exp) if log else (float, float)
    span = to(high) - to(low)
    marks = [n / (most - 1) for n in range(most)]
    return [(to(value) - to(low)) / span for value in values], [
        (mark, _as_words(back(to(low) + mark * span))) for mark in marks
    ]


def _as_words(value: Any) -> str:
    return format_learning_rate(value, 3) if isinstance(value, float) and value >= 0 else str(value)
