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


def pooling_of(network: Any) -> str:
    """Return which tokens a network's head reads, by its layers."""
    names = {layer.name for layer in network.layers}
    found = [name for name in ("mean", "last", "late") if f"head_{name}" in names]
    return found[0] if found else "first"
