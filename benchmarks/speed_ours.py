"""The side of ``speed.py`` that runs xferlab: the step of ``fit`` and the forward pass."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import speed_cases as cases


@cache
def network(shape: str, precision: str) -> Any:
    """Return a compiled network with a head on the first token, random weights."""
    import keras

    from xferlab import TextModel
    from xferlab.models.checkpoint import Checkpoint
    from xferlab.models.encoder import load_encoder
    from xferlab.training.optimizer_extensions import extend_optimizer

    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")
    width, heads, layers, inner = cases.SHAPES[shape]
    config = {
        "model_type": "bert",
        "vocab_size": cases.VOCABULARY,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": 512,
    }
    checkpoint = Checkpoint("random", Path(), None, {}, "bert", 0, config, {})
    encoder = load_encoder(checkpoint, pretrained=False, first_token_only=True)
    vectors = keras.layers.Dropout(0.1)(encoder.pooled_output)
    outputs = keras.layers.Dense(cases.CLASSES, dtype="float32")(vectors)
    model = keras.Model(encoder.backbone.input, outputs)
    optimizer = keras.optimizers.AdamW(1e-5, weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.global_clipnorm = 1.0
    optimizer.build(model.trainable_variables)
    extend_optimizer(optimizer, TextModel(model, None, {}), {})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
    return model


@cache
def forward(shape: str, precision: str) -> Any:
    """Return the network without dropout as one graph."""
    from xferlab.backend.graphs import compile_forward

    model = network(shape, precision)
    return compile_forward(model, list(model.input))


def batches(texts: str, seed: int, count: int, is_training: bool) -> list[Any]:
    """Return inputs and labels of batches, and of how many tokens they are."""
    from xferlab.contracts import Encoding
    from xferlab.data.batching import BatchPlan, evaluation_batches

    sizes = cases.lengths(texts)
    if is_training:
        plan = BatchPlan(sizes, cases.BATCH, seed).epoch(0)
    else:
        rows = [np.zeros(size, "int32") for size in sizes]
        plan = evaluation_batches(Encoding(rows, rows), cases.BATCH)
    chosen = np.random.default_rng(seed).permutation(len(plan))[:count]
    made = []
    for batch in (plan[i] for i in chosen):
        ids, mask, labels = cases.arrays(sizes[batch.rows], batch.length)
        inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}
        made.append((inputs, labels))
    return made


def run(case: str, seed: int, count: int) -> dict[str, Any]:
    """Time ``count`` batches of a case such as ``train minilm short fp32``, or measure."""
    if case.startswith("rate"):
        return {"rate": rate(case.split()[1])}
    if case.startswith("memory"):
        _, shape, precision = case.split()
        ids, mask, labels = cases.largest()
        inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}
        train(network(shape, precision), [(inputs, labels)] * count)
        return {"private": cases.private_memory()}
    kind, shape, texts, precision = case.split()
    made = batches(texts, seed, count, kind == "train")
    tokens = int(sum(inputs["padding_mask"].sum() for inputs, _ in made))
    cells = int(sum(inputs["padding_mask"].size for inputs, _ in made))
    if kind == "train":
        wall, processor = cases.timed(lambda: train(network(shape, precision), made))
    else:
        wall, processor = cases.timed(lambda: predict(forward(shape, precision), made))
    return {"wall": wall, "processor": processor, "tokens": tokens, "cells": cells}


def train(model: Any, made: list[Any], every: int = 1) -> None:
    """Train one epoch of these batches; read the loss of ``every`` so many steps."""
    import keras

    from xferlab.backend.graphs import batch_dataset

    class Read(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch % every == 0:
                float(logs["loss"])

    model.fit(
        batch_dataset(made.__getitem__, len(made), model, list(model.input)),
        steps_per_epoch=len(made),
        verbose=0,
        callbacks=[Read()],
    )


def predict(call: Any, made: list[Any]) -> None:
    """Compute the outputs of these batches as an evaluation does."""
    from xferlab.backend.graphs import compute_batches

    for _ in compute_batches(call, ((None, inputs) for inputs, _ in made)):
        pass


def rate(precision: str) -> float:
    """Return the rate of the largest product of MiniLM's step."""
    import tensorflow as tf

    dtype = tf.bfloat16 if precision == "bf16" else tf.float32
    a = tf.cast(tf.ones((768, 384)), dtype)
    b = tf.cast(tf.ones((384, 1536)), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, b)[:1]))
    return cases.matrix_rate(lambda: product().numpy(), 2 * 768 * 384 * 1536)


def start(threads: int) -> None:
    """Import and seed TensorFlow, with so many threads an operation and operations at once.

    That is what TensorFlow chooses by itself on so many cores.
    """
    from xferlab.backend.process import prepare_backend

    prepare_backend(0, "float32", deterministic=True)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


if __name__ == "__main__":
    start(int(sys.argv[1]))
    cases.answer(run)
