"""Words that the network does not see: beyond ``max_length``, or without any token.

Their tags are part of a split all the same. A word without a token is predicted as "no entity", so
that a missed entity counts as missed. What needs the network's own outputs (the loss, confidence)
is computed from the words with a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xferlab.functional.bio_tags import NO_ENTITY

UNSEEN = -1e30
"""Output of every class but "no entity" for a word without a token; no network gives it."""


def outside_of(class_names: Sequence[str]) -> int | None:
    """Return the position of the tag for "no entity", if the classes have it."""
    return class_names.index(NO_ENTITY) if NO_ENTITY in class_names else None


def predict_unseen(outputs: Any, unseen: Any, outside: int) -> None:
    """Write the prediction "no entity" for words without a token.

    Args:
        outputs: float32 (examples, words, classes), changed in place.
        unseen: bool (examples, words).
        outside: position of the tag for "no entity".
    """
    outputs[unseen] = UNSEEN
    outputs[unseen, outside] = 0.0


def is_unseen(outputs: Any) -> Any:
    """Return which words have no token, bool (..., words)."""
    return (outputs == UNSEEN).any(axis=-1)


def seen_only(labels: Any, outputs: Any) -> tuple[Any, Any]:
    """Return labels and outputs without the words that have no token.

    These have the label -1, and outputs that are equal, as probabilities of nothing would be.
    """
    import numpy as np

    outputs = np.asarray(outputs)
    if outputs.ndim < 3:
        return labels, outputs
    unseen = is_unseen(outputs)
    if not unseen.any():
        return labels, outputs
    return np.where(unseen, -1, labels), np.where(
        unseen[..., None], np.float32(1 / outputs.shape[-1]), outputs
    )
