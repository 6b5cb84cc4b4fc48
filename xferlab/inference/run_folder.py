"""Reads and checks the folder of a finished run.

The folder may come from anybody: nothing in it is run, no link leads out of it, every value has the
right type, and all of it is checked before TensorFlow is imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from xferlab.config.allowlist import read_config_data
from xferlab.contracts import Budget, OutputKind, Task, TaskSpec
from xferlab.data.paths import nearest_file
from xferlab.deprecated import current_record
from xferlab.errors import ConfigError, did_you_mean
from xferlab.io.atomic import sha256_of
from xferlab.io.records import damaged, read_record
from xferlab.postprocessing.record import FILE as POSTPROCESS
from xferlab.runs.combined import FILE as COMBINED
from xferlab.runs.combined import is_ensemble
from xferlab.runs.lock import is_locked
from xferlab.runs.metadata import FORMAT, METRICS, OLDEST_FORMAT, RUN, read_status
from xferlab.tasks.base import task_named
from xferlab.training.weights import frozen_of, read_weights_header

MAX_RECORD_BYTES = 50_000_000  # bytes of a record; one with 10,000 class names has a hundredth
WEIGHTS = ("best", "last")
"""Those of the epoch with the best monitored value, and of the last epoch."""
COPY = "copy the whole run folder again"


def _one_of(values: type[Enum]) -> re.Pattern[str]:
    return re.compile("|".join(str(each.value) for each in values))


SIZE = range(1, 2**40)
VERSION = {"format?": int, "versions?": {"xferlab?": str}}
_TASK: Any = RUN["task"]
RECORD = RUN | {
    "format": int,
    "task": _TASK
    | {
        "task": str,
        "output_kind": _one_of(OutputKind),
        "rows": {"train": SIZE},
        "max_length": SIZE,
    },
    "model": {"*": str},
    "plan": {"epochs": SIZE, "steps": SIZE, "steps_per_epoch": SIZE},
}
RESULT = METRICS | {"weights": re.compile("best|last"), "sha256": {"*": str}}


@dataclass(frozen=True)
class RunFolder:
    """The checked content of a finished run's folder; no Keras object yet.

    Attributes:
        folder: of the run.
        record: its ``run.json``.
        metrics: its ``metrics.json``.
        config: its ``config.yaml``, plain data.
        spec: the task of the training data, and the kind of the model's outputs.
        budget: the planned length of training.
        weights: the file of the chosen weights, the best or the last; of an ensemble the record
            that names the weights of its members.
        digest: SHA-256 of that file.
    """

    folder: Path
    record: Mapping[str, Any]
    metrics: Mapping[str, Any]
    config: Mapping[str, Any]
    spec: TaskSpec
    budget: Budget
    weights: Path
    digest: str


def read_folder(folder: Path, weights: str | None = None) -> RunFolder:
    """Check a run's folder and return its content.

    Args:
        folder: of the run.
        weights: ``best`` or ``last``; None for those that the run's scores belong to.

    Raises:
        ConfigError: there is no finished run, it is of another version, or a file is missing,
            damaged, or no file of its own.
    """
    _refuse_no_run(folder)
    _refuse_other_format(folder)
    record = read_record(
        folder / "run.json", RECORD, largest=MAX_RECORD_BYTES, upgrade=current_record
    )
    _refuse_unfinished(folder)
    metrics = read_record(folder / "metrics.json", RESULT, largest=MAX_RECORD_BYTES)
    config = read_config_data(own_file(folder, "config.yaml"))
    for name, digest in record["model"].items():
        _refuse_changed(own_file(folder, f"model/{name}"), digest)
    found = {path.name for path in (folder / "model").glob("*")}
    for name in sorted(found - record["model"].keys()):
        raise damaged(folder / "run.json", f"run.json does not list the file model/{name}")
    if is_ensemble(folder):
        path = own_file(folder, COMBINED)
    else:
        name = _chosen(weights) or metrics["weights"]
        _refuse_unkept(folder, name, config)
        path = own_file(folder, f"checkpoints/{name}.safetensors")
        _refuse_changed_frozen(folder, path)
    digest = metrics["sha256"].get(path.name, "none")
    _refuse_changed(path, digest)
    if POSTPROCESS in metrics["sha256"]:
        _refuse_changed(own_file(folder, POSTPROCESS), metrics["sha256"][POSTPROCESS])
    plan = record["plan"]
    return RunFolder(
        folder=folder,
        record=record,
        metrics=metrics,
        config=_with_precision(config, record),
        spec=_spec(folder, record),
        budget=Budget(plan["epochs"], plan["steps_per_epoch"], plan["steps"]),
        weights=path,
        digest=digest,
    )


def _refuse_unkept(folder: Path, name: str, config: Mapping[str, Any]) -> None:
    """Raise ConfigError for weights that the run, or its sweep, has not kept."""
    train = config.get("train")
    keep = train.get("keep") if isinstance(train, Mapping) else None
    present = [each for each in WEIGHTS if (folder / f"checkpoints/{each}.safetensors").exists()]
    if name in present or not (present or keep == "none"):
        return  # what is missing without a reason is an error of its own
    again = f"train it again with train.keep={name}, or both"
    if keep == "none":
        why = "train.keep=none"
        fix = again
    else:
        why = f"train.keep={keep}" if keep else "a sweep keeps both in its best job alone"
        fix = f"weights={present[0]} loads the others; or {again}"
    what = f"the {name} weights of this run were not kept: {why}"
    raise ConfigError(what, where=str(folder), fix=fix)


def _with_precision(config: Mapping[str, Any], record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the config with the precision that ``train.precision=auto`` chose."""
    train = config.get("train")
    if not isinstance(train, Mapping) or train.get("precision") != "auto":
        return config
    return {**config, "train": {**train, "precision": record.get("precision", "float32")}}


def _chosen(weights: str | None) -> str | None:
    if weights is None or weights in WEIGHTS:
        return weights
    raise ConfigError(
        f"a run has no '{weights}' weights", where="weights", fix=did_you_mean(weights, WEIGHTS)
    )


def own_file(folder: Path, name: str) -> Path:
    """Return the path of a run's file, which must be an ordinary file inside the folder."""
    path = folder / name
    try:
        real = path.resolve()
        real.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as e:  # a name with a NUL, or of 5,000 letters
        what = f"no file can have the name {name[:60]!r}"
        raise ConfigError(what, where=str(folder), fix=COPY) from e
    if Path(name).is_absolute() or not real.is_relative_to(folder.resolve()):
        raise ConfigError(f"{name} leads out of the run's folder", where=str(folder), fix=COPY)
    if not real.is_file():
        what = "is no ordinary file" if real.exists() else "is missing"
        raise ConfigError(f"{name} {what} in this run's folder", where=str(folder), fix=COPY)
    return path


def _refuse_no_run(folder: Path) -> None:
    if os.path.isfile(folder):
        raise ConfigError(
            "this is a file, and a run is a folder",
            where=str(folder),
            fix="name a run's folder, as in outputs/runs/<when>-<id>",
        )
    if not os.path.isdir(folder):
        raise ConfigError(f"there is no folder {folder}", where="RUN", fix=nearest_file(folder))
    if (folder / "sweep.json").exists():
        raise ConfigError(
            "this is a sweep's folder, with one run in each folder below it",
            where=str(folder),
            fix=f"python -m xferlab report {folder}  lists them; then name one: {folder}/ID",
        )
    if not (folder / "run.json").exists() and not (folder / "status.json").exists():
        raise ConfigError(
            "there is no run in this folder (no run.json)",
            where=str(folder),
            fix="name a run's folder, as in outputs/runs/<when>-<id>",
        )


def _refuse_other_format(folder: Path) -> None:
    record = read_record(folder / "run.json", VERSION, largest=MAX_RECORD_BYTES)
    found = record.get("format", 0)
    versions = record.get("versions", {})
    if found in (OLDEST_FORMAT, FORMAT):
        return
    age = "a newer" if found > FORMAT else "an older"
    raise ConfigError(
        f"{age} xferlab wrote this run's folder: its format is {found}, this one reads"
        f" {OLDEST_FORMAT} to {FORMAT}",
        where=f"{folder}/run.json",
        fix=f"use xferlab {versions.get('xferlab', 'as it was then')}, or train it again here",
    )


def _refuse_unfinished(folder: Path) -> None:
    status = read_status(folder)["status"]
    if status == "finished":
        return
    if is_locked(folder):
        what = "this run is still running, its weights are not final"
        fix = "wait until it ends"
    else:
        what = f"this run has not finished ({status}): it has no final weights"
        fix = f"python -m xferlab --recover={folder}  resumes it"
    raise ConfigError(what, where=str(folder), fix=fix)


def _refuse_changed(path: Path, digest: Any) -> None:
    if sha256_of(path) != digest:
        raise ConfigError(
            f"{path.name} is damaged: it is not what the run wrote", where=str(path), fix=COPY
        )


def _refuse_changed_frozen(folder: Path, weights: Path) -> None:
    """Raise ConfigError if the weights that a file leaves out are not there, or are others."""
    frozen = frozen_of(weights)
    if frozen is not None:
        path, digest = frozen
        _refuse_changed(own_file(folder, f"checkpoints/{path.name}"), digest)
    read_weights_header(weights)


def _task_of(folder: Path, name: str) -> Task:
    try:
        return task_named(name)
    except ValueError as e:
        raise damaged(folder / "run.json", f"run.json: {e}") from e


def _spec(folder: Path, record: Mapping[str, Any]) -> TaskSpec:
    task = record["task"]
    spec = TaskSpec(
        task=_task_of(folder, task["task"]),
        class_names=tuple(task["class_names"]),
        train_size=task["rows"]["train"],
        max_length=task["max_length"],
        has_pairs=task["pairs"],
        class_counts=tuple(task["class_counts"]),
        output_kind=OutputKind(task["output_kind"]),
        windows=task.get("windows"),
    )
    if spec.task.has_classes != bool(spec.class_names):
        raise damaged(folder / "run.json", "run.json is damaged: its task does not fit its classes")
    return spec
