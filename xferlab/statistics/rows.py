"""Empty, repeated and contradictory rows of each split, and rows that splits share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xferlab.contracts import Split
from xferlab.data.overlaps import joined, label_digests, text_digests

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Shared:
    """Rows of a split whose text is in another split.

    Attributes:
        rows: how many.
        other_label: those that never have the same label there.
    """

    rows: int
    other_label: int


@dataclass(frozen=True)
class RowCounts:
    """Counts of one split; texts are compared with blanks collapsed.

    Attributes:
        rows: all.
        empty: those without any character but blanks, in the text or the second one.
        repeated: those that are an earlier row of the split again, label included.
        contradictory: those whose text also has another label in the split.
        shared: those whose text is in an earlier split, by its name.
    """

    rows: int
    empty: int
    repeated: int
    contradictory: int
    shared: Mapping[str, Shared]


def count_rows(splits: Mapping[str, Split]) -> dict[str, RowCounts]:
    """Return the counts of every split, in order."""
    counts = {}
    seen: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, split in splits.items():
        texts = text_digests(split)
        pairs = _mixed(texts, label_digests(split.labels))
        shared = {other: _count_shared(texts, pairs, *seen[other]) for other in seen}
        repeated, contradictory = _count_repeats(texts, pairs)
        counts[name] = RowCounts(len(split), _count_empty(split), repeated, contradictory, shared)
        seen[name] = (texts, pairs)
    return counts


def _count_empty(split: Split) -> int:
    columns = [split.texts] if split.pairs is None else [split.texts, split.pairs]
    return sum(not all(map(joined, row)) for row in zip(*columns, strict=True))


def _count_repeats(texts: np.ndarray, pairs: np.ndarray) -> tuple[int, int]:
    """Return how many rows are an earlier one again, and how many have two labels."""
    import numpy as np

    distinct, first = np.unique(pairs, return_index=True)
    names, labels = np.unique(texts[first], return_counts=True)
    contradictory = np.isin(texts, names[labels > 1])
    return len(texts) - len(distinct), int(contradictory.sum())


def _count_shared(
    texts: np.ndarray, pairs: np.ndarray, other_texts: np.ndarray, other_pairs: np.ndarray
) -> Shared:
    import numpy as np

    is_shared = np.isin(texts, other_texts)
    other_label = is_shared & ~np.isin(pairs, other_pairs)
    return Shared(int(is_shared.sum()), int(other_label.sum()))


def _mixed(texts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return one number for each text with its label, uint64."""
    import numpy as np

    return (texts * np.uint64(0x9E3779B97F4A7C15)) ^ labels
