"""Words that the network never saw: cut off at ``max_length``, or without any token.

Their tags are part of a split all the same. A word that was not read is answered with "no entity",
so that a missed entity counts as missed. What needs the network's own outputs (the loss, and how
sure it was) is computed from the words that were read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xferlab.functional.bio_tags import NO_ENTITY

UNREAD = -1e30
"""Output of every class but "no entity" for a word that was not read; no network gives it."""


def outside_of(class_names: Sequence[str]) -> int | None:
    """Return the position of the tag for "no entity", if the classes have it."""
    return class_names.index(NO_ENTITY) if NO_ENTITY in class_names else None


def predict_unseen(outputs: Any, unread: Any, outside: int) -> None:
    """Write the answer "no entity" where words were not read.

    Args:
        outputs: float32 (rows, words, classes), changed in place.
        unread: bool (rows, words).
        outside: position of the tag for "no entity".
    """
    outputs[unread] = UNREAD
    outputs[unread, outside] = 0.0


def is_unseen(outputs: Any) -> Any:
    """Return which words have the answer of a word that was not read, bool (..., words)."""
    return (outputs == UNREAD).any(axis=-1)


def seen_only(labels: Any, outputs: Any) -> tuple[Any, Any]:
    """Return labels and outputs without the words that were not read.

    These have the label -1, and outputs that are equal, as probabilities of nothing would be.
    """
    import numpy as np

    outputs = np.asarray(outputs)
    if outputs.ndim < 3:
        return labels, outputs
    unread = is_unseen(outputs)
    if not unread.any():
        return labels, outputs
    return np.where(unread, -1, labels), np.where(
        unread[..., None], np.float32(1 / outputs.shape[-1]), outputs
    )
