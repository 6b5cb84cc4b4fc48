"""Dropout from 16 random bits an element."""

from __future__ import annotations

from typing import Any

PHILOX = 1
"""TensorFlow's number of the counter-based generator (Salmon et al. 2011)."""
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
        seed: int (2,), a key and a counter; the same pair gives the same mask.
    """
    import tensorflow as tf

    dropped = round(rate * LEVELS)
    words = (tf.size(inputs) + 1) // 2
    key = tf.cast(seed[:1], tf.uint64)
    counter = tf.cast(tf.stack([0, seed[1]]), tf.uint64)  # the low half counts within a mask
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[words], key=key, counter=counter, alg=PHILOX, dtype=tf.uint32
    )
    halves = tf.reshape(tf.bitcast(bits, tf.uint16), [-1])[: tf.size(inputs)]
    keep = tf.reshape(halves >= tf.constant(dropped, tf.uint16), tf.shape(inputs))
    scale = tf.cast(LEVELS / (LEVELS - dropped), inputs.dtype)
    zero = tf.zeros([], inputs.dtype)

    @tf.custom_gradient
    def drop(values: Any) -> Any:
        return tf.where(keep, values * scale, zero), lambda upstream: tf.where(
            keep, upstream * scale, zero
        )

    return drop(inputs)


def uninitialized(shape: Any, dtype: str) -> Any:
    """Return a tensor whose memory is not set; its values are any."""
    import tensorflow as tf

    return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=False)
