"""Dropout from 16 random bits an element."""

from __future__ import annotations

from typing import Any

LEVELS = 1 << 16
"""Values of 16 bits: a rate is a multiple of 1 / 65536."""


def dropout(inputs: Any, rate: float, seed: Any) -> Any:
    """Return ``inputs`` with elements set to 0 at random, and the others scaled up.

    An element is dropped with the probability ``rate``, rounded to a multiple of 1 / 65536; the
    others are divided by one minus that (Srivastava et al. 2014). Two elements share the 32 bits of
    one number of TensorFlow's counter-based generator (Philox), which halves its cost.

    Args:
        inputs: float tensor of any shape.
        rate: from 0 to below 1.
        seed: int32 (2,); the same seed gives the same mask.
    """
    import tensorflow as tf

    dropped = round(rate * LEVELS)
    count = tf.size(inputs)
    bits = tf.random.stateless_uniform(
        [(count + 1) // 2],
        seed=seed,
        minval=None,
        maxval=None,
        dtype=tf.uint32,
        alg="philox",
    )
    halves = tf.reshape(tf.bitcast(bits, tf.uint16), [-1])[:count]
    keep = tf.reshape(halves >= tf.constant(dropped, tf.uint16), tf.shape(inputs))
    scale = tf.cast(LEVELS / (LEVELS - dropped), inputs.dtype)
    return tf.where(keep, inputs * scale, tf.zeros([], inputs.dtype))
