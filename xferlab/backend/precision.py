"""Which precision a machine computes fast in, measured on matrix products."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

SIZES = (768, 768, 3072)
"""Of the products: the feed-forward part of a BERT-base layer, 768 tokens."""
GPU_SIZES = (4096, 4096, 4096)
"""Of the products on a GPU, where starting a small one takes longer than computing it."""
TIMES = 12
WORTHWHILE = 1.3
"""How many times as fast bfloat16 has to be: it rounds more, and casts cost time."""


@dataclass(frozen=True)
class MatrixRates:
    """Rates of matrix products, operations a second.

    Attributes:
        float32: rate in float32.
        bfloat16: rate in bfloat16.
    """

    float32: float
    bfloat16: float

    @property
    def precision(self) -> str:
        """The Keras dtype policy that pays."""
        is_faster = self.bfloat16 >= WORTHWHILE * self.float32
        return "mixed_bfloat16" if is_faster else "float32"

    def __str__(self) -> str:
        return (
            f"{self.precision}: matrix products at {self.float32 / 1e9:,.0f} GFLOP/s in float32,"
            f" {self.bfloat16 / 1e9:,.0f} in bfloat16"
        )


def measure_matrix_rates() -> MatrixRates:
    """Return the median rates of this machine's device; takes a fraction of a second."""
    return MatrixRates(_rate("float32"), _rate("bfloat16"))


def _rate(dtype: str) -> float:
    import tensorflow as tf

    sizes = GPU_SIZES if tf.config.list_physical_devices("GPU") else SIZES
    rows, inner, columns = sizes
    left = tf.ones((rows, inner), dtype)
    right = tf.ones((inner, columns), dtype)
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        tf.matmul(left, right)[0, 0].numpy()
        seconds.append(time.perf_counter() - began)
    return 2 * rows * inner * columns / statistics.median(seconds)
