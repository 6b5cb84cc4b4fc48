"""Which finished runs can be combined: those of one task, scored on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError, XferlabError, collect_errors, raise_together
from xferlab.inference.ensemble import Ensemble
from xferlab.inference.load import load_run
from xferlab.inference.run import Run

LEAST = 2
"""Runs that can be combined."""


def read_members(folders: Sequence[Path]) -> list[Run]:
    """Return the runs in folders; TensorFlow is not imported.

    Raises:
        ConfigError: fewer than two, one that is no finished run, or the same weights twice.
    """
    runs: list[Run] = []
    errors: list[XferlabError] = []
    for folder in folders:
        with collect_errors(errors):
            runs.append(load_run(folder))
    raise_together(errors)
    if len(runs) < LEAST:
        raise ConfigError(
            f"{len(runs)} run is named, and a combination has two or more",
            where="combine",
            fix="name the folders of finished runs: outputs/sweeps/NAME/*",
        )
    seen: dict[str, Run] = {}
    for run in runs:
        if isinstance(run, Ensemble):
            raise ConfigError(
                f"this run is itself of {len(run.members)} runs",
                where=str(run.folder),
                fix=f"name its members: {run.folder}/members/*",
            )
        if run.content.digest in seen:
            raise ConfigError(
                f"it has the same weights as {seen[run.content.digest].folder}",
                where=str(run.folder),
                fix="name each run once",
            )
        seen[run.content.digest] = run
    return runs


def refuse_unlike(runs: Sequence[Run], how: str) -> None:
    """Raise ConfigError for runs that give outputs of different things, or are scored on others.

    Args:
        runs: two or more.
        how: ``average``, ``vote`` or ``soup``.
    """
    first = runs[0]
    for run in runs[1:]:
        if _meaning(run.spec) != _meaning(first.spec):
            raise ConfigError(
                f"it predicts {_describe(run.spec)}, and {first.folder.name}"
                f" {_describe(first.spec)}",
                where=str(run.folder),
                fix="combine runs of one task with the same classes",
            )
    if how == "vote" and not first.spec.task.has_classes:
        raise ConfigError(
            "a vote is of classes, and these runs predict a number",
            where="--how vote",
            fix="--how average",
        )
    split = scored_split(first)
    for run in runs[1:]:
        digests = (run.record["data"].get(split), first.record["data"].get(split))
        if digests[0] != digests[1] or digests[0] is None:
            raise ConfigError(
                f"its {split} examples are not those of {first.folder.name}: one may have been"
                " trained on examples that the other is scored on",
                where=str(run.folder),
                fix="combine runs that were given the same data.test, or data.validation",
            )
    _refuse_trained_on(runs)
    if how == "soup" and not has_common_validation(runs):
        raise ConfigError(
            "the runs have different validation examples: some were trained on those that others"
            " are chosen by",
            where="--how soup",
            fix="--how average, or train them with one data.validation=FILE",
        )


def _refuse_trained_on(runs: Sequence[Run]) -> None:
    """Raise ConfigError where a run was trained on the very split that another is scored on."""
    for run in runs:
        for other in runs:
            scored = (other.record["data"].get(split) for split in ("validation", "test"))
            if run.record["data"].get("train") in [digest for digest in scored if digest]:
                raise ConfigError(
                    f"it was trained on the examples that {other.folder.name} is scored on",
                    where=str(run.folder),
                    fix="leave it out",
                )


def scored_split(run: Run) -> str:
    """Return the split of a run's final scores."""
    return "test" if run.record["data"].get("test") else "validation"


def has_common_validation(runs: Sequence[Run]) -> bool:
    """Return whether all runs have the same validation examples."""
    return len({run.record["data"].get("validation") for run in runs}) == 1


def _meaning(spec: TaskSpec) -> tuple[Any, ...]:
    return spec.task.name, sorted(spec.class_names), spec.has_pairs


def _describe(spec: TaskSpec) -> str:
    names = ", ".join(sorted(spec.class_names)[:8]) or "a number"
    return f"{names} ({spec.task.name}{', pairs' if spec.has_pairs else ''})"
