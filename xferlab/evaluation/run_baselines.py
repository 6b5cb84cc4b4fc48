"""What simple models score on a run's own splits, cached for the next run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xferlab.config.recipe import Recipe
from xferlab.contracts import TaskSpec, TextData
from xferlab.errors import XferlabError, printable
from xferlab.io.atomic import write_json
from xferlab.io.folders import cache_folder
from xferlab.io.records import read_record
from xferlab.statistics.baselines import BaselineScores, constant_scores, text_scores

log = logging.getLogger("xferlab")
FEWEST_ROWS = 500
"""Training rows from which on a run fits a model of the texts: importing it takes a second."""
MOST_ROWS = 5_000
"""Rows that it is fitted to, so that it takes some seconds."""
VERSION = 1
"""Part of the key: raise it when a baseline changes."""
SHAPE = {"name": str, "scores": {"*": {"*": float}}, "rows": int, "seconds": float}
"""What a file of the cache holds; see ``records.Shape``."""


def baselines_of(recipe: Recipe, data: TextData) -> list[BaselineScores]:
    """Return the scores of simple models on validation and test, by the run's metrics.

    One that cannot be computed is left out, and logged: the run has its own scores.
    """
    scored = {name: split for name, split in data.splits.items() if name != "train"}
    began = time.monotonic()
    found: list[BaselineScores | None] = []
    try:
        found.append(constant_scores(data.spec, data.train, scored, recipe.metrics))
        if len(data.train) >= FEWEST_ROWS:
            found.append(_cached_text_scores(recipe, data, scored))
    except (OSError, XferlabError, ValueError, MemoryError) as e:
        log.info("baseline   not computed: %s", printable(str(e)))
    log.debug("baselines took %.2f s", time.monotonic() - began)
    return [each for each in found if each is not None and any(each.scores.values())]


def _cached_text_scores(
    recipe: Recipe, data: TextData, scored: Mapping[str, Any]
) -> BaselineScores | None:
    path = cache_folder("baselines") / f"{_key(recipe, data)}.json"
    found = _read(path)
    if found is not None:
        return found
    made = text_scores(data.spec, data.train, scored, recipe.metrics, recipe.seed, MOST_ROWS)
    if made is not None:
        _write(path, made)
    return made


def _read(path: Path) -> BaselineScores | None:
    try:
        path = path.expanduser()
        return BaselineScores(**read_record(path, SHAPE)) if path.exists() else None
    except (OSError, RuntimeError, XferlabError, TypeError) as e:  # no home, or damaged
        log.debug("%s cannot be read: %s", path, e)
        return None


def _write(path: Path, made: BaselineScores) -> None:
    try:
        write_json(path.expanduser(), dataclasses.asdict(made))
    except (OSError, RuntimeError) as e:
        log.debug("%s cannot be written: %s", path, e)


def _key(recipe: Recipe, data: TextData) -> str:
    """Return the hash of all that the scores depend on."""
    spec: TaskSpec = data.spec
    digests = {name: split.digest for name, split in data.splits.items()}
    metrics = {name: repr(metric) for name, metric in recipe.metrics.items()}
    parts = [VERSION, spec.task.name, spec.class_names, digests, metrics, recipe.seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def baseline_record(baselines: Sequence[BaselineScores]) -> dict[str, Any]:
    """Return the scores for ``metrics.json``, by baseline, split and metric."""
    return {each.name: {split: dict(v) for split, v in each.scores.items()} for each in baselines}


def describe_baselines(record: Mapping[str, Any], split: str, metric: str) -> str:
    """Return the score of each baseline by one metric in one line, "" without any.

    >>> describe_baselines({"largest class (a)": {"test": {"f1": 0.25}}}, "test", "f1")
    'test f1: largest class (a) 0.2500'
    """
    found = {name: splits.get(split, {}).get(metric) for name, splits in record.items()}
    values = [f"{name} {value:.4f}" for name, value in found.items() if value is not None]
    return f"{split} {metric}: {', '.join(values)}" if values else ""
