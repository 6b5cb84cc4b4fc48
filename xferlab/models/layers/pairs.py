"""Two texts that are encoded apart by one encoder, in a batch of both (siamese networks)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class SplitPairs(keras.layers.Layer):
    """Makes a batch of twice as many texts of pairs whose tokens stand one after the other.

    Args:
        pad_id: token id of padding.

    Attributes:
        is_augmentation: what is above has a row for a text, not for an example, so nothing may be
            computed in advance.
    """

    is_augmentation = True

    def __init__(self, pad_id: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pad_id = pad_id

    def call(self, token_ids: Any, padding_mask: Any, segment_ids: Any) -> tuple[Any, Any, Any]:
        """Return token ids, padding mask and segments, int32 (2 batch, longest text).

        Args:
            token_ids: (batch, length): the first text of a pair, then the second.
            padding_mask: (batch, length).
            segment_ids: 0 for a token of the first text, 1 for one of the second.
        """
        mask = ops.cast(padding_mask, "int32")
        second = ops.cast(segment_ids, "int32") * mask
        sizes = ops.sum(mask - second, axis=1, keepdims=True)
        others = ops.sum(second, axis=1, keepdims=True)
        longest = ops.maximum(ops.max(sizes), ops.max(others))
        places = ops.expand_dims(ops.arange(longest, dtype="int32"), 0)
        last = ops.shape(token_ids)[1] - 1
        texts = []
        masks = []
        for start, size in ((ops.zeros_like(sizes), sizes), (sizes, others)):
            is_token = places < size
            found = ops.take_along_axis(token_ids, ops.minimum(start + places, last), axis=1)
            texts.append(ops.where(is_token, ops.cast(found, "int32"), self.pad_id))
            masks.append(ops.cast(is_token, "int32"))
        ids = ops.concatenate(texts, axis=0)
        return ids, ops.concatenate(masks, axis=0), ops.zeros_like(ids)

    def compute_output_spec(self, token_ids: Any, padding_mask: Any, segment_ids: Any) -> Any:
        """Return the symbolic results."""
        return tuple(keras.KerasTensor((None, None), "int32") for _ in range(3))


class JoinPairs(keras.layers.Layer):
    """Puts the vectors of the two texts of each pair side by side: the inverse of SplitPairs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, vectors: Any) -> Any:
        """Return (batch, 2 width) of (2 batch, width)."""
        first, second = ops.unstack(ops.reshape(vectors, (2, -1, vectors.shape[-1])), 2)
        return ops.concatenate([first, second], axis=-1)

    def compute_output_spec(self, vectors: Any) -> Any:
        """Return the symbolic result."""
        return keras.KerasTensor((None, 2 * vectors.shape[-1]), "float32")
