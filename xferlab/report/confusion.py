"""Which class was taken for which, from what a run left: its kept outputs, or an evaluation."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xferlab.io.records import read_text
from xferlab.report.read_runs import JobResult
from xferlab.runs.predictions import read_predictions

MOST_CLASSES = 30
"""Classes of a table; of more only those with the most mistakes are shown."""
HEADER = ["true", "predicted", "count"]


@dataclass(frozen=True)
class Confusion:
    """How often each class was predicted for each.

    Attributes:
        names: the classes that are shown.
        counts: rows of counts, right class by predicted class.
        source: what was counted.
        left_out: classes that are not shown.
    """

    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    source: str
    left_out: int = 0


def confusion_of(jobs: Sequence[JobResult]) -> Confusion | None:
    """Return the confusion of the jobs together, seeds of one setting, where they tell it."""
    for split in ("test", "validation"):
        pairs: Counter[tuple[str, str]] = Counter()
        names: list[str] = []
        for job in jobs:
            found = _of_outputs(job, split)
            if found is None:
                pairs.clear()
                break
            names, format_count = found
            pairs += format_count
        if pairs:
            runs = f", {len(jobs)} runs together" if len(jobs) > 1 else ""
            return _table(names, pairs, f"{split} rows{runs}")
    return next((read for job in jobs if (read := _of_evaluation(job))), None)


def _of_outputs(job: JobResult, split: str) -> tuple[list[str], Counter[tuple[str, str]]] | None:
    if job.task is None or job.task["task"] not in ("single_label", "token_classification"):
        return None
    names = list(job.task["class_names"])
    try:
        found = read_predictions(job.folder, split)
    except (ValueError, OSError):
        return None
    if found is None or found.labels.ndim != 1 or found.outputs.shape[1] != len(names):
        return None
    right, taken = found.labels.astype(int), found.outputs.argmax(axis=1)
    if right.min() < 0 or right.max() >= len(names):
        return None
    cells = Counter(zip(right.tolist(), taken.tolist(), strict=True))
    return names, Counter({(names[i], names[j]): count for (i, j), count in cells.items()})


def _of_evaluation(job: JobResult) -> Confusion | None:
    """Return the newest ``evaluations/*/confusion.csv`` of a run."""
    for path in sorted(job.folder.glob("evaluations/*/confusion.csv"), reverse=True):
        if any(each.is_symlink() for each in (path.parent, path.parent.parent)):
            continue
        try:
            rows = list(csv.DictReader(io.StringIO(read_text(path), newline="")))
            pairs = Counter({(row["true"], row["predicted"]): int(row["count"]) for row in rows})
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            continue
        if pairs:
            names = list(dict.fromkeys(name for pair in sorted(pairs) for name in pair))
            return _table(names, pairs, f"evaluation {path.parent.name} of {job.folder.name}")
    return None


def _table(names: Sequence[str], pairs: Counter[tuple[str, str]], source: str) -> Confusion:
    wrong: Counter[str] = Counter()
    for (right, taken), count in pairs.items():
        if right != taken:
            wrong[right] += count
            wrong[taken] += count
    shown = set(sorted(names, key=lambda name: -wrong[name])[:MOST_CLASSES])
    kept = [name for name in names if name in shown]
    counts = [[pairs[right, taken] for taken in kept] for right in kept]
    return Confusion(kept, counts, source, len(names) - len(kept))
