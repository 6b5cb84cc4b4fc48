"""Warm start: a new network with the trained weights of an earlier run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xferlab.compatibility import name_and_origin
from xferlab.contracts import TaskSpec, TextModel, Tokenizer
from xferlab.data.tokenizer import tokenizer_of
from xferlab.errors import ConfigError
from xferlab.inference.ensemble import Ensemble
from xferlab.inference.load import load_run
from xferlab.inference.run import Run
from xferlab.io.atomic import digest_of
from xferlab.io.records import damaged, read_record
from xferlab.models.architectures import read_architecture
from xferlab.models.limits import blocks_for
from xferlab.models.plugin_head import chosen_head, head_argument, refuse_head
from xferlab.models.prompts import NO_PROMPTS
from xferlab.models.saved_encoder import SHAPE, saved_checkpoint, saved_reading
from xferlab.registry import REGISTRY
from xferlab.runs.combined import FILE as COMBINED

BASE = "from_run.json"
"""In a run's ``model``: the config of the model plugin that built the network first."""
WHERE = "model.run"


def source_run(folder: str) -> Run:
    """Return the finished run in ``folder``; errors name the config key too."""
    try:
        run = load_run(Path(folder).expanduser())
    except ConfigError as e:
        raise ConfigError(e.what, where=f"{WHERE}={folder} ({e.where})", fix=e.fix) from e
    if isinstance(run, Ensemble):
        raise ConfigError(
            f"this run is of {len(run.members)} networks, and a new one starts from one",
            where=f"{WHERE}={folder}",
            fix="name one of its members, or combine them with --how soup",
        )
    return run


def identity_of(folder: str) -> str:
    """Return the SHA-256 of an earlier run's weights, which identifies them in any folder.

    A run that cannot be read is identified by its path; training from it raises an error.
    """
    try:
        path = Path(folder).expanduser() / "metrics.json"
        record = read_record(path, {"weights": str, "sha256": {"*": str}})
        digests = record["sha256"]
        weights = f"{record['weights']}.safetensors"
        return str(digests[weights] if weights in digests else digests[COMBINED])
    except (ConfigError, KeyError, RuntimeError, ValueError):
        return folder


def content_of_run(folder: str) -> dict[str, str]:
    """Return the digest of the earlier run's weights, and of each file that its model needs.

    Raises:
        ConfigError: there is no such run.
    """
    run = source_run(folder)
    files = {name: digest_of([run.folder / "model" / name]) for name in run.record["model"]}
    return {f"run: {name}": digest for name, digest in files.items()} | {
        "run: weights": digest_of([run.content.weights])
    }


def blocks_of(run: Run, spec: TaskSpec, head: Any = None) -> tuple[str, ...]:
    """Return the names of the blocks of a network that starts from a run; () where not known.

    Raises:
        ConfigError: the head cannot stand above the run's encoder, or not for the task.
    """
    if head is not None:
        head_argument(run.plugin("model"), head)
    saved = run.folder / "model"
    if not (saved / SHAPE).is_file():
        return ()
    pooling = getattr(run.plugin("model"), "pooling", None)
    checkpoint = saved_checkpoint(saved)
    chosen = getattr(pooling, "name", "auto")
    refuse_head(head, spec, read_architecture(checkpoint.config, str(saved)), chosen)
    return blocks_for(checkpoint, spec, chosen, head)


def tokenizer_of_run(run: Run, spec: TaskSpec) -> Tokenizer:
    """Return the tokenizer of an earlier run, with what it puts before texts."""
    folder = run.folder / "model"
    saved = saved_reading(folder, spec.task.is_per_word)
    return tokenizer_of(folder, spec, saved.prompts if saved else NO_PROMPTS)


def start_from(run: Run, spec: TaskSpec, *, keep_head: bool, head: Any = None) -> TextModel:
    """Return a new network for ``spec`` whose blocks below the head have the run's weights.

    A block that the run's network does not have, such as a pooler, has fresh weights.

    Args:
        run: the earlier run.
        spec: the new task.
        keep_head: copy the head's weights too.
        head: plugin of the group ``head``; None for the model's own head.

    Raises:
        ConfigError: ``keep_head`` with other classes or another head, or a block does not fit.
    """
    if keep_head:
        _refuse_other_classes(run.spec, spec)
        _refuse_other_head(chosen_head(run.plugin("head")), head)
    model = _restored(run.plugin("model"), spec, run.folder / "model", head)
    *body, last = model.blocks
    wanted = [*body, last] if keep_head else body
    copied = [block for block in wanted if model.blocks[block] == run.model.blocks.get(block)]
    layers = [name for block in copied for name in model.blocks[block]]
    count = sum(_copy(run.model.network, model.network, name) for name in layers)
    new = [block for block in model.blocks if block not in copied]
    rest = model.network.count_params() - count
    line = f"{count:,} parameters from the run {run.record['run_id']} ({run.folder})"
    origin = {
        "line": f"{line}; new: {rest:,} in {' and '.join(new) or 'nothing'}",
        "source": f"run {run.record['run_id']}",
        "folder": str(run.folder),
        "sha256": {run.content.weights.name: run.content.digest},
        "before": dict(run.record["checkpoint"]),
        "from_checkpoint": count,
        "new": rest,
    }
    base = {BASE: json.dumps(_base_node(run)).encode()}
    return dataclasses.replace(model, origin=origin, files={**model.files, **base})


def restore(spec: TaskSpec, folder: Path, head: Any = None) -> TextModel:
    """Return the network of a run that was trained with ``model=from_run``, untrained."""
    node = read_record(folder / BASE, {"name": str})
    if node["name"] == "from_run":
        raise damaged(folder / BASE, f"{BASE} is damaged: it names itself")
    model = _restored(REGISTRY.create("model", node), spec, folder, head)
    base = {BASE: (folder / BASE).read_bytes()}
    return dataclasses.replace(model, files={**model.files, **base})


def _restored(plugin: Any, spec: TaskSpec, folder: Path, head: Any) -> TextModel:
    """Return the network of a model plugin, from the files in ``folder`` if it has any."""
    more = {} if head is None else head_argument(plugin, head)
    if hasattr(plugin, "restore"):
        model: TextModel = plugin.restore(spec, folder, **more)
        return model
    built: TextModel = plugin.build(spec, **more)
    return built


def _base_node(run: Run) -> Mapping[str, Any]:
    node: Mapping[str, Any] = run.config["model"]
    if node["name"] != "from_run":
        return node
    return dict(read_record(run.folder / "model" / BASE, {"name": str}))


def _refuse_other_head(old: Any, new: Any) -> None:
    if old == new:
        return
    names = ["head=auto" if h is None else name_and_origin("head", h)[0] for h in (old, new)]
    raise ConfigError(
        f"the earlier run has {names[0]}, and this one {names[1]} or other fields of it",
        where="model.keep_head",
        fix=f"{names[0]} as in that run, or model.keep_head=false for a fresh head",
    )


def _refuse_other_classes(old: TaskSpec, new: TaskSpec) -> None:
    if (old.task, old.class_names) == (new.task, new.class_names):
        return
    heads = [f"{s.task.name} of {', '.join(s.class_names[:8]) or 'a number'}" for s in (old, new)]
    raise ConfigError(
        f"the earlier run's head is for another task: {heads[0]}, not {heads[1]}",
        where="model.keep_head",
        fix="model.keep_head=false starts from a fresh head",
    )


def _copy(old: Any, new: Any, layer: str) -> int:
    """Assign a layer's weights and return how many parameters that are."""
    sources = old.get_layer(layer).weights
    targets = new.get_layer(layer).weights
    shapes = [[tuple(w.shape) for w in weights] for weights in (sources, targets)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"the layer '{layer}' has the shapes {shapes[1]}, in the earlier run {shapes[0]}",
            where=WHERE,
            fix="use the model plugin of that run",
        )
    for source, target in zip(sources, targets, strict=True):
        target.assign(source.value)
    return int(new.get_layer(layer).count_params())
