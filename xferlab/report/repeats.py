"""The keys in which the runs of one setting differ: seed and fold."""

from __future__ import annotations

SEED = "seed"
FOLD = "data.fold"
FOLDS = "data.folds"
REPEATS = {SEED: "seeds", FOLD: "folds"}
"""By key, what its values are called."""
