"""Reads the jobs of sweeps from disk, also unfinished ones, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xferlab.config.allowlist import read_config_data
from xferlab.config.overrides import key_of
from xferlab.config.recipe import mode_of_score
from xferlab.config.schema import ENOUGH_VALIDATION_ROWS, TrainConfig
from xferlab.errors import ConfigError
from xferlab.runs.combined import differing_keys
from xferlab.runs.history import history_of
from xferlab.runs.inputs import read_inputs
from xferlab.runs.latency import read_latency
from xferlab.runs.metadata import PLAN, read_metrics, read_run
from xferlab.runs.score import Score, finite, score_of
from xferlab.sweeps.job_state import State, state_of
from xferlab.sweeps.manifest import JOB, read_job, read_plan

NAME_ONE = "name the folder of a sweep or of a run; they are in outputs/sweeps and outputs/runs"
CONTENT = " (content)"
"""Ends the name of a column with the digest of what a key read."""


@dataclass(frozen=True)
class JobResult:
    """The state and results of one job.

    Attributes:
        folder: where it is; its name is the run id in a sweep.
        config: the resolved experiment.
        overrides: the keys and values, as text, that it was started with.
        state: its status and its record.
        monitor: the logged name that picks the best epoch, where it is known.
        score: its value for the weights that the run uses: of the best epoch, so far or in the
            end, or of the last one.
        epoch: that epoch, from 1.
        step: the optimizer step at its end.
        last: the monitored value of the last epoch.
        test: scores of the test split.
        validation: scores of the validation split by the same weights.
        task: the task in ``run.json`` (``task``, ``output_kind``, ``class_names``, ``rows``), or
            None where the run has not got that far.
        digests: SHA-256 of each split's rows.
        seconds: time trained.
        history: a row an epoch.
        baselines: scores of simple models on its splits, by model, split and metric.
        content: digests of what it read, by ``data.train`` or ``loss=focal``.
        record: the content of ``run.json``; empty where the run has not got that far.
        latency: milliseconds an example, predicted in batches on the run's device; None where that
            was not measured.
        differing: keys of the config in which the runs of a combination differ.
        weights: ``best`` or ``last``: the epoch whose weights the run uses.
    """

    folder: Path
    config: Mapping[str, Any]
    overrides: Mapping[str, str]
    state: State
    monitor: str | None
    score: float | None
    epoch: int | None
    step: int | None
    last: float | None
    test: Mapping[str, float]
    validation: Mapping[str, float]
    task: Mapping[str, Any] | None
    digests: Mapping[str, str]
    seconds: float | None
    history: Sequence[Mapping[str, float]]
    content: Mapping[str, str] = field(default_factory=dict)
    baselines: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    latency: float | None = None
    differing: frozenset[str] = frozenset()
    weights: str = "best"

    def setting(self, key: str) -> Any:
        """Return the value of a key such as ``optimizer.lr``, or the name of a group's choice.

        For ``data.train (content)`` that is the beginning of its digest; None where the runs of a
        combination differ.
        """
        if key.endswith(CONTENT):
            return self.content.get(key.removesuffix(CONTENT), "")[:8] or None
        if not self.differing.isdisjoint((key, f"{key}.name")):
            return None
        node: Any = self.config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping):
            return self.overrides.get(key, node.get("name"))
        return node


@dataclass(frozen=True)
class FoundJobs:
    """The jobs to report.

    Attributes:
        folders: those that hold jobs, each once.
        jobs: of all of them, each once.
        left_out: a line for each job or folder that cannot be read, with the reason.
    """

    folders: Sequence[Path]
    jobs: Sequence[JobResult]
    left_out: Sequence[str]


def read_jobs(folders: Sequence[Path]) -> FoundJobs:
    """Return the jobs of all the sweeps, or single runs, in ``folders``.

    Damaged jobs are left out and named, unless all are damaged.

    Raises:
        ConfigError: there is no job that can be read.
    """
    jobs: dict[Path, JobResult] = {}
    good: dict[Path, Path] = {}
    errors: list[ConfigError] = []
    for folder in folders:
        try:
            places = _places_in(folder)
        except ConfigError as e:
            errors.append(e)
            continue
        for place in places:
            try:
                _refuse_link(place, folder)
                jobs.setdefault(place.resolve(), _read_job(place))
                good.setdefault(folder.resolve(), folder)
            except ConfigError as e:
                errors.append(e)
    if not jobs:
        raise errors[0]
    return FoundJobs(
        tuple(good.values()), tuple(jobs.values()), [f"{e.where}: {e.what}" for e in errors]
    )


def _places_in(folder: Path) -> list[Path]:
    """Return the folders of the jobs that ``folder`` holds, or is."""
    if not folder.is_dir():
        what = "this is a file, not a folder" if folder.exists() else "there is no such folder"
        raise ConfigError(what, where=str(folder), fix=NAME_ONE)
    if (folder / PLAN).exists():
        return [folder / job["run_id"] for job in read_plan(folder)["jobs"]]
    if (folder / "status.json").exists():
        return [folder]
    runs = sorted(path.parent for path in folder.glob("*/status.json"))
    if not runs:
        raise ConfigError("there is no run in this folder", where=str(folder), fix=NAME_ONE)
    return runs


def _refuse_link(place: Path, folder: Path) -> None:
    """Raise ConfigError for a job that is a link within the folder that was named."""
    if place != folder and place.is_symlink():
        raise ConfigError("it is a link", where=str(place), fix="name what it leads to")


def _read_job(folder: Path) -> JobResult:
    record = read_job(folder) if (folder / JOB).exists() else {"overrides": []}
    kept = read_inputs(folder) or record
    path = folder / "config.yaml"
    config = record.get("config") or (read_config_data(path) if path.exists() else {})
    metrics = read_metrics(folder) if (folder / "metrics.json").exists() else {}
    made = read_run(folder) if (folder / "run.json").exists() else {}
    history = history_of(folder)
    score = score_of(metrics, history) if metrics else _no_score(made, config)
    monitor = score.monitor
    return JobResult(
        folder=folder,
        config=config,
        overrides={key_of(word): word.partition("=")[2] for word in record["overrides"]},
        state=state_of(folder),
        monitor=monitor or None,
        score=score.value,
        epoch=score.epoch,
        step=_step_of(score.epoch, history),
        last=finite(history[-1].get(monitor)) if history else None,
        test=_numbers(metrics.get("test", {})),
        validation=_numbers(metrics.get("validation", {})),
        task=made.get("task"),
        digests=made.get("data", {}),
        seconds=metrics.get("seconds") or sum(row.get("seconds", 0) for row in history) or None,
        history=history,
        baselines=metrics.get("baselines", {}),
        content={**kept.get("inputs", {}), **kept.get("plugins", {})},
        record=made,
        latency=read_latency(folder),
        differing=differing_keys(folder),
        weights=score.weights,
    )


def _no_score(record: Mapping[str, Any], config: Mapping[str, Any]) -> Score:
    """Return the score of a run that has none yet: of which weights it will be."""
    train = config.get("train") or {}
    chosen = TrainConfig(restore_best=train.get("restore_best"), patience=train.get("patience"))
    rows = record.get("task", {}).get("rows", {}).get("validation", ENOUGH_VALIDATION_ROWS)
    restores = chosen.restores_best(rows)
    return Score(record.get("monitor", ""), None, None, "best" if restores else "last")


def with_score_so_far(job: JobResult, monitor: str | None, mode: str) -> JobResult:
    """Return a job that has no final score with that of its history, by the weights it will use."""
    if job.score is not None:
        return job
    rows = [row for row in job.history if finite(row.get(monitor or "")) is not None]
    if not monitor or not rows:
        return job
    best = (max if mode == "max" else min)(rows, key=lambda row: row[monitor])
    if job.weights == "last":
        best = rows[-1]
    return JobResult(
        **{
            **job.__dict__,
            "monitor": monitor,
            "score": best[monitor],
            "epoch": int(best["epoch"]),
            "step": _step_of(int(best["epoch"]), job.history),
            "last": rows[-1][monitor],
        }
    )


def _step_of(epoch: int | None, history: Iterable[Mapping[str, float]]) -> int | None:
    steps = [row.get("step") for row in history if row.get("epoch") == epoch]
    return int(steps[0]) if steps and steps[0] is not None else None


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if finite(value) is not None}


def mode_of(monitor: str | None, jobs: Sequence[JobResult]) -> str:
    """Return the mode of a monitored score, ``max`` or ``min``."""
    name = (monitor or "").removeprefix("val_")
    configs = [job.config for job in jobs]
    known = next((config for config in configs if name in config.get("metric", {})), {})
    return mode_of_score(known, monitor or "")
