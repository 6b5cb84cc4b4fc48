"""Multi-head self-attention, and what the mask adds to its scores."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from xferlab.models.layers.basic import Dropout

MASKED = -1e9
"""What the score of a padded token is lowered by: its probability is exactly 0."""

QUERIES = (0, 2, 1, 3)
KEYS = (0, 2, 3, 1)
"""Axes of (batch, length, heads, width of a head) as rows and as columns of a product."""
FARTHEST = 128
"""Distances from here on have one bucket."""


@keras.saving.register_keras_serializable("xferlab")
class AttentionBias(keras.layers.Layer):
    """What the mask adds to attention scores; computed once for all layers.

    Args:
        before: how many tokens before a query it attends to; None for all.
        after: how many after it; 0 for a decoder.
    """

    def __init__(self, before: int | None = None, after: int | None = None, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.before = before
        self.after = after

    def call(self, padding_mask: Any) -> Any:
        """Return float32 0 for a token that is attended to, :data:`MASKED` or less for another.

        Returns:
            (batch, 1, 1, length), or (batch, 1, length, length) where queries differ.
        """
        is_padding = 1.0 - ops.cast(padding_mask, "float32")
        bias = ops.expand_dims(is_padding * MASKED, (1, 2))
        if self.before is None and self.after is None:
            return bias
        distances = _distances(ops.shape(padding_mask)[1])
        far = ops.zeros_like(distances)
        if self.before is not None:
            far = ops.maximum(far, ops.cast(distances < -self.before, far.dtype))
        if self.after is not None:
            far = ops.maximum(far, ops.cast(distances > self.after, far.dtype))
        return bias + ops.cast(far, "float32") * MASKED

    def compute_output_spec(self, padding_mask: Any) -> Any:
        """Return the symbolic result."""
        batch, length = padding_mask.shape
        queries = 1 if self.before is None and self.after is None else length
        return keras.KerasTensor((batch, 1, queries, length), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "before": self.before, "after": self.after}


def _distances(length: Any) -> Any:
    """Return int32 (length, length): the place of a column's key less that of a row's query."""
    places = ops.arange(length)
    return ops.expand_dims(places, 0) - ops.expand_dims(places, 1)


@keras.saving.register_keras_serializable("xferlab")
class RelativeBias(keras.layers.Layer):
    """Adds a learned number for each head and bucket of distances (Raffel et al. 2020, 2.1).

    Half of the buckets are for keys before the query. Of each half, one half is for single
    distances, the other for ranges that grow up to 128.

    Args:
        heads: columns of the table.
        buckets: rows of the table.
        embeddings_initializer: of the table.
    """

    def __init__(
        self, heads: int, buckets: int, embeddings_initializer: Any = "uniform", **kwargs: Any
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.heads = heads
        self.buckets = buckets
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, attention_bias_shape: Any) -> None:
        """Create the table ``(buckets, heads)``."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.buckets, self.heads),
            initializer=self.embeddings_initializer,
        )

    def call(self, attention_bias: Any) -> Any:
        """Return float32 (batch, heads, length, length) for a bias (batch, 1, 1, length)."""
        length = ops.shape(attention_bias)[3]
        one_hot = ops.one_hot(self._bucket(_distances(length)), self.buckets, dtype="float32")
        rows = ops.matmul(ops.reshape(one_hot, (-1, self.buckets)), self.embeddings)
        by_head = ops.reshape(ops.transpose(rows), (1, self.heads, length, length))
        return attention_bias + by_head

    def _bucket(self, distances: Any) -> Any:
        half = self.buckets // 2
        exact = half // 2
        is_after = ops.cast(distances > 0, "int32") * half
        distances = ops.abs(distances)
        ratio = ops.log(ops.cast(ops.maximum(distances, 1), "float32") / exact)
        steps = ratio / math.log(FARTHEST / exact) * (half - exact)
        ranges = ops.minimum(exact + ops.cast(steps, "int32"), half - 1)
        return is_after + ops.where(distances < exact, distances, ranges)

    def compute_output_spec(self, attention_bias: Any) -> Any:
        """Return the symbolic result."""
        batch_size, _, _, length = attention_bias.shape
        return keras.KerasTensor((batch_size, self.heads, length, length), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        initializer = keras.initializers.serialize(self.embeddings_initializer)
        return {
            **super().get_config(),
            "heads": self.heads,
            "buckets": self.buckets,
            "embeddings_initializer": initializer,
        }


def built_dense(
    layer: Any,
    inputs: int,
    outputs: int,
    name: str,
    *,
    use_bias: bool = True,
    initializer: Any = None,
) -> Any:
    """Return a dense layer with the initializer and the precision of the layer that it is in."""
    dense = keras.layers.Dense(
        outputs,
        use_bias=use_bias,
        kernel_initializer=(initializer or layer.kernel_initializer).clone(),
        dtype=layer.dtype_policy,
        name=name,
    )
    dense.build((None, inputs))
    return dense


@keras.saving.register_keras_serializable("xferlab")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2).

    Args:
        heads: number of heads; divides the width.
        dropout: rate on the probabilities.
        kernel_initializer: of the four kernels, each ``(width, width)``.
    """

    def __init__(
        self, heads: int, dropout: float = 0.0, kernel_initializer: Any = "uniform", **kwargs: Any
    ):
        super().__init__(autocast=False, **kwargs)  # the bias stays float32
        self.heads = heads
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.probability_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        """Create the kernels."""
        width = input_shape[-1]
        self.query = built_dense(self, width, width, "query")
        self.key = built_dense(self, width, width, "key")
        self.value = built_dense(self, width, width, "value")
        self.attention_output = built_dense(self, width, width, "attention_output")

    def call(
        self,
        tokens: Any,
        queries: Any,
        attention_bias: Any,
        positions: Any = None,
        training: bool = False,
    ) -> Any:
        """Return what each query attends to.

        Args:
            tokens: (batch * length, width).
            queries: (batch * queries, width); the same as ``tokens``, or one token of each text.
            attention_bias: float32 (batch, 1 or heads, 1 or queries, length), see
                :class:`AttentionBias`.
            positions: not read.
            training: whether dropout is applied.

        Returns:
            (batch * queries, width).
        """
        batch_size = ops.shape(attention_bias)[0]
        query = self._by_head(self.query(queries), batch_size)
        key = self._by_head(self.key(tokens), batch_size, KEYS)
        value = self._by_head(self.value(tokens), batch_size)
        scale = 1.0 / math.sqrt(query.shape[-1])
        query = query * ops.cast(scale, query.dtype)
        scores = ops.matmul(query, key)
        return self._mix(ops.cast(scores, "float32") + attention_bias, value, training)

    def _by_head(self, x: Any, batch_size: Any, axes: tuple[int, ...] = QUERIES) -> Any:
        """Return (batch, heads, length, width of a head) for (batch * length, width)."""
        split = (batch_size, -1, self.heads, x.shape[-1] // self.heads)
        return ops.transpose(ops.reshape(x, split), axes)

    def _mix(self, scores: Any, value: Any, training: bool) -> Any:
        """Return (batch * queries, width) of the values that float32 scores choose."""
        probabilities = ops.cast(ops.softmax(scores), value.dtype)
        probabilities = self.probability_dropout(probabilities, training=training)
        context = ops.transpose(self._context(probabilities, value), QUERIES)
        width = context.shape[2] * context.shape[3]
        return self.attention_output(ops.reshape(context, (-1, width)))

    def _context(self, probabilities: Any, value: Any) -> Any:
        """Return (batch, heads, queries, width of a head)."""
        return ops.matmul(probabilities, value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "heads": self.heads,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
