"""Tables of labels: classes with their counts, labels a row, quantiles of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.contracts import Split, TaskSpec
from xferlab.statistics.tables import Table, format_part

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_NAMED = 4
"""Classes of a line."""
MOST_LABELS = 5
"""Labels of a row that have a line of their own; more are counted together."""


def class_table(
    title: str, first: str, names: Sequence[str], counts: Mapping[str, Sequence[int]]
) -> Table:
    """Return the counts of each class, the most frequent of train first.

    Args:
        title: of the table.
        first: what the classes are called.
        names: of the classes.
        counts: of each class, by split.
    """
    order = sorted(range(len(names)), key=lambda i: (-counts["train"][i], i))
    totals = {split: sum(each) for split, each in counts.items()}
    rows = [
        [names[i], *(format_part(int(counts[split][i]), totals[split]) for split in counts)]
        for i in order
    ]
    return Table(title, (first, *counts), rows)


def label_table(splits: Mapping[str, Split], spec: TaskSpec) -> Table:
    """Return how many rows have each of several labels, the most frequent of train first."""
    counts = {n: spec.task.class_counts(s.labels, spec.num_classes) for n, s in splits.items()}
    order = sorted(range(spec.num_classes), key=lambda i: (-counts["train"][i], i))
    rows = [
        [spec.class_names[i], *(format_part(counts[n][i], len(s)) for n, s in splits.items())]
        for i in order
    ]
    return Table("labels", ("label", *splits), rows)


def entity_table(splits: Mapping[str, Split], spec: TaskSpec) -> Table:
    """Return the entities of each type, and the rows without any."""
    from collections import Counter

    from xferlab.functional.bio_tags import spans

    counts = {}
    for name, split in splits.items():
        found: Counter[str] = Counter()
        for tags in split.labels:
            kinds = [kind for _, _, kind in spans(spec.class_names[t] for t in tags if t >= 0)]
            found.update(kinds or [""])
        counts[name] = found
    kinds = sorted({*counts["train"], *(k for each in counts.values() for k in each)} - {""})
    kinds.sort(key=lambda kind: -counts["train"][kind])
    totals = {name: sum(found[kind] for kind in kinds) for name, found in counts.items()}
    rows = [[k, *(format_part(c[k], totals[name]) for name, c in counts.items())] for k in kinds]
    without = [format_part(found[""], len(splits[name])) for name, found in counts.items()]
    rows.append(["rows without", *without])
    return Table("entities by type", ("type", *splits), rows)


def describe_classes(names: Sequence[str], counts: Sequence[int], whole: int) -> str:
    """Return the most frequent classes with their counts, and how few the rarest has.

    >>> describe_classes(("a", "b", "c", "d", "e", "f"), (5, 40, 30, 10, 10, 5), 100)
    'b 40 (40.0%), c 30 (30.0%), d 10 (10.0%), e 10 (10.0%) and 2 more, the rarest f 5 (5.0%)'
    """
    order = sorted(range(len(names)), key=lambda i: (-counts[i], i))
    named = [f"{names[i]} {format_part(counts[i], whole)}" for i in order]
    if len(named) <= MOST_NAMED:
        return ", ".join(named)
    rest = len(named) - MOST_NAMED
    return f"{', '.join(named[:MOST_NAMED])} and {rest} more, the rarest {named[-1]}"


def labels_a_row(splits: Mapping[str, Split]) -> Table:
    """Return how many rows have how many of several labels."""
    import numpy as np

    numbers = {name: np.asarray(split.labels).sum(axis=1) for name, split in splits.items()}
    most = int(max(each.max(initial=0) for each in numbers.values()))
    rows = []
    for count in range(min(MOST_LABELS, most) + 1):
        is_last = count == MOST_LABELS
        found = [(n >= count) if is_last else (n == count) for n in numbers.values()]
        cells = [format_part(int(each.sum()), len(each)) for each in found]
        rows.append([f"{count} or more" if is_last else str(count), *cells])
    rows.append(["mean", *(f"{each.mean():.2f}" for each in numbers.values())])
    return Table("labels a row", ("labels", *splits), rows)


def quantile_table(splits: Mapping[str, Split]) -> Table:
    """Return quantiles, mean and spread of numbers."""
    import numpy as np

    numbers = {name: np.asarray(each.labels, "float64") for name, each in splits.items()}
    columns = {
        "least": lambda v: v.min(),
        **{f"{q:.0%}" if q != 0.5 else "median": _quantile(q) for q in QUANTILES},
        "largest": lambda v: v.max(),
        "mean": lambda v: v.mean(),
        "sd": lambda v: v.std(),
        "distinct": lambda v: len(np.unique(v)),
    }
    rows = [
        [name, *(f"{function(values):.4g}" for function in columns.values())]
        for name, values in numbers.items()
    ]
    return Table("labels", ("split", *columns), rows)


def _quantile(q: float) -> Any:
    import numpy as np

    return lambda values: np.quantile(values, q)
