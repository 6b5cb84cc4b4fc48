"""Attention with rotary positions, and the gated layers around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops

from xferlab.models.layers.activations import ACTIVATIONS, activate
from xferlab.models.layers.attention import QUERIES, SelfAttention, built_dense
from xferlab.models.layers.basic import Dropout, LayerNormalization, RMSNormalization
from xferlab.models.layers.transformer import SequenceLayer


@keras.saving.register_keras_serializable("xferlab")
class RotaryTable(keras.layers.Layer):
    """Cosine and sine of each position's angles; computed once for all layers.

    Args:
        frequencies: angle from one position to the next, for each pair of a head's numbers.
    """

    def __init__(self, frequencies: Sequence[float], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.frequencies = list(frequencies)

    def call(self, padding_mask: Any) -> Any:
        """Return float32 (2, length, width of a head)."""
        places = ops.cast(ops.arange(ops.shape(padding_mask)[1]), "float32")
        frequencies = ops.convert_to_tensor(self.frequencies, "float32")
        angles = ops.expand_dims(places, 1) * ops.expand_dims(frequencies, 0)
        angles = ops.concatenate([angles, angles], -1)
        return ops.stack([ops.cos(angles), ops.sin(angles)])

    def compute_output_spec(self, padding_mask: Any) -> Any:
        """Return the symbolic result."""
        width = 2 * len(self.frequencies)
        return keras.KerasTensor((2, padding_mask.shape[1], width), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "frequencies": self.frequencies}


def rotate(x: Any, table: Any) -> Any:
    """Return (batch, heads, length, width) turned by the positions' angles (Su et al. 2021).

    A number of the first half and the one in its place in the second half are a pair. Half
    precision is computed in float32.
    """
    cosine = table[0]
    sine = table[1]
    wide = ops.cast(x, "float32")
    first, second = ops.split(wide, 2, axis=-1)
    turned = ops.concatenate([-second, first], -1)
    return ops.cast(wide * cosine + turned * sine, x.dtype)


@dataclass(frozen=True, kw_only=True)
class GatedOptions:
    """What a :class:`GatedLayer` is.

    Attributes:
        heads: attention heads.
        kv_heads: heads of keys and values; each is read by ``heads / kv_heads`` heads.
        head_size: width of a head.
        intermediate_size: width inside the feed-forward part.
        activation: of the half of the feed-forward part that is the gate.
        epsilon: of the normalisations.
        normalization: ``rms``, ``layer`` or ``layer_without_bias``.
        normalization_offset: as in :class:`~xferlab.models.layers.basic.RMSNormalization`.
        normalizes_after: normalise the sum with the input of each part (post-norm), not the input.
        normalizes_input: normalise the input of the attention; without it the sequence is
            normalised already.
        normalizes_outputs: normalise what each part adds too.
        normalizes_heads: normalise queries and keys.
        attention_bias: whether the attention's dense layers have biases.
        feedforward_bias: whether the feed-forward part's have.
        scale: factor of the scores; None for one over the root of the head's width.
        attention_dropout: rate on the probabilities.
        output_dropout: rate after the attention.
        inner_dropout: rate inside the feed-forward part.
        hidden_dropout: rate after the feed-forward part.
    """

    heads: int
    kv_heads: int
    head_size: int
    intermediate_size: int
    activation: str
    epsilon: float
    normalization: str = "rms"
    normalization_offset: float = 0.0
    normalizes_after: bool = False
    normalizes_input: bool = True
    normalizes_outputs: bool = False
    normalizes_heads: bool = False
    attention_bias: bool = False
    feedforward_bias: bool = False
    scale: float | None = None
    attention_dropout: float = 0.0
    output_dropout: float = 0.0
    inner_dropout: float = 0.0
    hidden_dropout: float = 0.0


def normalization(options: GatedOptions, width: int, **kwargs: Any) -> Any:
    """Return a built normalisation over ``width`` numbers."""
    if options.normalization == "rms":
        norm = RMSNormalization(options.epsilon, options.normalization_offset, **kwargs)
    else:
        center = options.normalization == "layer"
        norm = LayerNormalization(epsilon=options.epsilon, center=center, **kwargs)
    norm.build((None, width))
    return norm


class RotaryAttention(SelfAttention):
    """Self-attention with rotary positions (Su et al. 2021) and shared keys (Ainslie et al. 2023).

    Args:
        options: of the layer that it is part of.
        kernel_initializer: of the kernels.
        output_initializer: of the last one.
    """

    def __init__(
        self,
        options: GatedOptions,
        kernel_initializer: Any,
        output_initializer: Any,
        **kwargs: Any,
    ):
        super().__init__(options.heads, options.attention_dropout, kernel_initializer, **kwargs)
        self.options = options
        self.output_initializer = output_initializer

    def build(self, input_shape: Any) -> None:
        """Create the kernels."""
        width = input_shape[-1]
        options = self.options
        size = options.head_size
        use_bias = options.attention_bias
        heads = {"query": options.heads, "key": options.kv_heads, "value": options.kv_heads}
        for name, count in heads.items():
            setattr(self, name, built_dense(self, width, count * size, name, use_bias=use_bias))
        self.attention_output = built_dense(
            self,
            options.heads * size,
            width,
            "attention_output",
            use_bias=use_bias,
            initializer=self.output_initializer,
        )
        if options.normalizes_heads:
            policy = self.dtype_policy
            self.query_norm = normalization(options, size, dtype=policy, name="query_norm")
            self.key_norm = normalization(options, size, dtype=policy, name="key_norm")

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
            attention_bias: float32 (batch, 1, 1 or queries, length).
            positions: :class:`RotaryTable`.
            training: whether dropout is applied.

        Returns:
            (batch * queries, width).
        """
        options = self.options
        batch_size = ops.shape(attention_bias)[0]
        size = options.head_size
        query = ops.reshape(self.query(queries), (batch_size, -1, options.heads, size))
        key = ops.reshape(self.key(tokens), (batch_size, -1, options.kv_heads, size))
        value = ops.reshape(self.value(tokens), (batch_size, -1, options.kv_heads, size))
        if options.normalizes_heads:
            query = self.query_norm(query)
            key = self.key_norm(key)
        query = ops.transpose(query, QUERIES)
        query = rotate(query, positions[:, : ops.shape(query)[2]])
        key = rotate(ops.transpose(key, QUERIES), positions)
        value = ops.transpose(value, QUERIES)
        scale = options.scale or 1.0 / math.sqrt(size)
        query = self._grouped(query * ops.cast(scale, query.dtype))
        scores = ops.cast(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))), "float32")
        length = ops.shape(key)[2]
        scores = ops.reshape(scores, (batch_size, options.heads, -1, length))
        return self._mix(scores + attention_bias, value, training)

    def _grouped(self, x: Any) -> Any:
        """Return (batch, kv_heads, rows, columns): rows of the heads that share keys together."""
        if self.options.heads == self.options.kv_heads:
            return x
        batch_size, _, _, columns = ops.shape(x)
        return ops.reshape(x, (batch_size, self.options.kv_heads, -1, columns))

    def _context(self, probabilities: Any, value: Any) -> Any:
        context = ops.matmul(self._grouped(probabilities), value)
        shape = (ops.shape(value)[0], self.options.heads, -1, self.options.head_size)
        return ops.reshape(context, shape)


@keras.saving.register_keras_serializable("xferlab")
class GatedLayer(SequenceLayer):
    """A transformer layer with rotary positions and a gated feed-forward part (Shazeer 2020).

    Args:
        options: what it is.
        kernel_initializer: of the kernels.
        output_initializer: of the kernels whose product is added to the sequence; None for the
            same.
    """

    def __init__(
        self,
        options: GatedOptions,
        kernel_initializer: Any = "glorot_uniform",
        output_initializer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)  # bias and positions stay float32
        self.options = options
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer or kernel_initializer)

    def build(
        self, sequence_shape: Any, attention_bias_shape: Any = None, positions_shape: Any = None
    ) -> None:
        """Create the parts for sequences ``(batch, length, width)``."""
        options = self.options
        width = sequence_shape[-1]
        self.attention = RotaryAttention(
            options,
            self.kernel_initializer,
            self.output_initializer,
            dtype=self.dtype_policy,
            name="self_attention_layer",
        )
        self.attention.build((None, width))
        if options.normalizes_input:
            self.attention_norm = self._norm(width, "self_attention_layer_norm")
        self.feedforward_norm = self._norm(width, "feedforward_layer_norm")
        if options.normalizes_outputs:
            self.attention_output_norm = self._norm(width, "self_attention_output_norm")
            self.feedforward_output_norm = self._norm(width, "feedforward_output_norm")
        inner = options.intermediate_size
        biased = {"use_bias": options.feedforward_bias}
        self.intermediate = built_dense(
            self, width, inner, "feedforward_intermediate_dense", **biased
        )
        self.gate = built_dense(self, width, inner, "feedforward_gate_dense", **biased)
        self.output_dense = built_dense(
            self,
            inner,
            width,
            "feedforward_output_dense",
            initializer=self.output_initializer,
            **biased,
        )
        self.attention_dropped = Dropout(options.output_dropout, dtype=self.dtype_policy)
        self.inner_dropped = Dropout(options.inner_dropout, dtype=self.dtype_policy)
        self.feedforward_dropped = Dropout(options.hidden_dropout, dtype=self.dtype_policy)
        self.activation = ACTIVATIONS.get(options.activation) or keras.activations.get(
            options.activation
        )

    def _norm(self, width: int, name: str) -> Any:
        return normalization(self.options, width, dtype=self.dtype_policy, name=name)

    def compute(
        self,
        sequence: Any,
        attention_bias: Any,
        positions: Any,
        first_token_only: bool,
        training: bool,
    ) -> Any:
        """Return the sequence after attention and feed-forward part."""
        options = self.options
        batch_size, _, width = ops.shape(sequence)
        if first_token_only:
            attention_bias = attention_bias[:, :, :1]
        x = ops.reshape(sequence[:, :1] if first_token_only else sequence, (-1, width))
        is_before = options.normalizes_input and not options.normalizes_after
        read = self.attention_norm(sequence) if is_before else sequence
        tokens = ops.reshape(read, (-1, width))
        queries = read[:, 0] if first_token_only else tokens
        y = self.attention(tokens, queries, attention_bias, positions, training=training)
        if options.normalizes_outputs:
            y = self.attention_output_norm(y)
        x = x + self.attention_dropped(y, training=training)
        if options.normalizes_after:
            x = self.attention_norm(x)
        y = self._feedforward(x, training)
        x = x + self.feedforward_dropped(y, training=training)
        if options.normalizes_after:
            x = self.feedforward_norm(x)
        return ops.reshape(x, (batch_size, -1, width))

    def _feedforward(self, x: Any, training: bool) -> Any:
        if not self.options.normalizes_after:
            x = self.feedforward_norm(x)
        y = activate(self.activation, self.intermediate(x), training) * self.gate(x)
        y = self.output_dense(self.inner_dropped(y, training=training))
        return self.feedforward_output_norm(y) if self.options.normalizes_outputs else y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "options": asdict(self.options),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GatedLayer:
        """Return the layer of :meth:`get_config`."""
        return cls(**{**config, "options": GatedOptions(**config["options"])})
