"""Random orders and samples that are the same on every machine and with every NumPy."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


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
