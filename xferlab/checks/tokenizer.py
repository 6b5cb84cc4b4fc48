"""The fraction of the training tokens that are unknown to the tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xferlab.data.batching import Ragged
from xferlab.training.assemble import Experiment

MAX_UNKNOWN = 0.5
"""Fraction of unknown tokens above which there is a note."""


def token_notes(experiment: Experiment) -> Iterator[str]:
    """Yield a line if most tokens are unknown to the tokenizer."""
    import numpy as np

    tokenizer: Any = experiment.model.tokenizer
    unknown = getattr(tokenizer, "unknown_id", None)
    if unknown is None:
        return
    ids = experiment.encodings["train"].token_ids
    every = ids.flat if isinstance(ids, Ragged) else np.concatenate(list(ids))
    special = [i for i in getattr(tokenizer, "special_ids", ()) if i != unknown]
    text = every[~np.isin(every, special)]
    fraction = float((text == unknown).mean()) if len(text) else 0.0
    if fraction > MAX_UNKNOWN:
        yield (
            f"{fraction:.0%} of the training tokens are unknown to the model's tokenizer: it was"
            " made for other texts (another language or script?);"
            " model.checkpoint=... chooses another"
        )
