"""Chooses the data of an evaluation: a split of the run, or new data, labelled by its classes."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.checks.data import check_data
from xferlab.config.compose import compose_experiment
from xferlab.config.overrides import format_override, key_of, parse_overrides
from xferlab.contracts import Split, TaskSpec, TextData
from xferlab.data.class_names import codes_by_name
from xferlab.data.class_names_file import Names
from xferlab.data.labels import Rows
from xferlab.data.notes import Notes
from xferlab.data.splits import SPLITS
from xferlab.errors import ConfigError, did_you_mean
from xferlab.inference.run import Run
from xferlab.registry import REGISTRY
from xferlab.runs.inputs import read_inputs
from xferlab.runs.outside_paths import refuse_places_outside

NEW_DATA = "name data that is here: data=files data.test=FILE"


@dataclass(frozen=True)
class EvaluationSplit:
    """Examples to evaluate.

    Attributes:
        name: of the evaluation's folder: the split, or a name for new data.
        split: ``train``, ``validation`` or ``test``.
        rows: texts and labels, indices of the run's classes.
        digest: SHA-256 of texts and labels.
        own: whether they are the run's own examples of that split.
    """

    name: str
    split: str
    rows: Split
    digest: str
    own: bool


def choose_split(run: Run, arguments: Sequence[str]) -> EvaluationSplit:
    """Return the examples that the arguments of a command choose.

    Args:
        run: the run.
        arguments: ``split=NAME`` and overrides of the data, checked as in training.

    Raises:
        ConfigError: an argument is no such override, or the data cannot be read.
    """
    split, overrides = _parse_arguments(arguments)
    split = split or _default_split(run, overrides)
    if not overrides:
        _refuse_outside(run, run.config, ())
        return _own_rows(run, split)
    composed = [
        *_own_overrides(run, overrides),
        *_required_overrides(run, overrides, split),
        *overrides,
    ]
    recipe = compose_experiment(composed).recipe
    _refuse_outside(run, recipe.config, overrides)
    rows = _new_rows(run, recipe.data, split, run.recipe.seed)
    digest = _digest(run.spec, rows)
    return EvaluationSplit(
        f"{_name_data(recipe.config['data'], split)}-{digest[:6]}", split, rows, digest, False
    )


def _refuse_outside(run: Run, config: Mapping[str, Any], given: Sequence[str]) -> None:
    """Raise ConfigError if the run's config names data outside, for it may come from anybody."""
    own = {"data": config["data"]}
    refuse_places_outside(run.folder, own, read_inputs(run.folder), given)


def _parse_arguments(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the split that is named, and the overrides of the data."""
    chosen = None
    overrides = []
    for argument in arguments:
        key = key_of(argument)
        if key == "split" and "=" in argument:
            chosen = argument.partition("=")[2]
        elif key == "data" or key.startswith("data."):
            overrides.append(argument)
        else:
            raise ConfigError(
                f"evaluate takes overrides of the data, and '{argument}' is none",
                where=argument,
                fix="split=validation, data.test=FILE; all else is as the run was trained",
            )
    if chosen is not None and chosen not in SPLITS:
        raise ConfigError(
            f"there is no split '{chosen}'", where="split", fix=did_you_mean(chosen, SPLITS)
        )
    return chosen, overrides


def _default_split(run: Run, overrides: Sequence[str]) -> str:
    """Return the default split: one that an override sets, else test if there is one."""
    keys = [key_of(override).removeprefix("data.") for override in overrides]
    named = [split for split in ("test", "validation", "train") if split in keys]
    if named:
        return named[0]
    return "test" if "test" in run.record["task"]["rows"] else "validation"


def _own_rows(run: Run, split: str) -> EvaluationSplit:
    """Return a split of the run's own data, made as for the training."""
    plugin = run.plugin("data")
    try:
        data = plugin.build(run.recipe.seed)
    except ConfigError as e:
        what = f"the run's own data cannot be read: {e.what}"
        raise ConfigError(what, where=e.where, fix=NEW_DATA) from e
    check_data(plugin, data)
    _refuse_missing(split, data)
    digest = data.splits[split].digest
    own = digest == run.record["data"].get(split)
    return EvaluationSplit(split, split, rows_by_name(run.spec, data, split), digest, own)


def _new_rows(run: Run, plugin: Any, split: str, seed: int) -> Split:
    """Return a split of other data than the run's own."""
    if hasattr(plugin, "read"):
        rows = plugin.read(split, run.spec, seed)
        if rows is not None:
            return rows
    data = plugin.build(seed)
    check_data(plugin, data)
    _refuse_missing(split, data)
    return rows_by_name(run.spec, data, split)


def _refuse_missing(split: str, data: TextData) -> None:
    if split not in data.splits:
        raise ConfigError(
            f"this data has no {split} split",
            where=f"split={split}",
            fix=f"split={' or split='.join(data.splits)}",
        )


def rows_by_name(spec: TaskSpec, data: TextData, split: str) -> Split:
    """Return a split whose labels are indices of the run's classes, matched by name."""
    rows = data.splits[split]
    names = data.spec.class_names
    if data.spec.task is not spec.task or data.spec.has_pairs != spec.has_pairs:
        raise ConfigError(
            f"this data is of another kind ({_kind(data.spec)}) than the run's ({_kind(spec)})",
            where="data",
            fix="choose columns of the run's kind, or data.task",
        )
    if names == spec.class_names:
        return rows
    values = spec.task.label_names(rows.labels, names)
    are_numbers = names == tuple(map(str, range(len(names))))
    own = Names(() if are_numbers else tuple(names))
    codes = codes_by_name(split, Rows(rows.texts, values), values, spec.class_names, own, Notes())
    return dataclasses.replace(rows, labels=spec.task.label_array(codes, spec.num_classes))


def _kind(spec: TaskSpec) -> str:
    return f"pairs, {spec.task.name}" if spec.has_pairs else spec.task.name


def _own_overrides(run: Run, overrides: Sequence[str]) -> list[str]:
    """Return the overrides of the run's own data, unless other data is chosen."""
    if any(key_of(override) == "data" for override in overrides):
        return []
    node = run.config["data"]
    run.plugin("data")  # refuses one that is not installed
    defaults = REGISTRY.get("data", node["name"]).defaults()
    changed = {k: v for k, v in node.items() if k != "name" and defaults.get(k) != v}
    return [
        format_override("data", node["name"]),
        *(format_override(f"data.{k}", v) for k, v in changed.items()),
    ]


def _required_overrides(run: Run, overrides: Sequence[str], split: str) -> list[str]:
    """Return overrides for fields that the chosen data requires and an evaluation does not use."""
    values = {
        str(override.key_or_group): override.value()
        for override in parse_overrides(overrides)
        if not override.is_sweep_override()
    }
    name = values.get("data")
    if not isinstance(name, str) or name not in REGISTRY.names("data"):
        return []
    required = [k for k, v in REGISTRY.get("data", name).defaults().items() if v == "???"]
    file = values.get(f"data.{split}")
    if "train" in required and "data.train" not in values and isinstance(file, str):
        return [format_override("data.train", file)]
    return []


def _name_data(node: Mapping[str, Any], split: str) -> str:
    """Return a name of new data: its file, without folder and suffix, or its plugin."""
    file = node.get(split)
    name = Path(file).stem if isinstance(file, str) and node["name"] == "files" else node["name"]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(name)).strip("_")[:40] or "rows"


def _digest(spec: TaskSpec, rows: Split) -> str:
    """Return the SHA-256 of texts and labels, as in a run's record."""
    names = "\n".join(spec.class_names)
    return hashlib.sha256(f"{names}\n{rows.digest}".encode()).hexdigest()
