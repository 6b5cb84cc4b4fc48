"""Random orders and samples that are the same on every machine and with every NumPy."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from xferlab.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from xferlab.contracts import TextData


def permutation(count: int, *entropy: int) -> np.ndarray:
    """Return 0 .. count-1 in an order that depends on ``entropy`` alone.

    Raw 64-bit words are sorted, because NumPy guarantees the stream of a bit generator, but not
    that of ``Generator.permutation``.

    Args:
        count: how many.
        entropy: whole numbers from 0 up, e.g. a seed and an epoch.

    Returns:
        int64 (count,).
    """
    import numpy as np

    digest = hashlib.sha256(str([int(e) for e in entropy]).encode()).digest()
    words = np.random.PCG64(int.from_bytes(digest, "little")).random_raw(count)
    return np.argsort(words, kind="stable")


def balanced_order(strata: np.ndarray, *entropy: int) -> np.ndarray:
    """Return as many rows as there are, in random order, with equally many of each stratum.

    A stratum's rows are taken in random order; one with fewer rows than its part repeats them, each
    as often as the others up to one, and one with more leaves some out. Where the number of rows
    does not divide evenly, random strata have one more.

    Args:
        strata: int (rows,), the stratum of each row.
        entropy: what the order depends on.
    """
    import numpy as np

    names, place = np.unique(strata, return_inverse=True)
    count = len(strata)
    part, more = divmod(count, len(names))
    sizes = np.full(len(names), part)
    sizes[permutation(len(names), *entropy, 0)[:more]] += 1
    shuffled = permutation(count, *entropy, 1)
    taken = []
    for stratum, size in enumerate(sizes):
        own = shuffled[place[shuffled] == stratum]
        taken.append(np.resize(own, size))  # repeats the rows as often as need be
    rows = np.concatenate(taken)
    return rows[permutation(count, *entropy, 2)]


def refuse_sampling(data: TextData) -> None:
    """Raise ConfigError unless the examples of ``train.sampling=balanced`` have one class each."""
    task = data.spec.task
    if task.is_exclusive and not task.is_per_word:
        return
    raise ConfigError(
        f"examples are balanced by their class, and those of {task.name} have no single one",
        where="train.sampling",
        fix="train.sampling=null",
    )


def stratified_sample(
    strata: np.ndarray, size: int, *entropy: int, leave_one: bool = False
) -> np.ndarray:
    """Return a sample of ``size`` rows in which each stratum keeps its fraction.

    Args:
        strata: (rows,) integer from 0 up, the stratum of each row; all zeros for a plain sample.
        size: rows to sample; where it does not divide evenly, the largest remainders get one more.
        entropy: what the sample depends on.
        leave_one: never take the last row of a stratum (the sample may then be a little smaller).

    Returns:
        Ascending row numbers, int64.
    """
    import numpy as np

    counts = np.bincount(strata)
    most = np.maximum(counts - 1, 0) if leave_one else counts
    quota, remainder = np.divmod(size * counts.astype("int64"), len(strata))
    take = np.clip(quota, 0, most)
    for stratum in np.argsort(-remainder, kind="stable"):
        if take.sum() < size and take[stratum] < most[stratum]:
            take[stratum] += 1
    shuffled = permutation(len(strata), *entropy)
    grouped = shuffled[np.argsort(strata[shuffled], kind="stable")]
    place = np.arange(len(strata)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(grouped[place < np.repeat(take, counts)])
