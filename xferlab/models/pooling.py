"""One vector of a text's token vectors."""

from __future__ import annotations

from typing import Any


def pooled(sequence: Any, padding_mask: Any, pooling: str) -> Any:
    """Return (batch, width): the ``first`` token's vector, the ``last`` one's, or the ``mean``."""
    import keras

    from xferlab.models.layers import LastToken

    if pooling == "mean":
        mean = keras.layers.GlobalAveragePooling1D(name="head_mean")
        return mean(sequence, mask=padding_mask)
    if pooling == "last":
        return LastToken(name="head_last")(sequence, padding_mask)
    return sequence[:, 0, :]
