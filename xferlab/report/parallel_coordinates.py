"""Parallel coordinates: each finished job is a line through its swept values to its score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from xferlab.formatting import format_learning_rate
from xferlab.report.read_runs import JobResult
from xferlab.report.repeats import REPEATS
from xferlab.report.settings import Report, is_number
from xferlab.report.svg import LOG_RATIO, Line, ParallelAxis, ParallelChart
from xferlab.report.tables import format_setting, format_value

MAX_LINES = 300
MAX_KEYS = 8
"""Jobs that differ in more are of different sweeps; their lines would say nothing."""
MAX_VALUES = 8
"""Different numbers that stand at equal distances; more of them stand to scale."""
SCORE_MARKS = 5
SPREAD = 0.06
"""Jobs of one value are this far apart on its axis, so that none hides another."""


def parallel_chart(report: Report) -> ParallelChart | None:
    """Return the chart, or None where too few or too many keys vary or all scores are equal."""
    jobs = [job for job in report.jobs if job.score is not None]
    keys = [key for key in report.keys if key not in REPEATS and _varies(jobs, key)]
    scores = [job.score for job in jobs if job.score is not None]
    if not 2 <= len(keys) <= MAX_KEYS or min(scores) == max(scores):
        return None
    columns = [_heights_and_marks([job.setting(key) for job in jobs]) for key in keys]
    columns = [(_spread(heights, scores), marks) for heights, marks in columns]
    columns.append(_scaled(scores, SCORE_MARKS))
    goodness = columns[-1][0] if report.mode == "max" else [1 - h for h in columns[-1][0]]
    order = sorted(range(len(jobs)), key=lambda n: goodness[n])[-MAX_LINES:]
    return ParallelChart(
        title=f"{report.monitor} by all swept values",
        legend=[("best", "a job a line; a stronger line is a better job")],
        axes=[
            ParallelAxis(label, marks)
            for label, (_, marks) in zip([*keys, report.monitor], columns, strict=True)
        ],
        lines=[
            Line(
                label=_label(report, jobs[n], keys),
                points=[(x, heights[n]) for x, (heights, _) in enumerate(columns)],
                style="best",
                opacity=0.12 + 0.88 * goodness[n] ** 2,
            )
            for n in order
        ],
    )


def _varies(jobs: Sequence[JobResult], key: str) -> bool:
    return len({repr(job.setting(key)) for job in jobs}) > 1


def _label(report: Report, job: JobResult, keys: Sequence[str]) -> str:
    setting = format_setting({key: job.setting(key) for key in keys})
    return f"{setting}: {report.monitor} {format_value(job.score)}"


Marks = list[tuple[float, str]]
"""What is written at which height."""


def _heights_and_marks(values: Sequence[Any]) -> tuple[list[float], Marks]:
    """Return the height of each value, from 0 to 1, and what is written on the axis.

    Few numbers, and texts, stand at equal distances in their order; many numbers to scale.
    """
    numeric = all(map(is_number, values))
    if numeric and len(set(values)) > MAX_VALUES:
        return _scaled([float(value) for value in values], MAX_VALUES)
    keys = list(values) if numeric else [_mark(value) for value in values]
    distinct = sorted(set(keys))
    height = {key: n / max(len(distinct) - 1, 1) for n, key in enumerate(distinct)}
    return [height[key] for key in keys], [(at, _mark(key)) for key, at in height.items()]


def _scaled(values: Sequence[float], marks: int) -> tuple[list[float], Marks]:
    """Return heights to scale, logarithmic where the values span much, and evenly spaced marks."""
    low = min(values)
    high = max(values)
    is_log = low > 0 and high / low >= LOG_RATIO
    if is_log:
        low = math.log(low)
        high = math.log(high)
        values = [math.log(value) for value in values]
    heights = [(value - low) / (high - low) for value in values]
    places = [n / (marks - 1) for n in range(marks)]
    at = [low + place * (high - low) for place in places]
    if is_log:
        at = [math.exp(value) for value in at]
    return heights, [(place, _mark(value)) for place, value in zip(places, at, strict=True)]


def _spread(heights: Sequence[float], scores: Sequence[float]) -> list[float]:
    """Return the heights with jobs of one value a little apart, in the order of their scores."""
    spread = list(heights)
    for height in set(heights):
        same = sorted((n for n, h in enumerate(heights) if h == height), key=lambda n: scores[n])
        for place, number in enumerate(same):
            if len(same) > 1:
                spread[number] += SPREAD * (place / (len(same) - 1) - 0.5)
    return spread


def _mark(value: Any) -> str:
    return format_learning_rate(value, 3) if isinstance(value, float) and value >= 0 else str(value)
