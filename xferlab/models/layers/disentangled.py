"""DeBERTa's attention by content and relative position, without gathering scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from xferlab.models.layers.attention import SelfAttention, built_dense
from xferlab.models.layers.basic import Dropout
from xferlab.models.layers.transformer import TransformerLayer

if TYPE_CHECKING:
    import numpy as np


@keras.saving.register_keras_serializable("xferlab")
class RelativeTable(keras.layers.Layer):
    """A learned vector for each bucket of relative positions, for every text and layer the same.

    Args:
        rows: of the table.
        width: of the sequence.
        embeddings_initializer: of the table.
    """

    def __init__(
        self, rows: int, width: int, embeddings_initializer: Any = "uniform", **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.rows = rows
        self.width = width
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, padding_mask_shape: Any) -> None:
        """Create the table."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.rows, self.width),
            initializer=self.embeddings_initializer,
        )

    def call(self, padding_mask: Any) -> Any:
        """Return the table (rows, width)."""
        return ops.convert_to_tensor(self.embeddings)[:]  # an array, not the variable

    def compute_output_spec(self, padding_mask: Any) -> Any:
        """Return the symbolic result."""
        return keras.KerasTensor((self.rows, self.width), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        initializer = keras.initializers.serialize(self.embeddings_initializer)
        return {
            **super().get_config(),
            "rows": self.rows,
            "width": self.width,
            "embeddings_initializer": initializer,
        }


@keras.saving.register_keras_serializable("xferlab")
class RelativeRows(keras.layers.Layer):
    """The rows of :class:`RelativeTable` for the distances in texts of the batch's length.

    Args:
        span: half of the table's rows.
        buckets: distances have logarithmic buckets from half of this on (He et al. 2021, DeBERTa);
            0 gives each distance a row.
        farthest: the distance of the last bucket.
        positions: tokens that a text may have.
    """

    def __init__(self, span: int, buckets: int, farthest: int, positions: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.span = span
        self.buckets = buckets
        self.farthest = farthest
        self.positions = positions

    def call(self, padding_mask: Any) -> Any:
        """Return int32 (2 * length + 1,): the rows for query - key from -length to length."""
        length = ops.shape(padding_mask)[1]
        first = self.positions - length
        return ops.convert_to_tensor(self._rows(), "int32")[first : first + 2 * length + 1]

    def _rows(self) -> np.ndarray:
        import numpy as np

        distances = np.arange(-self.positions, self.positions + 1)
        found = distances
        if self.buckets:
            middle = self.buckets // 2
            far = np.maximum(np.abs(distances), middle) / middle
            steps = np.log(far) / math.log((self.farthest - 1) / middle) * (middle - 1)
            ranges = np.sign(distances) * (np.ceil(steps).astype(int) + middle)
            found = np.where(np.abs(distances) <= middle, distances, ranges)
        return np.clip(found + self.span, 0, 2 * self.span - 1)

    def compute_output_spec(self, padding_mask: Any) -> Any:
        """Return the symbolic result."""
        return keras.KerasTensor((None,), "int32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "span": self.span,
            "buckets": self.buckets,
            "farthest": self.farthest,
            "positions": self.positions,
        }


@keras.saving.register_keras_serializable("xferlab")
class DisentangledAttention(SelfAttention):
    """Attention by content, by content and position, and by position and content.

    He et al. 2021 (DeBERTa), eq. 4. The scores by position are products with a vector for each
    distance; each row is shifted by one, so that a reshape aligns them with the keys.

    Args:
        heads: number of heads; divides the width.
        dropout: rate on the probabilities.
        kernel_initializer: of the kernels.
        terms: ``c2p`` (content to position), ``p2c`` or both.
        shares_kernels: positions are projected by the content's kernels.
        table_dropout: rate on the table of relative positions.
    """

    def __init__(
        self,
        heads: int,
        dropout: float = 0.0,
        kernel_initializer: Any = "uniform",
        terms: tuple[str, ...] = ("c2p", "p2c"),
        shares_kernels: bool = True,
        table_dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(heads, dropout, kernel_initializer, **kwargs)
        self.terms = tuple(terms)
        self.shares_kernels = shares_kernels
        self.table_dropout = table_dropout
        self.table_dropped = Dropout(table_dropout, dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        """Create the kernels."""
        super().build(input_shape)
        width = input_shape[-1]
        self.position_key = self.key
        self.position_query = self.query
        if not self.shares_kernels and "c2p" in self.terms:
            self.position_key = built_dense(self, width, width, "position_key")
        if not self.shares_kernels and "p2c" in self.terms:
            self.position_query = built_dense(self, width, width, "position_query")

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
            queries: (batch * queries, width); the same as ``tokens``, or the first of each text.
            attention_bias: float32 (batch, 1, 1, length), see :class:`AttentionBias`.
            positions: :class:`RelativeTable` and :class:`RelativeRows`.
            training: whether dropout is applied.

        Returns:
            (batch * queries, width).
        """
        batch_size, _, _, length = ops.shape(attention_bias)
        query = self._by_head(self.query(queries), batch_size)
        key = self._by_head(self.key(tokens), batch_size)
        value = self._by_head(self.value(tokens), batch_size)
        scale = 1.0 / math.sqrt(query.shape[-1] * (1 + len(self.terms)))
        query = query * ops.cast(scale, query.dtype)
        scores = ops.cast(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))), "float32")
        table, rows = positions
        table = ops.take(self.table_dropped(table, training=training), rows, axis=0)
        is_first_alone = queries is not tokens
        if "c2p" in self.terms:
            vectors = self._by_head(self.position_key(table), 1)
            vectors = ops.transpose(vectors, (0, 1, 3, 2))
            if is_first_alone:
                by_position = ops.matmul(query, ops.flip(vectors[..., 1 : length + 1], -1))
            else:
                by_distance = ops.matmul(query, ops.flip(vectors[..., : 2 * length], -1))
                by_position = _aligned(by_distance, length)
            scores += ops.cast(by_position, "float32")
        if "p2c" in self.terms:
            vectors = self._by_head(self.position_query(table), 1)
            vectors = vectors * ops.cast(scale, vectors.dtype)
            if is_first_alone:
                products = key * ops.flip(vectors[:, :, 1 : length + 1], 2)
                by_position = ops.expand_dims(ops.sum(products, -1), 2)
            else:
                by_distance = ops.matmul(key, ops.transpose(vectors[:, :, 1:], (0, 1, 3, 2)))
                by_position = ops.transpose(_aligned(by_distance, length), (0, 1, 3, 2))
            scores += ops.cast(by_position, "float32")
        return self._mix(scores + attention_bias, value, training)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "terms": self.terms,
            "shares_kernels": self.shares_kernels,
            "table_dropout": self.table_dropout,
        }


def _aligned(by_distance: Any, length: Any) -> Any:
    """Return (..., length, length), row i from column ``length - 1 - i`` of (..., 2 * length)."""
    batch_size, heads, _, columns = ops.shape(by_distance)
    flat = ops.reshape(by_distance, (batch_size, heads, length * columns))
    flat = flat[:, :, length - 1 : length - 1 + length * (columns - 1)]
    return ops.reshape(flat, (batch_size, heads, length, columns - 1))[..., :length]


@keras.saving.register_keras_serializable("xferlab")
class DisentangledLayer(TransformerLayer):
    """A post-norm layer with :class:`DisentangledAttention`; ``positions`` is its argument.

    Args:
        terms: as in the attention.
        shares_kernels: as in the attention.
        kwargs: of :class:`TransformerLayer`; the table's dropout is the hidden one.
    """

    def __init__(
        self,
        *args: Any,
        terms: tuple[str, ...] = ("c2p", "p2c"),
        shares_kernels: bool = True,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self.terms = tuple(terms)
        self.shares_kernels = shares_kernels

    def _attention(self) -> Any:
        return DisentangledAttention(
            self.heads,
            self.attention_dropout,
            self.kernel_initializer,
            self.terms,
            self.shares_kernels,
            self.hidden_dropout,
            dtype=self.dtype_policy,
            name="self_attention_layer",
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        more = {"terms": self.terms, "shares_kernels": self.shares_kernels}
        return {**super().get_config(), **more}
