"""A variant of ``speed_gpu.py``: ``python speed_gpu_ours.py SHAPE BATCHES [FLAG...]``."""

from __future__ import annotations

import json
import sys

import speed_cases as cases
import speed_ours as ours


def main() -> None:
    """Train twice on the same batches, time the second, print the result."""
    shape, count, *flags = sys.argv[1:]
    from xferlab.backend.precision import measure_matrix_rates
    from xferlab.backend.process import prepare_backend

    prepare_backend(0, "mixed_bfloat16", "deterministic" in flags)
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    model = ours.network(shape, "bf16")
    if "xla" in flags:
        model.compile(optimizer=model.optimizer, loss=model.loss, jit_compile=True)
    made = ours.batches("medium", 1, int(count), is_training=True)
    ours.train(model, made)
    wall, _ = cases.timed(lambda: ours.train(model, made))
    result = {
        "wall": wall,
        "tokens": int(sum(inputs["padding_mask"].sum() for inputs, _ in made)),
        "rate": measure_matrix_rates().bfloat16,
        "device": gpus[0].name if gpus else "no GPU",
    }
    print("result " + json.dumps(result))


if __name__ == "__main__":
    main()
