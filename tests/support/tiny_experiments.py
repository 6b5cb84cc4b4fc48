"""Experiments on the smallest network, for comparison with loops written by hand."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xferlab.backend.process import prepare_backend
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import fitted_to, read
from xferlab.contracts import TextData
from xferlab.data.batching import batch_arrays
from xferlab.discovery import load_plugins
from xferlab.testing.tiny_run import Killed as Killed
from xferlab.testing.tiny_run import MemoryCheckpointer as MemoryCheckpointer
from xferlab.training.assemble import Experiment, assemble

LR = 0.1
CLIP = 0.5
WORDS = ["good", "bad", "film", "the", "a", "not", "very", "was"]
BAG = ("model=bag_of_embeddings", "model.width=6", "model.dropout=0.2")
COMMON = [
    "optimizer=sgd",
    f"optimizer.lr={LR}",
    "optimizer.momentum=0",
    "schedule=constant",
    f"train.max_grad_norm={CLIP}",
    "train.batch_size=8",
    "train.epochs=2",
    "data.max_length=16",
]


def write_examples(folder: Path) -> None:
    """Write 40 examples of two classes for training and as many for validation."""
    rng = np.random.default_rng(0)
    for name in ("train", "validation"):
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            for _ in range(40):
                text = " ".join(rng.choice(WORDS, size=rng.integers(3, 9)))
                writer.writerow([text, ["no", "yes"][rng.integers(2)]])
    load_plugins(folder)
    publish(folder)


def experiment_of(
    folder: Path,
    *overrides: str,
    model: Sequence[str] = BAG,
    common: Sequence[str] = COMMON,
    micro_batches: int = 1,
) -> Experiment:
    """Return an experiment of a few overrides, with the network as it is before training."""
    files = [f"data.{name}={folder}/{name}.csv" for name in ("train", "validation")]
    recipe = read(compose_config(["data=files", *files, *model, *common, *overrides]))
    data: TextData = recipe.data.build(recipe.seed)
    prepare_backend(recipe.seed, recipe.train.precision.value, recipe.train.deterministic)
    return assemble(fitted_to(recipe, data.spec.task), data, micro_batches)


def batches_of(experiment: Experiment):
    """Yield the inputs, the labels and the rows of each training batch of the run."""
    for batch in experiment.batches.steps(0, experiment.total_batches):
        inputs, labels = batch_arrays(
            experiment.encodings["train"],
            experiment.data.train.labels,
            batch,
            experiment.model.tokenizer.pad_id,
        )
        yield {name: inputs[name] for name in experiment.model.network.input}, labels, batch.rows


def descend(weights: Any, gradients: Any) -> None:
    """Take one step of gradient descent, with the norm of all gradients clipped."""
    dense = [np.asarray(tf_tensor(each), "float64") for each in gradients]
    norm = np.sqrt(sum((each**2).sum() for each in dense))
    for weight, gradient in zip(weights, dense, strict=True):
        weight.assign(weight.numpy() - LR * min(1.0, CLIP / norm) * gradient)


def tf_tensor(value: Any) -> Any:
    import tensorflow as tf

    return tf.convert_to_tensor(value)


def values_of(experiment: Experiment) -> list[np.ndarray]:
    """Return the weights, frozen ones too."""
    return [weight.numpy() for weight in experiment.model.network.weights]
