"""The side of ``speed.py`` that runs keras-hub: its BertTextClassifier, without its preprocessor.

Batches of like length as xferlab makes them; keras-hub's own pad every text to one length. Without
XLA, which compiles each length anew.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parents[1]))
import speed_cases as cases


@cache
def model(shape: str, precision: str) -> keras.Model:
    """Return a compiled classifier with random weights."""
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")
    width, heads, layers, inner = cases.SHAPES[shape]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=cases.VOCABULARY,
        num_layers=layers,
        num_heads=heads,
        hidden_dim=width,
        intermediate_dim=inner,
    )
    classifier = keras_hub.models.BertTextClassifier(backbone, num_classes=cases.CLASSES)
    optimizer = keras.optimizers.AdamW(1e-5, weight_decay=0.01, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
    return classifier


def batches(texts: str, seed: int, count: int) -> list[Any]:
    """Return inputs and labels of batches of like length."""
    sizes = cases.lengths(texts)
    plan = cases.grouped(sizes, seed)
    chosen = np.random.default_rng(seed).permutation(len(plan))[:count]
    made = []
    for rows in (plan[i] for i in chosen):
        ids, mask, labels = cases.arrays(sizes[rows], int(sizes[rows].max()))
        inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}
        made.append((inputs, labels))
    return made


def run(case: str, seed: int, count: int) -> dict[str, Any]:
    """Time ``count`` batches of a case such as ``train minilm short fp32``."""
    kind, shape, texts, precision = case.split()
    made = batches(texts, seed, count)
    step = train if kind == "train" else predict
    wall, processor = cases.timed(lambda: step(model(shape, precision), made))
    tokens = int(sum(inputs["padding_mask"].sum() for inputs, _ in made))
    cells = int(sum(inputs["padding_mask"].size for inputs, _ in made))
    return {"wall": wall, "processor": processor, "tokens": tokens, "cells": cells}


def train(classifier: keras.Model, made: list[Any]) -> None:
    """Train one epoch of these batches."""
    inputs = {name: tf.TensorSpec((None, None), "int32") for name in made[0][0]}
    signature = (inputs, tf.TensorSpec((None,), "int32"))
    dataset = tf.data.Dataset.from_generator(lambda: iter(made), output_signature=signature)
    classifier.fit(dataset, steps_per_epoch=len(made), verbose=0)


def predict(classifier: keras.Model, made: list[Any]) -> None:
    """Compute the outputs of these batches."""
    for inputs, _ in made:
        classifier.predict_on_batch(inputs)


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
    tf.config.threading.set_inter_op_parallelism_threads(int(sys.argv[1]))
    cases.answer(run)
