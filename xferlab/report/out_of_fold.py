"""The predictions of all folds of a setting put together, and the labels that they contradict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xferlab.contracts import OutputKind, Split, TaskSpec
from xferlab.errors import printable
from xferlab.evaluation.confident_learning import LabelErrors, find_label_errors
from xferlab.evaluation.split_outputs import SplitOutputs, split_outputs
from xferlab.formatting import format_count
from xferlab.functional.probabilities import to_probabilities
from xferlab.report.read_runs import JobResult
from xferlab.report.repeats import FOLD, FOLDS, SEED
from xferlab.report.settings import Report
from xferlab.report.stored_outputs import MAX_NUMBERS, read_outputs
from xferlab.runs.fold_examples import FoldExamples, read_fold_examples
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
        errors: labels that are probably wrong, as positions in ``places``; None for a task without
            one class for each text or word.
        places: of each label its example and, for tags, its word; int64 (labels, 1 or 2).
    """

    outputs: SplitOutputs
    rows: np.ndarray
    folds: int
    seeds: int
    errors: LabelErrors | None
    places: np.ndarray

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
        unit = " words" if self.outputs.spec.task.is_per_word else ""
        estimated = f"an estimated {self.errors.estimated:.0f} of {len(self.places):,}{unit} are"
        return f"{found} {verb} probably wrong ({estimated}): {MISLABELLED}"

    def prediction_rows(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of the table of predictions, its header first."""
        own = self.outputs.spec.task.prediction_rows(self.outputs)
        _, *header = next(own)
        if self.outputs.spec.task.is_per_word:
            yield "row", *header
            yield from ((int(self.rows[number - 1]), *cells) for number, *cells in own)
            return
        pair = () if self.outputs.pairs is None else ("pair",)
        yield "row", *header, "text", *pair
        for number, *cells in own:
            _, *texts = self.outputs.text_cells(number - 1)
            yield int(self.rows[number - 1]), *cells, *texts

    def error_rows(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of the table of probably wrong labels, its header first.

        Tags have the number of the word, from 1, and the sentence with the word marked.
        """
        is_word = self.outputs.spec.task.is_per_word
        texts: Sequence[str] = ("text",) if self.outputs.pairs is None else ("text", "pair")
        number = ("word",) if is_word else ()
        yield "row", *number, "label", "suggested", "p_label", "p_suggested", *texts
        if self.errors is None:
            return
        names = self.outputs.spec.class_names
        for at, suggested in zip(self.errors.rows, self.errors.suggested, strict=True):
            place = tuple(self.places[at].tolist())
            label = self.outputs.labels[place]
            probabilities = self.outputs.probabilities[place]
            chances = (round(float(probabilities[each]), 4) for each in (label, suggested))
            i, *word = place
            own = _marked(self.outputs.texts[i], *word) if is_word else None
            cells = (own,) if is_word else self.outputs.text_cells(i)[1:]
            numbers = (int(self.rows[i]), *(each + 1 for each in word))
            yield *numbers, names[label], names[suggested], *chances, *cells


def _marked(words: Sequence[str], word: int) -> str:
    """Return a sentence with one word marked: ``by ⟦Ann⟧ Lee``."""
    return " ".join(f"⟦{each}⟧" if i == word else each for i, each in enumerate(words))


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
    spec: TaskSpec | None = None
    for jobs in seeds:
        seen: set[int] = set()
        for job in jobs:
            fold = _fold_of(job)
            spec = fold.spec
            if seen & set(fold.rows):
                raise ValueError("an example is in two folds of one seed")
            seen |= set(fold.rows)
            for i, row in enumerate(fold.rows):
                texts[row] = fold.texts[i]
                labels[row] = fold.labels[i]
                found.setdefault(row, []).append(fold.probabilities[i])
    assert spec is not None
    order = sorted(found)
    means: Any = [np.mean(found[row], axis=0) for row in order]
    kind = spec.output_kind if spec.output_kind is OutputKind.values else OutputKind.probabilities
    spec = replace(spec, output_kind=kind)
    pairs = [str(texts[row][1]) for row in order] if texts[order[0]][1] is not None else None
    given: Any = [labels[row] for row in order]
    if not spec.task.is_per_word:
        means = np.stack(means)
        given = np.stack(given)
    elif len(order) * max(map(len, means)) * spec.num_outputs > MAX_NUMBERS:
        raise ValueError("the outputs are too many to be put together")
    examples = Split([texts[row][0] for row in order], given, pairs)
    outputs = split_outputs(spec, examples, means, means)
    errors, places = _errors_of(outputs)
    return OutOfFold(outputs, np.array(order) + 1, folds, len(seeds), errors, places)


def _errors_of(outputs: SplitOutputs) -> tuple[LabelErrors | None, np.ndarray]:
    """Return the labels that are probably wrong, and the place of each label that is judged."""
    import numpy as np

    task = outputs.spec.task
    if not (task.is_exclusive and task.has_classes):
        return None, np.arange(len(outputs))[:, None]
    judged = outputs.labels >= 0
    if task.is_per_word:
        judged &= ~outputs.is_unseen
    errors = find_label_errors(outputs.labels[judged], outputs.probabilities[judged])
    return errors, np.argwhere(judged)


@dataclass(frozen=True)
class _Fold:
    """What a run has of the examples of its fold.

    Attributes:
        spec: the task.
        rows: the position of each example among all training examples.
        texts: text and second text of each.
        labels: of each; of tags int32 (words,), -1 for a word without an output of the network.
        probabilities: float64 (classes,) or (words, classes), NaN for such a word.
    """

    spec: TaskSpec
    rows: Sequence[int]
    texts: Sequence[tuple[Any, str | None]]
    labels: Sequence[Any]
    probabilities: Sequence[np.ndarray]


def _fold_of(job: JobResult) -> _Fold:
    """Return the stored outputs of a run and the texts that they are of."""
    import numpy as np

    outputs = read_outputs(job, "test")
    try:
        examples = read_fold_examples(job.folder)
    except ValueError as e:
        raise ValueError(f"{job.folder.name}: {e}") from e
    if len(examples.rows) != len(outputs):
        raise ValueError(f"{job.folder.name}: its examples are not those of its outputs")
    probabilities = outputs.outputs.astype("float64")
    if outputs.spec.output_kind is OutputKind.logits:
        probabilities = to_probabilities(probabilities, outputs.spec, np)
    labels = list(outputs.labels)
    found = list(probabilities)
    if outputs.spec.task.is_per_word:
        probabilities[outputs.is_unseen] = np.nan
        try:
            labels, found = _by_word(examples, outputs.labels, probabilities)
        except ValueError as e:
            raise ValueError(f"{job.folder.name}: {e}") from e
    pairs: Sequence[str | None] = examples.pairs or [None] * len(examples.rows)
    texts = list(zip(examples.texts, pairs, strict=True))
    return _Fold(outputs.spec, examples.rows, texts, labels, found)


def _by_word(
    examples: FoldExamples, labels: np.ndarray, probabilities: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return tags and probabilities of stored words at the places of the words.

    Args:
        examples: whose labels say which words have outputs.
        labels: int (examples, stored words), -1 behind the last one.
        probabilities: (examples, stored words, classes).
    """
    import numpy as np

    placed = []
    found = []
    for i, words in enumerate(examples.texts):
        own = examples.labels[i]
        own = own if isinstance(own, list) else []
        at = [j for j, tag in enumerate(own) if tag is not None]
        stored = labels[i] >= 0
        if len(at) != stored.sum() or not isinstance(words, list) or len(own) > len(words):
            raise ValueError("its examples are not those of its outputs")
        tags = np.full(len(words), -1, "int32")
        tags[at] = labels[i][stored]
        each = np.full((len(words), probabilities.shape[-1]), np.nan)
        each[at] = probabilities[i][stored]
        placed.append(tags)
        found.append(each)
    return placed, found
