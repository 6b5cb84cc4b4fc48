"""The parts of a sweep file, ``grid``, ``zip``, ``list`` and ``random``, as lists of overrides."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.config.overrides import format_override, key_of
from xferlab.config.schema import SweepConfig
from xferlab.deprecated import current_config
from xferlab.errors import ConfigError, did_you_mean
from xferlab.sweeps.distributions import read_distributions, values_of

Point = list[str]
"""Overrides that are set together."""


def axes_of(sweep: SweepConfig) -> list[list[Point]]:
    """Return one list of points for each axis; the jobs are the product of the axes.

    >>> axes_of(SweepConfig(grid={"seed": [1, 2]}, zip={"a": [3, 4], "b": [5, 6]}))
    [[['seed=1'], ['seed=2']], [['a=3', 'b=5'], ['a=4', 'b=6']]]
    """
    axes = _grid(sweep.grid or {}) + _zip(sweep.zip or {})
    axes += _list(sweep.list or []) + _random(sweep.random or {})
    _refuse_a_key_of_two_axes(axes)
    return axes


def product(axes: Sequence[list[Point]]) -> list[Point]:
    """Return the points of all combinations, the last axis fastest."""
    return [list(itertools.chain(*points)) for points in itertools.product(*axes)]


def _grid(part: Mapping[str, Any]) -> list[list[Point]]:
    return [
        [[format_override(key, value)] for value in values_of(values, f"sweep.grid.{key}")]
        for key, values in part.items()
    ]


def _zip(part: Mapping[str, Any]) -> list[list[Point]]:
    columns = {key: values_of(values, f"sweep.zip.{key}") for key, values in part.items()}
    if len({len(values) for values in columns.values()}) > 1:
        counts = ", ".join(f"{key} has {len(values)}" for key, values in columns.items())
        raise ConfigError(
            f"zipped keys must have equally many values: {counts}",
            where="sweep.zip",
            fix="give each key a value for every job, or use grid for all combinations",
        )
    rows = zip(*columns.values(), strict=True)
    points = [[format_override(k, v) for k, v in zip(columns, row, strict=True)] for row in rows]
    return [points] if points else []


def _list(part: Any) -> list[list[Point]]:
    if not isinstance(part, list) or not all(isinstance(job, dict) and job for job in part):
        raise ConfigError(
            "a list of jobs is a list of mappings from keys to values",
            where="sweep.list",
            fix="list: [{optimizer.lr: 1e-5, seed: 0}, {optimizer.lr: 3e-5, seed: 1}]",
        )
    points = [[format_override(key, value) for key, value in job.items()] for job in part]
    return [points] if points else []


def _random(part: Mapping[str, Any]) -> list[list[Point]]:
    """Return ``count`` points; the first ones stay the same when ``count`` grows."""
    if not part:
        return []
    part = current_config(part, "sweep.random", report=True)
    keys = ("count", "seed", "space")
    for key in part:
        if key not in keys:
            raise ConfigError(
                f"there is no key '{key}'", where="sweep.random", fix=did_you_mean(key, keys)
            )
    count = part.get("count")
    seed = part.get("seed", 0)
    if not isinstance(count, int) or count < 1 or not isinstance(seed, int):
        raise ConfigError(
            f"count must be a whole number from 1 up and seed one, got {count} and {seed}",
            where="sweep.random",
            fix="random: {count: 20, seed: 0, space: ...}",
        )
    distributions = read_distributions(part.get("space"), "sweep.random.space")
    points = []
    for number in range(count):
        point = []
        for each in distributions:
            generator = random.Random(f"{seed}/{number}/{each.key}")
            point.append(each.override(each.sample(generator)))
        points.append(point)
    return [points]


def _refuse_a_key_of_two_axes(axes: list[list[Point]]) -> None:
    seen: set[str] = set()
    for axis in axes:
        keys = {key_of(word) for point in axis for word in point}
        if keys & seen:
            key = sorted(keys & seen)[0]
            raise ConfigError(
                f"{key} is swept twice", where=f"sweep: {key}", fix="name it in one part only"
            )
        seen |= keys
