"""The layers of post-norm transformer encoders, in Keras: every product is of two matrices.

``keras.layers.MultiHeadAttention`` computes its products by einsum, and the gradient of Keras's
exact GELU takes five times as long on a CPU; these layers compute the same without both.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from xferlab.backend.random import dropout

MASKED = -1e9
"""What the score of a padded token is lowered by: its probability is exactly 0."""


@keras.saving.register_keras_serializable("xferlab")
def gelu(x: Any) -> Any:
    """Return ``x * P(X <= x)`` of a standard normal X (Hendrycks & Gimpel 2016, eq. 1), exactly.

    TensorFlow fuses it with the product before it, unless a gradient is taken.
    """
    return keras.activations.gelu(x, approximate=False)


@ops.custom_gradient
def gelu_while_training(x: Any) -> Any:
    """Return :func:`gelu` in a form that is fast where it is not fused.

    Half precision is computed in float32. The gradient computes the density from x alone, so that
    one array is stored.
    """
    wide = ops.cast(x, "float32")
    twice = 1.0 + ops.erf(wide * math.sqrt(0.5))  # twice the probability

    def gradient(upstream: Any) -> Any:
        density = ops.exp(wide * wide * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
        return upstream * ops.cast(0.5 * twice + wide * density, upstream.dtype)

    return ops.cast(0.5 * wide * twice, x.dtype), gradient


@keras.saving.register_keras_serializable("xferlab")
def gelu_tanh(x: Any) -> Any:
    """Return GELU's approximation by tanh (Hendrycks & Gimpel 2016, section 2), in float32."""
    wide = ops.cast(x, "float32")
    inner = math.sqrt(2.0 / math.pi) * wide * (1.0 + 0.044715 * wide * wide)
    return ops.cast(0.5 * wide * (1.0 + ops.tanh(inner)), x.dtype)


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh}
"""Activations that are computed here; Keras has the others."""


@keras.saving.register_keras_serializable("xferlab")
class NotRandom(keras.initializers.TruncatedNormal):
    """Gives zeros, for weights that are assigned; takes its seed as a random initializer does.

    So what is initialised beside them is the same either way.
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return zeros."""
        return ops.zeros(shape, dtype)


@keras.saving.register_keras_serializable("xferlab")
class Dropout(keras.layers.Dropout):
    """Keras's dropout with masks of 16 bits an element."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``inputs``, some of them 0 while training."""
        if not training or self.rate == 0:
            return inputs
        return dropout(inputs, self.rate, self.seed_generator.next())


@keras.saving.register_keras_serializable("xferlab")
class LayerNormalization(keras.layers.LayerNormalization):
    """Keras's layer normalisation over the last axis (Ba et al. 2016), with a gradient by hand.

    Half precision is computed in float32.
    """

    def call(self, inputs: Any) -> Any:
        """Return ``inputs`` with mean 0 and variance 1 along the last axis, scaled and shifted."""
        return _normalize(inputs, self.gamma.value, self.beta.value, self.epsilon)


def _normalize(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    @ops.custom_gradient
    def normalize(x: Any, scale: Any, shift: Any) -> Any:
        wide = ops.cast(x, "float32")
        centered = wide - ops.mean(wide, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
        inverse = ops.rsqrt(variance + epsilon)
        normal = centered * inverse

        def gradient(upstream: Any) -> Any:
            upstream = ops.cast(upstream, "float32")
            rows = tuple(range(len(upstream.shape) - 1))
            of_normal = upstream * scale
            mean = ops.mean(of_normal, axis=-1, keepdims=True)
            along = ops.mean(of_normal * normal, axis=-1, keepdims=True)
            of_x = (of_normal - mean - normal * along) * inverse
            of_scale = ops.sum(upstream * normal, axis=rows)
            return ops.cast(of_x, x.dtype), of_scale, ops.sum(upstream, axis=rows)

        return ops.cast(normal * scale + shift, x.dtype), gradient

    return normalize(inputs, gamma, beta)


@keras.saving.register_keras_serializable("xferlab")
class PositionEmbedding(keras.layers.Layer):
    """A learned vector for each position.

    Args:
        positions: rows of the table, the longest text.
        embeddings_initializer: of the table.
    """

    def __init__(self, positions: int, embeddings_initializer: Any = "uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.positions = positions
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape: Any) -> None:
        """Create the table ``(positions, width)``."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.positions, input_shape[-1]),
            initializer=self.embeddings_initializer,
        )

    def call(self, tokens: Any) -> Any:
        """Return the table's rows (1, length, width) for tokens (batch, length, width)."""
        return ops.convert_to_tensor(self.embeddings)[None, : ops.shape(tokens)[1]]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the rows."""
        return (1, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        initializer = keras.initializers.serialize(self.embeddings_initializer)
        return {
            **super().get_config(),
            "positions": self.positions,
            "embeddings_initializer": initializer,
        }


@keras.saving.register_keras_serializable("xferlab")
class AttentionBias(keras.layers.Layer):
    """What the padding mask adds to attention scores; computed once for all layers."""

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, padding_mask: Any) -> Any:
        """Return float32 (batch, 1, 1, length): 0 for a token, :data:`MASKED` for padding."""
        is_padding = 1.0 - ops.cast(padding_mask, "float32")
        return ops.expand_dims(is_padding * MASKED, (1, 2))

    def compute_output_spec(self, padding_mask: Any) -> Any:
        """Return the symbolic result."""
        batch, length = padding_mask.shape
        return keras.KerasTensor((batch, 1, 1, length), "float32")


def _built_dense(layer: Any, inputs: int, outputs: int, name: str) -> Any:
    """Return a dense layer with the initializer and the precision of the layer that it is in."""
    dense = keras.layers.Dense(
        outputs,
        kernel_initializer=layer.kernel_initializer.clone(),
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
        self.query = _built_dense(self, width, width, "query")
        self.key = _built_dense(self, width, width, "key")
        self.value = _built_dense(self, width, width, "value")
        self.attention_output = _built_dense(self, width, width, "attention_output")

    def call(self, tokens: Any, queries: Any, attention_bias: Any, training: bool = False) -> Any:
        """Return what each query attends to.

        Args:
            tokens: (batch * length, width).
            queries: (batch * queries, width); the same as ``tokens``, or one token of each text.
            attention_bias: float32 (batch, 1, 1, length), see :class:`AttentionBias`.
            training: whether dropout is applied.

        Returns:
            (batch * queries, width).
        """
        width = tokens.shape[-1]
        split = (ops.shape(attention_bias)[0], -1, self.heads, width // self.heads)
        query = ops.transpose(ops.reshape(self.query(queries), split), (0, 2, 1, 3))
        key = ops.transpose(ops.reshape(self.key(tokens), split), (0, 2, 3, 1))
        value = ops.transpose(ops.reshape(self.value(tokens), split), (0, 2, 1, 3))
        scale = 1.0 / math.sqrt(width // self.heads)
        scores = ops.cast(ops.matmul(query * ops.cast(scale, query.dtype), key), "float32")
        probabilities = ops.cast(ops.softmax(scores + attention_bias), value.dtype)
        probabilities = self.probability_dropout(probabilities, training=training)
        context = ops.transpose(ops.matmul(probabilities, value), (0, 2, 1, 3))
        return self.attention_output(ops.reshape(context, (-1, width)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "heads": self.heads,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("xferlab")
class TransformerLayer(keras.layers.Layer):
    """A post-norm layer of an encoder: attention and feed-forward (Vaswani et al. 2017, 3.1).

    Args:
        heads: attention heads.
        intermediate_size: width inside the feed-forward part.
        activation: of the feed-forward part.
        epsilon: added to the variance by the normalisations.
        hidden_dropout: rate after the attention and after the feed-forward part.
        attention_dropout: rate on the attention's probabilities.
        kernel_initializer: of all kernels.
    """

    def __init__(
        self,
        heads: int,
        intermediate_size: int,
        activation: Any = "relu",
        epsilon: float = 1e-12,
        hidden_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)  # the bias stays float32
        self.heads = heads
        self.intermediate_size = intermediate_size
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.hidden_dropout = hidden_dropout
        self.attention_dropout = attention_dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, sequence_shape: Any, attention_bias_shape: Any = None) -> None:
        """Create the parts for sequences ``(batch, length, width)``."""
        width = sequence_shape[-1]
        self.attention = SelfAttention(
            self.heads,
            self.attention_dropout,
            self.kernel_initializer,
            dtype=self.dtype_policy,
            name="self_attention_layer",
        )
        self.attention.build((None, width))
        self.attention_norm = self._norm(width, "self_attention_layer_norm")
        self.feedforward_norm = self._norm(width, "feedforward_layer_norm")
        inner = self.intermediate_size
        self.intermediate = _built_dense(self, width, inner, "feedforward_intermediate_dense")
        self.output_dense = _built_dense(self, inner, width, "feedforward_output_dense")
        self.attention_dropped = Dropout(self.hidden_dropout, dtype=self.dtype_policy)
        self.feedforward_dropped = Dropout(self.hidden_dropout, dtype=self.dtype_policy)

    def _norm(self, width: int, name: str) -> Any:
        norm = LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
        norm.build((None, width))
        return norm

    def call(
        self,
        sequence: Any,
        attention_bias: Any,
        first_token_only: bool = False,
        training: bool = False,
    ) -> Any:
        """Return the sequence after attention and feed-forward part.

        Args:
            sequence: (batch, length, width).
            attention_bias: float32 (batch, 1, 1, length), see :class:`AttentionBias`.
            first_token_only: compute the first token's output alone.
            training: whether dropout is applied.

        Returns:
            (batch, length, width), or (batch, 1, width) of the first token.
        """
        batch_size, _, width = ops.shape(sequence)
        tokens = ops.reshape(sequence, (-1, width))
        queries = sequence[:, 0] if first_token_only else tokens
        x = self.attention(tokens, queries, attention_bias, training=training)
        x = self.attention_norm(self.attention_dropped(x, training=training) + queries)
        y = self.output_dense(self._activate(self.intermediate(x), training))
        y = self.feedforward_norm(self.feedforward_dropped(y, training=training) + x)
        return ops.reshape(y, (batch_size, -1, width))

    def _activate(self, x: Any, training: bool) -> Any:
        if training and self.activation is gelu:
            return gelu_while_training(x)
        return self.activation(x)

    def compute_output_spec(
        self,
        sequence: Any,
        attention_bias: Any,
        first_token_only: bool = False,
        training: bool = False,
    ) -> Any:
        """Return the symbolic result."""
        batch_size, length, width = sequence.shape
        length = 1 if first_token_only else length
        return keras.KerasTensor((batch_size, length, width), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "heads": self.heads,
            "intermediate_size": self.intermediate_size,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "hidden_dropout": self.hidden_dropout,
            "attention_dropout": self.attention_dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
