"""Dropout, normalisation, positions and pooling: layers without a product of two activations."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from xferlab.backend.random import dropout, uninitialized


@keras.saving.register_keras_serializable("xferlab")
class Uninitialized(keras.initializers.TruncatedNormal):
    """Gives memory that is not set, for weights that are assigned before they are read.

    Large tables are in memory once then: an unset page takes none. It takes its seed as a random
    initializer does, so what is initialised beside it is the same either way.
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of any values."""
        return uninitialized(shape, dtype or keras.config.floatx())


@keras.saving.register_keras_serializable("xferlab")
class Dropout(keras.layers.Dropout):
    """Keras's dropout with masks of 16 bits an element.

    Attributes:
        held_seed: of the mask, instead of the generator's next one; None for that.
    """

    held_seed: Any = None

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``inputs``, some of them 0 while training."""
        if not training or self.rate == 0:
            return inputs
        seed = self.seed_generator.next() if self.held_seed is None else self.held_seed
        return dropout(inputs, self.rate, seed)


@keras.saving.register_keras_serializable("xferlab")
class LayerNormalization(keras.layers.LayerNormalization):
    """Keras's layer normalisation over the last axis (Ba et al. 2016), with a gradient by hand.

    Half precision is computed in float32.
    """

    def call(self, inputs: Any) -> Any:
        """Return ``inputs`` with mean 0 and variance 1 along the last axis, scaled and shifted."""
        gamma = self.gamma.value
        beta = self.beta.value if self.center else ops.zeros_like(gamma)
        return _normalize(inputs, gamma, beta, self.epsilon)


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
class RMSNormalization(keras.layers.Layer):
    """Divides by the root mean square over the last axis (Zhang & Sennrich 2019), in float32.

    Args:
        epsilon: added to the mean square.
        offset: added to the weights that scale the result; 1 where they begin at 0 (Gemma).
    """

    def __init__(self, epsilon: float = 1e-6, offset: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.offset = offset

    def build(self, input_shape: Any) -> None:
        """Create the weights (width,)."""
        self.gamma = self.add_weight(
            name="gamma",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(1.0 - self.offset),
            autocast=False,
        )

    def call(self, inputs: Any) -> Any:
        """Return ``inputs`` with mean square 1 along the last axis, scaled."""
        scale = ops.convert_to_tensor(self.gamma)[:] + self.offset
        return _normalize_rms(inputs, scale, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "epsilon": self.epsilon, "offset": self.offset}


def _normalize_rms(inputs: Any, weights: Any, epsilon: float) -> Any:
    @ops.custom_gradient
    def normalize(x: Any, scale: Any) -> Any:
        wide = ops.cast(x, "float32")
        inverse = ops.rsqrt(ops.mean(ops.square(wide), axis=-1, keepdims=True) + epsilon)
        normal = wide * inverse

        def gradient(upstream: Any) -> Any:
            upstream = ops.cast(upstream, "float32")
            rows = tuple(range(len(upstream.shape) - 1))
            of_normal = upstream * scale
            along = ops.mean(of_normal * normal, axis=-1, keepdims=True)
            of_x = (of_normal - normal * along) * inverse
            return ops.cast(of_x, x.dtype), ops.sum(upstream * normal, axis=rows)

        return ops.cast(normal * scale, x.dtype), gradient

    return normalize(inputs, weights)


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


def last_token(sequence: Any, padding_mask: Any) -> Any:
    """Return (batch, width) of (batch, length, width), padded at the end; without tokens zeros."""
    mask = ops.cast(padding_mask, sequence.dtype)
    following = ops.pad(mask[:, 1:], ((0, 0), (0, 1)))
    is_last = ops.expand_dims(mask - following, 1)
    return ops.squeeze(ops.matmul(is_last, sequence), 1)


@keras.saving.register_keras_serializable("xferlab")
class LastToken(keras.layers.Layer):
    """The vector of each text's last token; of a text without tokens zeros."""

    def call(self, sequence: Any, padding_mask: Any) -> Any:
        """Return (batch, width) for (batch, length, width), padded at the end."""
        return last_token(sequence, padding_mask)

    def compute_output_spec(self, sequence: Any, padding_mask: Any) -> Any:
        """Return the symbolic result."""
        batch_size, _, width = sequence.shape
        return keras.KerasTensor((batch_size, width), sequence.dtype)
