"""The side of ``speed_gpu.py`` that runs xferlab: ``python speed_gpu_ours.py OPTIONS``."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import speed_cases as cases
import speed_ours as ours


def batches(size: int, multiple: int) -> list[Any]:
    """Return full training batches, padded to a multiple of so many tokens."""
    from xferlab.data.batching import BatchPlan

    sizes = cases.lengths("medium")
    plan = BatchPlan(sizes, size, seed=1).epoch(0)
    made = []
    for batch in (each for each in plan if len(each.rows) == size):
        ids, mask, labels = cases.arrays(sizes[batch.rows], -(-batch.length // multiple) * multiple)
        inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}
        made.append((inputs, labels))
    return made


def rates() -> dict[str, float]:
    """Return the rates that ``train.precision=auto`` compares, operations a second."""
    from xferlab.backend.precision import measure_matrix_rates

    found = measure_matrix_rates()
    return {"float32": found.float32, "bfloat16": found.bfloat16}


def main() -> None:
    """Print the result of every variant as it is measured, a JSON object a line."""
    options = json.loads(sys.argv[1])
    from xferlab.backend.process import prepare_backend

    prepare_backend(0, "mixed_bfloat16", options["deterministic"])
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    print("device " + json.dumps({"device": gpus[0].name if gpus else "no GPU", **rates()}))
    model = ours.network(options["shape"], "bf16")
    for name, is_compiled, multiple, every, size in options["variants"]:
        made = batches(size, multiple)[: options["batches"]]
        model.compile(optimizer=model.optimizer, loss=model.loss, jit_compile=is_compiled)
        result = {"name": name, "batch": size, **measured(model, made, every)}
        print("result " + json.dumps(result), flush=True)


def measured(model: Any, made: list[Any], every: int) -> dict[str, Any]:
    """Return the seconds of the first round and of three more over these batches."""
    walls = [
        cases.timed(lambda: ours.train(model, made, every))[0] for _ in range(1 + cases.ROUNDS)
    ]
    masks = [inputs["padding_mask"] for inputs, _ in made]
    return {
        "steps": len(made),
        "first": walls[0],
        "walls": walls[1:],
        "tokens": int(sum(mask.sum() for mask in masks)),
        "cells": int(sum(mask.size for mask in masks)),
    }


if __name__ == "__main__":
    main()
