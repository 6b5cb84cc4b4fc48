"""Which rows a run is evaluated on: its own split, or new ones, labelled by its class names."""

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
from xferlab.runs.metadata import fingerprint
from xferlab.runs.outside_paths import refuse_places_outside

NEW_DATA = "name data that is here: data=files data.test=FILE"


@dataclass(frozen=True)
class Chosen:
    """Rows to evaluate.

    Attributes:
        name: names the evaluation's folder: the split, or what the new rows are called.
        split: ``train``, ``validation`` or ``test``.
        rows: texts and labels, positions in the run's class names.
        digest: SHA-256 of texts and labels.
        own: whether they are the very rows that the run itself split off.
    """

    name: str
    split: str
    rows: Split
    digest: str
    own: bool


def choose_rows(run: Run, words: Sequence[str]) -> Chosen:
    """Return the rows that the words of a command ask for.

    Args:
        run: the run.
        words: ``split=NAME`` and overrides of the data, checked as those of a training.

    Raises:
        ConfigError: a word is no such override, or the rows cannot be had or be inferred.
    """
    split, overrides = _split_of(words)
    split = split or _usual_split(run, overrides)
    if not overrides:
        _refuse_outside(run, run.config, ())
        return _own_rows(run, split)
    composed = [*_own_words(run, overrides), *_filled(run, overrides, split), *overrides]
    recipe = compose_experiment(composed).recipe
    _refuse_outside(run, recipe.config, overrides)
    rows = _new_rows(run, recipe.data, split, run.recipe.seed)
    digest = _digest(run.spec, rows)
    return Chosen(
        f"{_called(recipe.config['data'], split)}-{digest[:6]}", split, rows, digest, False
    )


def _refuse_outside(run: Run, config: Mapping[str, Any], typed: Sequence[str]) -> None:
    """Raise ConfigError if the run, which may be a stranger's, names data outside as its own."""
    own = {"data": config["data"]}
    refuse_places_outside(run.folder, own, read_inputs(run.folder), typed)


def _split_of(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the split that is named, and the overrides of the data."""
    chosen, overrides = None, []
    for word in words:
        key = key_of(word)
        if key == "split" and "=" in word:
            chosen = word.partition("=")[2]
        elif key == "data" or key.startswith("data."):
            overrides.append(word)
        else:
            raise ConfigError(
                f"evaluate takes overrides of the data, and '{word}' is none",
                where=word,
                fix="split=validation, data.test=FILE; all else is as the run was trained",
            )
    if chosen is not None and chosen not in SPLITS:
        raise ConfigError(
            f"there is no split '{chosen}'", where="split", fix=did_you_mean(chosen, SPLITS)
        )
    return chosen, overrides


def _usual_split(run: Run, overrides: Sequence[str]) -> str:
    """Return the split to take where none is named: one that was typed, else test if there is."""
    typed = [key_of(word).removeprefix("data.") for word in overrides]
    named = [split for split in ("test", "validation", "train") if split in typed]
    if named:
        return named[0]
    return "test" if "test" in run.record["task"]["rows"] else "validation"


def _own_rows(run: Run, split: str) -> Chosen:
    """Return a split of the run's own data, made as for the training."""
    plugin = run.plugin("data")
    try:
        data = plugin.build(run.recipe.seed)
    except ConfigError as e:
        what = f"the run's own data cannot be read: {e.what}"
        raise ConfigError(what, where=e.where, fix=NEW_DATA) from e
    check_data(plugin, data)
    _refuse_missing(split, data)
    digest = fingerprint(data)[split]
    own = digest == run.record["data"].get(split)
    return Chosen(split, split, rows_by_name(run.spec, data, split), digest, own)


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
    """Return a split with every label at its name's position in the run's classes."""
    rows, names = data.splits[split], data.spec.class_names
    if data.spec.task is not spec.task or data.spec.has_pairs != spec.has_pairs:
        kind = "pairs, " * data.spec.has_pairs + data.spec.task.name
        raise ConfigError(
            f"this data is of another kind ({kind}) than the run's"
            f" ({'pairs, ' * spec.has_pairs}{spec.task.name})",
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


def _own_words(run: Run, overrides: Sequence[str]) -> list[str]:
    """Return the words of the run's own data, unless other data is chosen."""
    if any(key_of(word) == "data" for word in overrides):
        return []
    node = run.config["data"]
    run.plugin("data")  # refuses one that is not installed
    usual = REGISTRY.get("data", node["name"]).defaults()
    changed = {k: v for k, v in node.items() if k != "name" and usual.get(k) != v}
    return [
        format_override("data", node["name"]),
        *(format_override(f"data.{k}", v) for k, v in changed.items()),
    ]


def _filled(run: Run, overrides: Sequence[str], split: str) -> list[str]:
    """Return words for what the chosen data requires and an evaluation does not use."""
    typed = {
        str(override.key_or_group): override.value()
        for override in parse_overrides(overrides)
        if not override.is_sweep_override()
    }
    name = typed.get("data")
    if not isinstance(name, str) or name not in REGISTRY.names("data"):
        return []
    required = [k for k, v in REGISTRY.get("data", name).defaults().items() if v == "???"]
    file = typed.get(f"data.{split}")
    if "train" in required and "data.train" not in typed and isinstance(file, str):
        return [format_override("data.train", file)]
    return []


def _called(node: Mapping[str, Any], split: str) -> str:
    """Return what new rows are called: their file, without folder and suffix, or their plugin."""
    file = node.get(split)
    word = Path(file).stem if isinstance(file, str) and node["name"] == "files" else node["name"]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(word)).strip("_")[:40] or "rows"


def _digest(spec: TaskSpec, rows: Split) -> str:
    """Return a SHA-256 of texts and labels, as a run's record has it of its splits."""
    names = "\n".join(spec.class_names)
    inside = fingerprint(TextData(spec, rows, rows))["train"]
    return hashlib.sha256(f"{names}\n{inside}".encode()).hexdigest()
