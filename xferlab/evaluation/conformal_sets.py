"""How often predicted sets and intervals hold the truth, and how large they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xferlab.evaluation.split_outputs import SplitOutputs


def set_scores(outputs: SplitOutputs) -> dict[str, float]:
    """Return coverage and size of the sets or intervals of a split; nothing without them."""
    import numpy as np

    found = {}
    if outputs.included is not None:
        rows = np.arange(len(outputs))
        found["set coverage"] = float(outputs.included[rows, outputs.labels].mean())
        found["mean set size"] = float(outputs.included.sum(axis=1).mean())
    if outputs.interval is not None:
        low, high = outputs.interval.T
        is_inside = (low <= outputs.labels) & (outputs.labels <= high)
        found["interval coverage"] = float(is_inside.mean())
        found["mean interval width"] = float((high - low).mean())
    return found


def names_in(included: Any, names: Sequence[str]) -> list[list[str]]:
    """Return the names of the classes in each set.

    Args:
        included: bool (examples, classes).
        names: of the classes.
    """
    return [[names[i] for i in row.nonzero()[0]] for row in included]


def with_sets(rows: Iterator[tuple[Any, ...]], outputs: SplitOutputs) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table of predictions, header first, with sets and intervals."""
    columns: list[list[Any]] = []
    if outputs.included is not None:
        sets = names_in(outputs.included, outputs.spec.class_names)
        columns.append(["set", *("|".join(names) for names in sets)])
    if outputs.interval is not None:
        ends = zip(("low", "high"), outputs.interval.T, strict=True)
        columns += [[name, *values.tolist()] for name, values in ends]
    if not columns:
        yield from rows
        return
    for row, more in zip(rows, zip(*columns, strict=True), strict=True):
        yield *row, *more
