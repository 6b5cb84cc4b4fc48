"""Parts of a split: samples, the held-back validation examples, folds; whole groups where needed.

Every part is a pure function of the examples and the seed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split
from xferlab.data.sampling import permutation, stratified_sample
from xferlab.data.streaming import pick
from xferlab.errors import ConfigError
from xferlab.formatting import format_count

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab.data.splits")

# The purpose of a sample: together with the seed it determines the rows.
VALIDATION = 1
LIMIT = 2
FOLDS = 3


def take(split: Split, rows: np.ndarray) -> Split:
    """Return some examples of a split."""
    pairs = None if split.pairs is None else pick(split.pairs, rows)
    tags = isinstance(split.labels, list)
    labels = [split.labels[i] for i in rows] if tags else split.labels[rows]
    own = (split.weights, split.soft_labels, split.groups)
    more = (None if values is None else values[rows] for values in own)
    return Split(pick(split.texts, rows), labels, pairs, *more)


def limited_rows(split: Split, most: int | float | None, seed: int, order: int) -> np.ndarray:
    """Return the rows of a stratified sample of at most ``most`` examples, below 1 a fraction."""
    import numpy as np

    rows = len(split) if most is None else max(1, round(most * len(split)) if most < 1 else most)
    if rows >= len(split):
        return np.arange(len(split))
    return stratified_sample(strata_of(split), int(rows), seed, LIMIT, order)


def limited(split: Split, most: int | float | None, seed: int, order: int) -> Split:
    """Return a stratified sample of at most ``most`` examples; below 1 a fraction of them."""
    rows = limited_rows(split, most, seed, order)
    return split if len(rows) == len(split) else take(split, rows)


def hold_back(train: Split, seed: int, fraction: float) -> tuple[Split, Split]:
    """Return the training and the validation split that are made of ``train``."""
    import numpy as np

    size = max(1, round(fraction * len(train)))
    if size >= len(train):
        raise ConfigError(
            f"train has {len(train)} rows, too few to hold some back for validation",
            where="data.validation",
            fix="name a validation split, or use more rows",
        )
    if train.groups is not None:
        if len(np.unique(train.groups)) == 1:
            raise ConfigError(
                "train has one group, and validation needs a whole group of its own",
                where="data.validation",
                fix="name a validation split, or use more groups",
            )
        chosen = grouped_sample(strata_of(train), train.groups, size, seed, VALIDATION)
    else:
        chosen = stratified_sample(strata_of(train), size, seed, VALIDATION, leave_one=True)
        if not len(chosen):  # every class has one example
            chosen = stratified_sample(np.zeros(len(train), int), size, seed, VALIDATION)
    log.info("no validation split: %d of %d training rows are held back", len(chosen), len(train))
    return take(train, np.setdiff1d(np.arange(len(train)), chosen)), take(train, chosen)


def strata_of(split: Split) -> np.ndarray:
    """Return the class of each example where examples have one class, else zeros."""
    import numpy as np

    has_class = not isinstance(split.labels, list) and split.labels.dtype == "int32"
    return split.labels if has_class else np.zeros(len(split), dtype="int32")


def grouped_sample(strata: np.ndarray, groups: np.ndarray, size: int, *entropy: int) -> np.ndarray:
    """Return the rows of whole groups, near ``size`` in all, with each stratum near its fraction.

    Groups are visited in random order, and one is taken where that brings the sample nearer: it
    lowers the sum over strata of the squared distance from the wanted number, relative to it. At
    least one group is taken and one is left.

    Args:
        strata: int (rows,), the stratum of each row.
        groups: int (rows,), the group of each.
        size: rows to sample.
        entropy: what the sample depends on.
    """
    import numpy as np

    counts, group_of = _counts_by_group(strata, groups)
    totals = counts.sum(axis=0)
    scale = 1 / np.maximum(totals, 1)
    missing = size * totals / len(strata)
    order = permutation(len(counts), *entropy)
    chosen: list[int] = []
    for group in order:
        after = missing - counts[group]
        if (scale * after**2).sum() < (scale * missing**2).sum() and len(chosen) < len(order) - 1:
            chosen.append(int(group))
            missing = after
    if not chosen:  # every group has more rows than are wanted
        chosen = [int(counts.sum(axis=1).argmin())]
    return np.flatnonzero(np.isin(group_of, chosen))


def fold_numbers(
    strata: np.ndarray, folds: int, *entropy: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return the fold of each row, int64 (rows,), with each stratum spread over all folds.

    Without groups each stratum's rows, and all rows, differ by at most 1 between folds, as those of
    scikit-learn's ``StratifiedKFold``. With groups a group is in one fold: as in
    ``StratifiedGroupKFold``, groups whose strata vary most come first, each into the fold where it
    leaves the strata's fractions most equal.

    Args:
        strata: int (rows,), the stratum of each row; zeros for none.
        folds: how many.
        entropy: what the folds depend on.
        groups: int (rows,), the group of each row.
    """
    import numpy as np

    if groups is not None:
        return _grouped_folds(strata, groups, folds, *entropy)
    shuffled = permutation(len(strata), *entropy)
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    numbers = np.empty(len(strata), "int64")
    numbers[order] = np.arange(len(strata)) % folds
    return numbers


def _grouped_folds(strata: np.ndarray, groups: np.ndarray, folds: int, *entropy: int) -> np.ndarray:
    import numpy as np

    counts, group_of = _counts_by_group(strata, groups)
    totals = np.maximum(counts.sum(axis=0), 1)
    shuffled = permutation(len(counts), *entropy)
    of_one_stratum = counts.shape[1] == 1  # then the largest groups first
    difficulty = counts[:, 0] if of_one_stratum else counts.std(axis=1)
    order = shuffled[np.argsort(-difficulty[shuffled], kind="stable")]
    held = np.zeros((folds, counts.shape[1]))
    fold_of_group = np.empty(len(counts), "int64")
    for group in order:
        # the fractions of all folds, with the group in each fold in turn: (folds, folds, strata)
        fractions = (held + np.eye(folds)[:, :, None] * counts[group]) / totals
        spread = fractions.std(axis=1).mean(axis=1).round(12)
        best = int(np.lexsort((held.sum(axis=1), spread))[0])
        held[best] += counts[group]
        fold_of_group[group] = best
    return fold_of_group[group_of]


def _counts_by_group(strata: np.ndarray, groups: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return the rows of each stratum in each group, and the position of each row's group."""
    import numpy as np

    names, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), int(strata.max()) + 1))
    np.add.at(counts, (group_of, strata), 1)
    return counts, group_of


def check_folds(folds: int | None, fold: int | None) -> None:
    """Raise ConfigError unless both or none are given and the fold is one of the folds."""
    if folds is None and fold is None:
        return
    if folds is None:
        what = f"data.fold={fold} is given, and the number of folds is not"
        raise ConfigError(what, where="data.fold", fix=f"data.folds=5 data.fold={fold}")
    if folds < 2:
        what = f"data.folds must be 2 or more, got {folds}"
        raise ConfigError(what, where="data.folds", fix="data.folds=5 data.fold=0")
    every = ",".join(map(str, range(folds)))
    if fold is None:
        what = f"data.folds={folds} is given, and the fold to test on is not"
        raise ConfigError(what, where="data.fold", fix=f"data.fold=0, or -m data.fold={every}")
    if not 0 <= fold < folds:
        what = f"data.fold must be from 0 to {folds - 1}, got {fold}"
        raise ConfigError(what, where="data.fold", fix=f"data.fold=0, or -m data.fold={every}")


def split_fold(
    train: Split, names: tuple[str, ...], folds: int, fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the other folds and those of one, ascending.

    Args:
        train: the examples of all folds.
        names: of the classes, for messages.
        folds: how many.
        fold: which, from 0.
        seed: the partition is the same for all folds of a seed.

    Raises:
        ConfigError: a class has fewer rows, or there are fewer groups, than folds.
    """
    import numpy as np

    strata = strata_of(train)
    is_stratified = bool(strata.any())
    unit = "group" if train.groups is not None else "row"
    count = len(train) if train.groups is None else len(np.unique(train.groups))
    if count < folds:
        raise _too_many_folds(f"train has {format_count(count, unit)}", folds, count)
    if is_stratified and train.groups is None:
        rows = np.bincount(strata, minlength=len(names))
        rarest = int(np.where(rows > 0, rows, len(train)).argmin())
        if rows[rarest] < folds:
            what = f"the class {names[rarest]!r} has {format_count(int(rows[rarest]), 'row')}"
            raise _too_many_folds(what, folds, int(rows[rarest]))
    numbers = fold_numbers(strata, folds, seed, FOLDS, folds, groups=train.groups)
    own = np.flatnonzero(numbers == fold)
    log.info(
        "fold %d of 0 to %d: %d of %d rows are the test split",
        fold,
        folds - 1,
        len(own),
        len(train),
    )
    return np.flatnonzero(numbers != fold), own


def _too_many_folds(what: str, folds: int, most: int) -> ConfigError:
    fix = f"data.folds={most}, or leave the class out" if most > 1 else "leave the class out"
    return ConfigError(
        f"{what}, fewer than data.folds={folds}: a fold would have none",
        where="data.folds",
        fix=fix if "class" in what else "fewer folds, or more rows",
    )
