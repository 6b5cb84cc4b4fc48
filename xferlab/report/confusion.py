"""The confusion matrix of a setting, from its runs' stored outputs or from an evaluation."""

from __future__ import annotations

import csv
import io
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from xferlab.evaluation.confusion import Confusion
from xferlab.io.records import read_text
from xferlab.report.read_runs import JobResult
from xferlab.report.stored_outputs import read_outputs

MOST_CLASSES = 30
"""Classes of a table; of more only those with the most errors are shown."""


@dataclass(frozen=True)
class ConfusionTable:
    """A confusion matrix as a report shows it.

    Attributes:
        names: the classes that are shown.
        counts: int64 (true class, predicted class).
        source: what was counted.
        left_out: classes that are not shown.
    """

    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    source: str
    left_out: int = 0


def confusion_of(jobs: Sequence[JobResult]) -> ConfusionTable | None:
    """Return the confusion of all jobs together, seeds of one setting, where there is one."""
    for split in ("test", "validation"):
        matrices = [matrix for job in jobs if (matrix := _of_outputs(job, split))]
        if matrices and len(matrices) == len(jobs):
            runs = f", {len(jobs)} runs together" if len(jobs) > 1 else ""
            counts = reduce(operator.add, (matrix.counts for matrix in matrices))
            source = f"{split} {matrices[0].unit}{runs}"
            return _table(Confusion(matrices[0].names, counts, matrices[0].unit), source)
    return next((table for job in jobs if (table := _of_evaluation(job))), None)


def _of_outputs(job: JobResult, split: str) -> Confusion | None:
    try:
        outputs = read_outputs(job, split)
        confusion = outputs.spec.task.confusion(outputs)
    except (ValueError, IndexError, OSError):
        return None
    return confusion if isinstance(confusion, Confusion) else None


def _of_evaluation(job: JobResult) -> ConfusionTable | None:
    """Return the newest ``evaluations/*/confusion.csv`` of a run."""
    for path in sorted(job.folder.glob("evaluations/*/confusion.csv"), reverse=True):
        if any(each.is_symlink() for each in (path.parent, path.parent.parent)):
            continue
        try:
            rows = list(csv.DictReader(io.StringIO(read_text(path), newline="")))
            cells = {(row["true"], row["predicted"]): int(row["count"]) for row in rows}
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            continue
        if cells:
            import numpy as np

            names = tuple(dict.fromkeys(name for pair in sorted(cells) for name in pair))
            counts = np.array([[cells.get((a, b), 0) for b in names] for a in names])
            source = f"evaluation {path.parent.name} of {job.folder.name}"
            return _table(Confusion(names, counts, ""), source)
    return None


def _table(confusion: Confusion, source: str) -> ConfusionTable:
    """Return the classes with the most errors, in label order."""
    import numpy as np

    shown = np.sort(np.argsort(-confusion.errors, kind="stable")[:MOST_CLASSES])
    names = [confusion.names[i] for i in shown]
    counts = confusion.counts[np.ix_(shown, shown)].tolist()
    return ConfusionTable(names, counts, source, len(confusion.names) - len(shown))
