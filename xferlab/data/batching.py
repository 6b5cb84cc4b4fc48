"""The order of batches, a pure function of (seed, epoch), and the arrays of one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from xferlab.contracts import Encoding
from xferlab.data.sampling import balanced_order, permutation

if TYPE_CHECKING:
    import numpy as np

WINDOW = 50
"""Most batches whose examples are sorted by length together."""
NOISE = 0.05
"""Fraction by which a length is changed at random before it is sorted, as in AllenNLP's buckets."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The examples of one step, and their padded length.

    Attributes:
        rows: indices of the examples in the split, int64 (batch,).
        length: padded length, in tokens.
    """

    rows: np.ndarray
    length: int


class Ragged(Sequence):
    """Rows of different lengths in one flat array; a row is a view, not a copy.

    Args:
        flat: every row's values, one after another; may be memory-mapped.
        lengths: length of each row, (rows,).
    """

    def __init__(self, flat: np.ndarray, lengths: Sequence[int] | np.ndarray) -> None:
        import numpy as np

        self.flat = flat
        self.lengths = np.asarray(lengths)
        self.starts = np.cumsum(self.lengths, dtype="int64") - self.lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        start = int(self.starts[row])
        return self.flat[start : start + int(self.lengths[row])]


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """Batches of examples of similar length, in an order that depends on (seed, epoch) alone.

    An epoch permutes the examples, sorts each window of at most :data:`WINDOW` batches by length,
    splits it into batches and shuffles those. Examples share a batch with others in the next epoch
    because windows are of random examples or, where one window is the whole epoch, because lengths
    are sorted with :data:`NOISE`. Two batches have fixed positions: a longest one is first, so that
    a run that does not fit into memory fails at once, and an incomplete one is last.

    Attributes:
        lengths: tokens of each example, (examples,).
        batch_size: examples of a batch.
        seed: seeds the order.
        strata: the class of each example, where an epoch has equally many of each; None where it
            has every example once.
    """

    lengths: np.ndarray
    batch_size: int
    seed: int
    strata: np.ndarray | None = None

    unit: ClassVar[str] = "example"
    """What ``batch_size`` counts."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in every epoch."""
        return -(-len(self.lengths) // self.batch_size)

    def epoch(self, epoch: int) -> list[Batch]:
        """Return the batches of an epoch, in order; together they have every example once.

        With ``strata`` they have as many examples, equally many of each class.
        """
        import numpy as np

        size = self.batch_size
        lengths = np.asarray(self.lengths)
        full = len(lengths) // size
        order = self._order(epoch)
        rest = order[full * size :]
        order = order[: full * size]
        order = order[np.lexsort(self._sort_keys(lengths[order], full, epoch))]
        batches = order.reshape(full, size)[permutation(full, self.seed, epoch, 1)]
        tops = lengths[batches].max(axis=1, initial=0)
        if full:
            first = int(tops.argmax())
            batches = np.concatenate([batches[first : first + 1], np.delete(batches, first, 0)])
        parts = [*batches, rest] if len(rest) else list(batches)
        return [Batch(p, padded_length(lengths[p])) for p in parts]

    def _order(self, epoch: int) -> np.ndarray:
        """Return an epoch's examples in random order."""
        if self.strata is None:
            return permutation(len(self.lengths), self.seed, epoch, 0)
        return balanced_order(self.strata, self.seed, epoch, 3)

    def _sort_keys(self, lengths: np.ndarray, batches: int, epoch: int) -> tuple[Any, Any]:
        """Return what an epoch's permuted examples are sorted by: noisy lengths in each window."""
        import numpy as np

        windows = max(1, -(-batches // WINDOW))
        window = np.arange(batches) * windows // max(1, batches)  # of nearly equal sizes
        if windows == 1:
            chance = permutation(len(lengths), self.seed, epoch, 2) / max(1, len(lengths))
            lengths = lengths * (1 + NOISE * (2 * chance - 1))
        return lengths, np.repeat(window, self.batch_size)

    def steps(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batches of the run's steps ``start`` to ``stop - 1``, across epochs."""
        while start < stop:
            epoch, first = divmod(start, self.steps_per_epoch)
            for batch in self.epoch(epoch)[first : first + stop - start]:
                yield batch
                start += 1


def padded_length(lengths: np.ndarray) -> int:
    """Return the length that a batch of examples is padded to: the longest, and at least 1.

    It is not rounded up: graphs take any length, and a step of 21 tokens is cheaper than one of 24
    (``benchmarks/README.md``).
    """
    return int(lengths.max(initial=1))


def evaluation_batches(encoding: Encoding, batch_size: int) -> list[Batch]:
    """Return batches of all examples, the longest first, with little padding."""
    import numpy as np

    lengths = row_lengths(encoding)
    order = np.argsort(-lengths, kind="stable")
    parts = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [Batch(p, padded_length(lengths[p])) for p in parts]


def row_lengths(encoding: Encoding) -> np.ndarray:
    """Return the number of tokens of each example, int64 (examples,)."""
    import numpy as np

    if isinstance(encoding.token_ids, Ragged):
        return encoding.token_ids.lengths.astype("int64")
    return np.fromiter(map(len, encoding.token_ids), dtype="int64", count=len(encoding.token_ids))


def batch_arrays(
    encoding: Encoding, labels: Any, batch: Batch, pad_id: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the inputs of the network and the labels of a batch.

    Args:
        encoding: token ids of the whole split.
        labels: labels of the whole split, as in :class:`~xferlab.contracts.Split`.
        batch: which examples, and their padded length.
        pad_id: token id of padding.

    Returns:
        ``token_ids``, ``segment_ids`` and ``padding_mask`` (1 for a token, 0 for padding), each
        int32 (batch, length), and the labels. Tags become int32 (batch, length): the first token
        of a word has its tag, all others -1.
    """
    import numpy as np

    inputs = batch_inputs(encoding, batch, pad_id)
    if encoding.word_ids is None:
        return inputs, np.asarray(labels)[batch.rows]
    words, _ = pad_rows(encoding.word_ids, batch, -1)
    begins = begins_word(words)
    tags = np.full(words.shape, -1, dtype="int32")
    for i, row in enumerate(batch.rows):
        tags[i, begins[i]] = labels[row][words[i, begins[i]]]
    return inputs, tags


def batch_inputs(encoding: Encoding, batch: Batch, pad_id: int) -> dict[str, np.ndarray]:
    """Return the inputs of the network, as :func:`batch_arrays` does."""
    token_ids, mask = pad_rows(encoding.token_ids, batch, pad_id)
    segment_ids, _ = pad_rows(encoding.segment_ids, batch, 0)
    return {
        "token_ids": token_ids,
        "segment_ids": segment_ids,
        "padding_mask": mask.astype("int32"),
    }


def begins_word(words: np.ndarray) -> np.ndarray:
    """Return which tokens are the first of a word: bool, shaped like ``words``.

    Args:
        words: the word of each token, -1 for none, int32 (..., length).
    """
    import numpy as np

    before = np.roll(words, 1, axis=-1)
    before[..., :1] = -1
    return (words >= 0) & (words != before)


def pad_rows(
    column: Sequence[np.ndarray], batch: Batch, value: int, dtype: str = "int32"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a batch, padded with ``value``, and the mask of what is not padding.

    Args:
        column: the values of each example, (length, ...).
        batch: which examples, and their padded length.
        value: of padding.
        dtype: of the values.

    Returns:
        (batch, length, ...) of ``dtype``, and bool (batch, length).
    """
    import numpy as np

    rows = batch.rows
    if not isinstance(column, Ragged):
        parts = [column[row] for row in rows]
        column = Ragged(np.concatenate(parts), list(map(len, parts)))
        rows = np.arange(len(parts))
    places = np.arange(batch.length)
    mask = places < column.lengths[rows, None]
    out = np.full((*mask.shape, *column.flat.shape[1:]), value, dtype)
    out[mask] = column.flat[(column.starts[rows, None] + places)[mask]]
    return out, mask


@dataclass(frozen=True)
class Padding:
    """Fractions of the network's input tokens that are padding.

    Attributes:
        planned: in the plan's first epoch.
        random: in random batches, each padded to its longest example.
        longest: with every example padded to the longest of the split.
    """

    planned: float
    random: float
    longest: float

    def __str__(self) -> str:
        return (
            f"{self.planned:.0%} of training tokens"
            f" (random batches {self.random:.0%}, all of one length {self.longest:.0%})"
        )


def measure_padding(plan: BatchPlan) -> Padding:
    """Return the padding of a plan, and that of batches without one."""
    import numpy as np

    lengths = np.asarray(plan.lengths)
    order = permutation(len(lengths), plan.seed)
    size = plan.batch_size
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    at_random = sum(len(p) * int(lengths[p].max()) for p in parts)
    epoch = plan.epoch(0)
    tokens = int(lengths.sum())
    sampled = sum(int(lengths[b.rows].sum()) for b in epoch)
    pairs = (
        (sampled, sum(len(b.rows) * b.length for b in epoch)),
        (tokens, at_random),
        (tokens, len(lengths) * int(lengths.max(initial=0))),
    )
    return Padding(*(1 - part / cells if cells else 0.0 for part, cells in pairs))
