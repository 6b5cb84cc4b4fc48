"""One vector for each text of the vectors of its tokens, for heads; padding counts nowhere.

``sequence`` is (batch, length, width), ``mask`` (batch, length) with 1 for a token and 0 for
padding; the result is float32 (batch, width).
"""

from __future__ import annotations

from typing import Any

LOWEST = -1e9
"""What padding counts as where the largest value is taken."""


def mean_of_tokens(sequence: Any, mask: Any) -> Any:
    """Return the mean of the tokens' vectors."""
    from keras import ops

    weights = ops.expand_dims(ops.cast(mask, "float32"), 1)
    tokens = ops.maximum(ops.sum(weights, axis=-1), 1.0)
    return ops.squeeze(ops.matmul(weights, ops.cast(sequence, "float32")), 1) / tokens


def max_of_tokens(sequence: Any, mask: Any) -> Any:
    """Return the largest value of each component over the tokens."""
    from keras import ops

    is_token = ops.expand_dims(ops.cast(mask, "bool"), -1)
    return ops.max(ops.where(is_token, ops.cast(sequence, "float32"), LOWEST), axis=1)


def weighted_mean_of_tokens(sequence: Any, mask: Any, scores: Any) -> Any:
    """Return the mean of the tokens' vectors with the softmax of ``scores`` as weights.

    Args:
        sequence: of the encoder.
        mask: of its tokens.
        scores: (batch, length).
    """
    from keras import ops

    known = ops.where(ops.cast(mask, "bool"), ops.cast(scores, "float32"), LOWEST)
    weights = ops.expand_dims(ops.softmax(known, axis=-1), 1)
    return ops.squeeze(ops.matmul(weights, ops.cast(sequence, "float32")), 1)
