"""Masked language modelling inside the network: which tokens are masked, and what is said of them.

Devlin et al. 2019, section 3.1: of the tokens that are chosen 80 % become the mask, 10 % a token at
random, 10 % stay.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras
import numpy as np
from keras import ops

from xferlab.models.layers.activations import ACTIVATIONS
from xferlab.models.layers.basic import LayerNormalization

MASKED = 0.8
REPLACED = 0.1
NO_TARGET = -1
"""The target of a token that was not chosen."""
BITS = 24
"""Of the numbers that stand for chance where nothing may be random."""
FACTORS = (6364136223846793005, 1442695040888963407, 2862933555777941757)
"""Odd constants of linear congruential generators (Knuth's, its increment, L'Ecuyer's)."""


class MaskTokens(keras.layers.Layer):
    """Chooses tokens and hides most of them.

    In training the choice is random, from a seed generator that is counted on with every step. Else
    it is a function of the text alone, so that scores of two epochs, batch sizes or runs are of the
    same tokens.

    Args:
        fraction: of the tokens that are no special ones.
        mask_id: token id of the mask.
        special_ids: token ids that are never chosen.
        vocabulary_size: tokens that one is replaced by are ids below it.

    Attributes:
        is_augmentation: nothing above may be computed in advance.
    """

    is_augmentation = True

    def __init__(
        self,
        fraction: float,
        mask_id: int,
        special_ids: Collection[int],
        vocabulary_size: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fraction = fraction
        self.mask_id = mask_id
        self.vocabulary_size = vocabulary_size
        self._special_ids = np.array(sorted(special_ids), "int32")
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, token_ids: Any, padding_mask: Any, training: bool = False) -> tuple[Any, Any]:
        """Return token ids with masks, and the ids of the chosen tokens, else -1."""
        token_ids = ops.cast(token_ids, "int32")
        if training:
            shape = ops.shape(token_ids)
            seed = self.seed_generator
            choice = keras.random.uniform(shape, dtype="float32", seed=seed)
            how = keras.random.uniform(shape, dtype="float32", seed=seed)
            other = keras.random.randint(shape, 0, self.vocabulary_size, "int32", seed=seed)
        else:
            choice, how, other = self._fixed_numbers(token_ids, padding_mask)
        special = ops.any(ops.expand_dims(token_ids, -1) == self._special_ids, axis=-1)
        is_text = ops.logical_and(ops.cast(padding_mask, "bool"), ops.logical_not(special))
        chosen = ops.logical_and(choice < self.fraction, is_text)
        hidden = ops.where(how < MASKED, self.mask_id, token_ids)
        hidden = ops.where(how >= 1 - REPLACED, other, hidden)
        targets = ops.where(chosen, token_ids, NO_TARGET)
        return ops.where(chosen, hidden, token_ids), targets

    def _fixed_numbers(self, token_ids: Any, padding_mask: Any) -> list[Any]:
        """Return two arrays of numbers below 1 and one of ids, by the tokens of a text alone."""
        places = ops.expand_dims(ops.arange(ops.shape(token_ids)[1], dtype="int64"), 0)
        real = ops.cast(padding_mask, "int64") * (ops.cast(token_ids, "int64") + 1)
        text = ops.sum(real * (places * FACTORS[2] + 1), axis=1, keepdims=True)
        numbers = []
        for draw in range(1, 4):
            mixed = (text + places * FACTORS[1] + draw * FACTORS[2]) * FACTORS[0]
            mixed = ops.bitwise_xor(mixed, ops.right_shift(mixed, 29)) * FACTORS[0]
            numbers.append(ops.bitwise_and(ops.right_shift(mixed, 64 - BITS - 8), 2**BITS - 1))
        choice, how, other = numbers
        scale = 1.0 / 2**BITS
        ids = ops.cast(other % self.vocabulary_size, "int32")
        return [ops.cast(choice, "float32") * scale, ops.cast(how, "float32") * scale, ids]

    def compute_output_spec(self, token_ids: Any, padding_mask: Any, training: Any = None) -> Any:
        """Return the symbolic results."""
        return tuple(keras.KerasTensor(token_ids.shape, "int32") for _ in range(2))


class MaskedTokenScores(keras.layers.Layer):
    """The head of a masked language model, on the chosen tokens alone.

    Its decoder is the table of token embeddings (tied), so it holds no kernel of its own. A text's
    outputs are three sums over its chosen tokens: of the negative log-likelihoods, of 1, and of
    those that are predicted right.

    Args:
        table: the layer of token embeddings, whose weights stay its own.
        activation: after the dense layer.
        epsilon: of the normalisation.
        initializer: of the dense layer.
        use_bias: whether the dense layer has a bias.
        center: whether the normalisation has one.
    """

    def __init__(
        self,
        table: Any,
        activation: str,
        epsilon: float,
        initializer: Any,
        *,
        use_bias: bool = True,
        center: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self._rows, width = table.embeddings.shape
        self._embeddings = lambda: ops.cast(table.embeddings.value, "float32")
        self.dense = keras.layers.Dense(
            width,
            activation=ACTIVATIONS.get(activation, activation),
            use_bias=use_bias,
            kernel_initializer=initializer,
            name="dense",
            dtype="float32",
        )
        self.norm = LayerNormalization(epsilon=epsilon, center=center, name="norm", dtype="float32")

    def build(self, sequence_shape: Any, targets_shape: Any) -> None:
        """Create the weights."""
        self.dense.build((None, sequence_shape[-1]))
        self.norm.build((None, self.dense.units))
        self.bias = self.add_weight(name="bias", shape=(self._rows,), initializer="zeros")

    def call(self, sequence: Any, targets: Any) -> Any:
        """Return float32 (batch, 3) of (batch, length, width) and int32 (batch, length)."""
        batch, length = ops.shape(targets)
        flat = ops.reshape(targets, (-1,))
        (places,) = ops.nonzero(flat >= 0)
        wanted = ops.take(flat, places)
        tokens = ops.take(ops.reshape(sequence, (-1, sequence.shape[-1])), places, axis=0)
        hidden = self.norm(self.dense(tokens))
        logits = ops.matmul(hidden, ops.transpose(self._embeddings())) + self.bias
        of_target = ops.take_along_axis(logits, ops.expand_dims(wanted, 1), axis=1)[:, 0]
        surprise = ops.logsumexp(logits, axis=-1) - of_target
        is_right = ops.cast(ops.cast(ops.argmax(logits, axis=-1), "int32") == wanted, "float32")
        each = ops.stack([surprise, ops.ones_like(surprise), is_right], axis=-1)
        index = ops.expand_dims(ops.cast(places, "int32"), 1)
        everywhere = ops.scatter(index, each, (batch * length, 3))
        return ops.sum(ops.reshape(everywhere, (batch, length, 3)), axis=1)

    def compute_output_spec(self, sequence: Any, targets: Any) -> Any:
        """Return the symbolic result."""
        return keras.KerasTensor((sequence.shape[0], 3), "float32")
