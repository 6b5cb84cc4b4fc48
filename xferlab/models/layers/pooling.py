"""One vector of a text's token vectors, as sentence-transformers computes it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from xferlab.models.layers.basic import last_token

SMALLEST_NORM = 1e-12
LOWEST = -1e9
"""What padding counts as where the largest value is taken, as in sentence-transformers."""


@keras.saving.register_keras_serializable("xferlab")
class SentencePooling(keras.layers.Layer):
    """The vector of the first or last token, the mean or the maximum of all; in float32.

    Args:
        pooling: ``first``, ``last``, ``mean`` or ``max``.
        normalize: divide it by its length.
    """

    def __init__(self, pooling: str, normalize: bool = False, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.pooling = pooling
        self.normalize = normalize

    def call(self, sequence: Any, padding_mask: Any) -> Any:
        """Return (batch, width) for (batch, length, width); without tokens zeros."""
        vector = self._pooled(sequence, padding_mask)
        if not self.normalize:
            return vector
        squares = ops.sum(ops.square(vector), axis=-1, keepdims=True)
        return vector * ops.rsqrt(ops.maximum(squares, SMALLEST_NORM**2))

    def _pooled(self, sequence: Any, padding_mask: Any) -> Any:
        if self.pooling == "first":
            return sequence[:, 0, :]
        if self.pooling == "last":
            return last_token(sequence, padding_mask)
        if self.pooling == "max":
            is_token = ops.expand_dims(ops.cast(padding_mask, "bool"), -1)
            return ops.max(ops.where(is_token, sequence, LOWEST), axis=1)
        mask = ops.expand_dims(ops.cast(padding_mask, sequence.dtype), 1)
        tokens = ops.maximum(ops.sum(mask, axis=-1), 1.0)
        return ops.squeeze(ops.matmul(mask, sequence), 1) / tokens

    def compute_output_spec(self, sequence: Any, padding_mask: Any) -> Any:
        """Return the symbolic result."""
        batch_size, _, width = sequence.shape
        return keras.KerasTensor((batch_size, width), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "pooling": self.pooling, "normalize": self.normalize}
