"""Score against cost: the settings that no other beats at the same or a lower cost."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Report, Setting
from xferlab.report.svg import LOG_RATIO, Chart, Dot, Line, LineChart
from xferlab.report.tables import format_setting, format_value, name_of
from xferlab.sweeps.job_state import FINISHED

MIN_RATIO = 1.2
"""Costs that differ by less are one: the time of a training varies by as much."""


@dataclass(frozen=True)
class _Point:
    cost: float
    score: float
    label: str


def parameters_of(job: JobResult) -> float | None:
    """Return the number of the network's parameters, as the run has recorded it."""
    count = (job.record.get("checkpoint") or {}).get("parameters")
    return float(count) if isinstance(count, int) else None


def pareto_charts(report: Report) -> Iterator[Chart]:
    """Yield the score by size, training time and latency, where the settings differ in them.

    Latencies of several devices, or of batches of several sizes, are not compared.
    """
    costs: dict[str, Callable[[JobResult], float | None]] = {
        "parameters": parameters_of,
        "seconds of training": lambda job: job.seconds,
    }
    device = _one_device(report)
    if device:
        costs[f"milliseconds an example ({device})"] = lambda job: job.latency
    for label, cost_of in costs.items():
        points = _points(report, cost_of)
        if len(points) > 1 and points[-1].cost >= MIN_RATIO * points[0].cost:
            yield _chart(report, label, points)


def _one_device(report: Report) -> str:
    """Return the device of all jobs whose latency is known; "" if there are several."""
    found = set()
    for job in report.jobs:
        if job.latency is not None:
            size = job.config.get("train", {}).get("eval_batch_size")
            found.add((str(job.record.get("device", "")), size))
    return found.pop()[0] if len(found) == 1 else ""


def _points(report: Report, cost_of: Callable[[JobResult], float | None]) -> list[_Point]:
    """Return the settings with a score and a cost, the cheapest first."""
    points = []
    for setting in report.settings:
        costs = [cost_of(job) for job in setting.jobs if job.state.status == FINISHED]
        known = [cost for cost in costs if cost]
        if setting.best and known:
            points.append(_Point(statistics.fmean(known), setting.best[0], _label(setting)))
    return sorted(points, key=lambda point: point.cost)


def _label(setting: Setting) -> str:
    return format_setting(setting.values) or name_of(setting)


def pareto_front(points: Sequence[tuple[float, float]], mode: str) -> list[tuple[float, float]]:
    """Return the points, cost and score, that none with the same or a lower cost beats.

    Args:
        points: in any order.
        mode: ``max`` where a higher score is better, ``min`` where a lower one is.

    >>> pareto_front([(1, 0.8), (2, 0.7), (3, 0.9), (3, 0.85)], "max")
    [(1, 0.8), (3, 0.9)]
    """
    sign = 1 if mode == "max" else -1
    front: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not front or sign * score > sign * front[-1][1]:
            front.append((cost, score))
    return front


def _number(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}"


def _chart(report: Report, label: str, points: Sequence[_Point]) -> LineChart:
    front = pareto_front([(point.cost, point.score) for point in points], report.mode)
    dots = [
        Dot(
            point.cost,
            point.score,
            f"{point.label}: {report.monitor} {format_value(point.score)},"
            f" {_number(point.cost)} {label}",
        )
        for point in points
    ]
    line = Line("Pareto front", front, "best", dots)
    return LineChart(
        title=f"{report.monitor} by {label}",
        legend=[("best", "a dot a setting; on the line those that none beats for less")],
        lines=[line],
        x_label=label,
        y_label=report.monitor,
        log_x=points[-1].cost >= LOG_RATIO * points[0].cost,
    )
