"""The predictions of all folds of a setting put together, and the labels that they contradict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xferlab.contracts import OutputKind
from xferlab.errors import printable
from xferlab.evaluation.confident_learning import LabelErrors, find_label_errors
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.formatting import format_count
from xferlab.functional.probabilities import to_probabilities
from xferlab.report.read_runs import JobResult
from xferlab.report.repeats import FOLD, FOLDS, SEED
from xferlab.report.settings import Report
from xferlab.report.stored_outputs import read_outputs
from xferlab.runs.fold_examples import read_fold_examples
from xferlab.sweeps.job_state import FINISHED

if TYPE_CHECKING:
    import numpy as np

PREDICTIONS = "out_of_fold.csv"
MISLABELLED = "mislabelled.csv"


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of every example by the runs that were not trained on it.

    Attributes:
        outputs: labels, texts and, as outputs, probabilities (values of a regression), the means
            over the seeds.
        rows: the number of each example among the training examples, from 1.
        folds: how many.
        seeds: how many.
        errors: labels that are probably wrong; None for a task without one class a text.
    """

    outputs: SplitOutputs
    rows: np.ndarray
    folds: int
    seeds: int
    errors: LabelErrors | None

    def describe(self) -> str:
        """Return what the predictions are of, in one line."""
        count = format_count(len(self.outputs), "example")
        seeds = format_count(self.seeds, "seed")
        return f"out-of-fold predictions of {count}, {self.folds} folds, {seeds}: {PREDICTIONS}"

    def describe_errors(self) -> str:
        """Return how many labels are probably wrong, in one line; "" without classes."""
        if self.errors is None:
            return ""
        found = format_count(len(self.errors.rows), "label")
        verb = "is" if len(self.errors.rows) == 1 else "are"
        estimated = f"an estimated {self.errors.estimated:.0f} of {len(self.outputs):,} are"
        return f"{found} {verb} probably wrong ({estimated}): {MISLABELLED}"

    def prediction_rows(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of the table of predictions, its header first."""
        own = self.outputs.spec.task.prediction_rows(self.outputs)
        _, *header = next(own)
        pair = () if self.outputs.pairs is None else ("pair",)
        yield "row", *header, "text", *pair
        for i, (_, *cells) in enumerate(own):
            _, *texts = self.outputs.text_cells(i)
            yield int(self.rows[i]), *cells, *texts

    def error_rows(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of the table of probably wrong labels, its header first."""
        pair = () if self.outputs.pairs is None else ("pair",)
        yield "row", "label", "suggested", "p_label", "p_suggested", "text", *pair
        if self.errors is None:
            return
        names = self.outputs.spec.class_names
        for i, suggested in zip(self.errors.rows, self.errors.suggested, strict=True):
            label = self.outputs.labels[i]
            probabilities = self.outputs.probabilities[i]
            chances = (round(float(probabilities[each]), 4) for each in (label, suggested))
            _, *texts = self.outputs.text_cells(i)
            yield int(self.rows[i]), names[label], names[suggested], *chances, *texts


def out_of_fold(report: Report) -> tuple[OutOfFold | None, str]:
    """Return the predictions of the best setting's folds, or why there are none.

    A seed counts once all of its folds have finished. The reason is "" for jobs without folds.
    """
    jobs = report.best.jobs if report.best else []
    done = [job for job in jobs if job.state.status == FINISHED and job.setting(FOLD) is not None]
    if not done:
        return None, ""
    by_seed: dict[Any, list[JobResult]] = {}
    for job in done:
        by_seed.setdefault(job.setting(SEED), []).append(job)
    folds = int(done[0].setting(FOLDS))
    whole = [own for own in by_seed.values() if {j.setting(FOLD) for j in own} == {*range(folds)}]
    if not whole:
        missing = folds - max(map(len, by_seed.values()))
        return None, f"of {folds} folds, {missing} have not finished yet"
    try:
        return _together(whole, folds), ""
    except ValueError as e:
        return None, str(e)


def fold_lines(found: OutOfFold | None, reason: str) -> list[str]:
    """Return the lines for a terminal on what :func:`out_of_fold` gave; none without folds."""
    if found is None:
        return [printable(f"folds      {reason}")] if reason else []
    lines = [f"folds      {found.describe()}"]
    if found.errors is not None:
        lines.append(f"labels     {found.describe_errors()}")
    return lines


def _together(seeds: Sequence[Sequence[JobResult]], folds: int) -> OutOfFold:
    """Return the mean over seeds of the predictions of all examples.

    Raises:
        ValueError: a run has not kept them, or they are not one for each example.
    """
    import numpy as np

    texts: dict[int, tuple[Any, str | None]] = {}
    labels: dict[int, Any] = {}
    found: dict[int, list[np.ndarray]] = {}
    spec = None
    for jobs in seeds:
        seen: set[int] = set()
        for job in jobs:
            outputs, rows, own_texts = _of_run(job)
            spec = outputs.spec
            if seen & set(rows):
                raise ValueError("an example is in two folds of one seed")
            seen |= set(rows)
            for i, row in enumerate(rows):
                texts[row] = own_texts[i]
                labels[row] = outputs.labels[i]
                found.setdefault(row, []).append(outputs.probabilities[i])
    assert spec is not None
    order = sorted(found)
    means = np.stack([np.mean(found[row], axis=0) for row in order])
    kind = spec.output_kind if spec.output_kind is OutputKind.values else OutputKind.probabilities
    spec = replace(spec, output_kind=kind)
    given = np.stack([labels[row] for row in order])
    pairs = [str(texts[row][1]) for row in order] if texts[order[0]][1] is not None else None
    outputs = SplitOutputs(spec, [texts[row][0] for row in order], pairs, given, means, means)
    has_one_class = spec.task.is_exclusive and spec.task.has_classes
    errors = find_label_errors(given, means) if has_one_class else None
    return OutOfFold(outputs, np.array(order) + 1, folds, len(seeds), errors)


def _of_run(job: JobResult) -> tuple[SplitOutputs, Sequence[int], list[tuple[Any, str | None]]]:
    """Return a run's outputs with probabilities, the rows of its examples, and their texts."""
    import numpy as np

    outputs = read_outputs(job, "test")
    if outputs.spec.task.is_per_word:
        raise ValueError("outputs of words are not put together; they are in the runs' folders")
    try:
        examples = read_fold_examples(job.folder)
    except ValueError as e:
        raise ValueError(f"{job.folder.name}: {e}") from e
    if len(examples.rows) != len(outputs):
        raise ValueError(f"{job.folder.name}: its examples are not those of its outputs")
    probabilities = outputs.outputs.astype("float64")
    if outputs.spec.output_kind is OutputKind.logits:
        probabilities = to_probabilities(probabilities, outputs.spec, np)
    pairs: Sequence[str | None] = examples.pairs or [None] * len(examples.rows)
    texts = list(zip(examples.texts, pairs, strict=True))
    return replace(outputs, probabilities=probabilities), examples.rows, texts
