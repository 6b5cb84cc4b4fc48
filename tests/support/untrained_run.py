"""A run that looks finished, with a fresh head on a checkpoint: nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plugins.model.encoder import Encoder, Pooling
from plugins.transfer.lora import Lora
from xferlab import TaskSpec, TextModel
from xferlab.contracts import Budget
from xferlab.inference.merge_lora import merge_lora
from xferlab.inference.run import Run
from xferlab.inference.run_folder import RunFolder
from xferlab.registry import REGISTRY


def untrained_run(
    folder: Path,
    checkpoint: Path,
    spec: TaskSpec,
    lora: Lora | None = None,
    pooling: str = "auto",
    head: Mapping[str, Any] | None = None,
) -> Run:
    """Return a run of ``model=encoder`` whose new weights are random numbers of a usual size.

    Args:
        folder: is made, with the files of the model that an export reads.
        checkpoint: a Hugging Face folder.
        spec: the task.
        lora: transfer strategy whose matrices are merged, as in a finished run.
        pooling: value of ``model.pooling``.
        head: node of a plugin of the group ``head``.
    """
    plugin = None if head is None else REGISTRY.create("head", head)
    model = Encoder(str(checkpoint), pooling=Pooling(pooling)).build(spec, plugin)
    if lora is not None:
        lora.apply(model, Budget(1, 1, 1))
    random = np.random.default_rng(0)
    heads = [weight.path for name in model.blocks["head"] for weight in _weights(model, name)]
    for weight in model.network.weights:
        is_low_rank = "lora" in weight.path
        if weight.path in heads or is_low_rank:
            weight.assign((0.1 if is_low_rank else 1.0) * random.normal(size=weight.shape))
    merge_lora(model.network)
    run = unbuilt_run(folder, spec, model.files, pooling)
    if head is not None:
        run.content.config["head"] = dict(head)  # type: ignore[index]
    run.__dict__["model"] = model
    return run


def unbuilt_run(
    folder: Path, spec: TaskSpec, files: Mapping[str, Path | bytes], pooling: str = "auto"
) -> Run:
    """Return a run of ``model=encoder`` without a network, of the files in its folder ``model``."""
    (folder / "model").mkdir(parents=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        (folder / "model" / name).write_bytes(data)
    config: dict[str, Any] = {
        "model": {"name": "encoder", "checkpoint": "checkpoint", "pooling": pooling},
        "data": {"name": "files"},
        "train": {"precision": "float32"},
    }
    budget = Budget(1, 1, 1)
    return Run(RunFolder(folder, {}, {}, config, spec, budget, folder / "none", "none"))


def _weights(model: TextModel, layer: str) -> list[Any]:
    return list(model.network.get_layer(layer).weights)
