"""The post-norm transformer layer of BERT and its kin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from xferlab.backend.recompute import recompute
from xferlab.models.layers.activations import activate
from xferlab.models.layers.attention import SelfAttention, built_dense
from xferlab.models.layers.basic import Dropout, LayerNormalization


class SequenceLayer(keras.layers.Layer):
    """A layer that returns a sequence as wide as the one it is called on, or its first token.

    Attributes:
        recomputes: whether training computes it again for the gradient, instead of keeping what is
            inside it: the same numbers in less memory.
    """

    recomputes = False

    def call(
        self,
        sequence: Any,
        attention_bias: Any,
        positions: Any = None,
        first_token_only: bool = False,
        training: bool = False,
    ) -> Any:
        """Return the sequence after attention and feed-forward part.

        Args:
            sequence: (batch, length, width).
            attention_bias: float32 (batch, 1 or heads, 1 or length, length), see
                :class:`AttentionBias`.
            positions: what the attention reads of the tokens' positions, if it does.
            first_token_only: compute the first token's output alone.
            training: whether dropout is applied.

        Returns:
            (batch, length, width), or (batch, 1, width) of the first token.
        """
        if not (self.recomputes and training):
            return self.compute(sequence, attention_bias, positions, first_token_only, training)
        layers = self._flatten_layers(include_self=False)
        dropouts = [each for each in layers if isinstance(each, Dropout) and each.rate > 0]
        seeds = [each.seed_generator.next() for each in dropouts]

        def compute(sequence: Any, attention_bias: Any, positions: Any) -> Any:
            with held_seeds(dropouts, seeds):
                return self.compute(sequence, attention_bias, positions, first_token_only, training)

        return recompute(compute, sequence, attention_bias, positions)

    def compute(
        self,
        sequence: Any,
        attention_bias: Any,
        positions: Any,
        first_token_only: bool,
        training: bool,
    ) -> Any:
        """Return what :meth:`call` does."""
        raise NotImplementedError

    def compute_output_spec(
        self,
        sequence: Any,
        attention_bias: Any,
        positions: Any = None,
        first_token_only: bool = False,
        training: bool = False,
    ) -> Any:
        """Return the symbolic result."""
        batch_size, length, width = sequence.shape
        length = 1 if first_token_only else length
        return keras.KerasTensor((batch_size, length, width), self.compute_dtype)


@contextmanager
def held_seeds(dropouts: Sequence[Dropout], seeds: Sequence[Any]) -> Iterator[None]:
    """Give dropout layers the masks of these seeds, however often they are computed."""
    for layer, seed in zip(dropouts, seeds, strict=True):
        layer.held_seed = seed
    try:
        yield
    finally:
        for layer in dropouts:
            layer.held_seed = None


@keras.saving.register_keras_serializable("xferlab")
class TransformerLayer(SequenceLayer):
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

    def build(
        self, sequence_shape: Any, attention_bias_shape: Any = None, positions_shape: Any = None
    ) -> None:
        """Create the parts for sequences ``(batch, length, width)``."""
        width = sequence_shape[-1]
        self.attention = self._attention()
        self.attention.build((None, width))
        self.attention_norm = self._norm(width, "self_attention_layer_norm")
        self.feedforward_norm = self._norm(width, "feedforward_layer_norm")
        inner = self.intermediate_size
        self.intermediate = built_dense(self, width, inner, "feedforward_intermediate_dense")
        self.output_dense = built_dense(self, inner, width, "feedforward_output_dense")
        self.attention_dropped = Dropout(self.hidden_dropout, dtype=self.dtype_policy)
        self.feedforward_dropped = Dropout(self.hidden_dropout, dtype=self.dtype_policy)

    def _attention(self) -> Any:
        return SelfAttention(
            self.heads,
            self.attention_dropout,
            self.kernel_initializer,
            dtype=self.dtype_policy,
            name="self_attention_layer",
        )

    def _norm(self, width: int, name: str) -> Any:
        norm = LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
        norm.build((None, width))
        return norm

    def compute(
        self,
        sequence: Any,
        attention_bias: Any,
        positions: Any,
        first_token_only: bool,
        training: bool,
    ) -> Any:
        """Return the sequence after attention and feed-forward part."""
        batch_size, _, width = ops.shape(sequence)
        tokens = ops.reshape(sequence, (-1, width))
        queries = sequence[:, 0] if first_token_only else tokens
        if first_token_only:
            attention_bias = attention_bias[:, :, :1]
        x = self.attention(tokens, queries, attention_bias, positions, training=training)
        x = self.attention_norm(self.attention_dropped(x, training=training) + queries)
        y = self.output_dense(activate(self.activation, self.intermediate(x), training))
        y = self.feedforward_norm(self.feedforward_dropped(y, training=training) + x)
        return ops.reshape(y, (batch_size, -1, width))

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
