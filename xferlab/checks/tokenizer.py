"""How much of the texts a tokenizer knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xferlab.data.batching import Ragged
from xferlab.training.assemble import Experiment

MOST = 0.5
"""Share of unknown tokens from which on a line is worth it."""


def token_notes(experiment: Experiment) -> Iterator[str]:
    """Yield a line if most tokens of the training rows are unknown to the tokenizer."""
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
    if fraction > MOST:
        yield (
            f"{fraction:.0%} of the training tokens are unknown to the model's tokenizer: it was"
            " made for other texts (another language or script?);"
            " model.checkpoint=... chooses another"
        )
