"""The evaluation of one split: scores, analyses and errors, as text and as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from xferlab.errors import printable
from xferlab.escaping import csv_text
from xferlab.evaluation.bootstrap import LEVEL, SAMPLES, SEED, Score, score_with_intervals
from xferlab.evaluation.conformal_sets import set_scores, with_sets
from xferlab.evaluation.constant_baseline import baseline_notes
from xferlab.evaluation.errors_table import NUMBER, ErrorsTable
from xferlab.evaluation.plots import figure_of
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.evaluation.unseen_words import UnseenWords
from xferlab.plotting import as_png_bytes
from xferlab.training.evaluation import scores

CALIBRATION_ERROR = "calibration error"
UNPROCESSED = "without postprocess"
"""Head of the column of scores as they were."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Scores of one split, with what explains them.

    Attributes:
        name: of the split, or of the data.
        outputs: labels and outputs.
        scores: the loss and every metric, with intervals.
        samples: resamples that the intervals are computed from; 0 for none.
        listed_errors: how many errors are listed.
        unseen: words without a token, for token classification.
        before: the scores without the run's postprocess; None where it has none.
    """

    name: str
    outputs: SplitOutputs
    scores: Mapping[str, Score]
    samples: int = SAMPLES
    listed_errors: int = NUMBER
    unseen: UnseenWords | None = None
    before: Mapping[str, float] | None = None

    def __repr__(self) -> str:
        return f"{self.name}, {len(self.outputs):,} examples\n\n{self.table()}"

    def table(self) -> str:
        """Return the scores and their intervals as text."""
        header = f"{LEVEL:.0%} interval{self._over_groups}" if self.samples else ""
        rows = [("metric", "value", header, "" if self.before is None else UNPROCESSED)]
        before = {} if self.before is None else dict(self.before)
        for name, score in self.scores.items():
            interval = "-" if self.samples else ""
            if score.low is not None:
                interval = f"{score.low:.4f} to {score.high:.4f}"
            rows.append((printable(name), f"{score.value:.4f}", interval, _number(before, name)))
        if self.calibration_error is not None:
            value = f"{self.calibration_error:.4f}"
            rows.append((CALIBRATION_ERROR, value, "", _number(before, CALIBRATION_ERROR)))
        rows += [(name, f"{value:.4f}", "", "") for name, value in self.sets.items()]
        width, _, span, last = (max(map(len, column)) for column in zip(*rows, strict=True))
        return "\n".join(
            f"{name:<{width}}  {value:>10}   {interval:<{span}}   {was:>{last}}".rstrip()
            for name, value, interval, was in rows
        )

    @property
    def _over_groups(self) -> str:
        """What intervals are over, if not over examples."""
        groups = self.outputs.groups
        return "" if groups is None else f" over {len(set(groups.tolist())):,} groups"

    @cached_property
    def sets(self) -> dict[str, float]:
        """Coverage and size of predicted sets or intervals; empty without them."""
        return set_scores(self.outputs)

    @cached_property
    def notes(self) -> list[str]:
        """Remarks on the scores: words without a token, constant predictions."""
        spec = self.outputs.spec
        notes = []
        if self.unseen and self.unseen.unseen:
            notes.append(self.unseen.describe(spec, self.name))
        return notes + baseline_notes(spec, self.name, self.outputs.labels, self.outputs.deciding)

    @cached_property
    def analyses(self) -> dict[str, Any]:
        """What the task's evaluation has beside scores, e.g. ``report`` and ``confusion``."""
        analyses: dict[str, Any] = self.outputs.spec.task.analyse(self.outputs)
        before = self.outputs.before
        if before is not None and "calibration" in analyses:
            after = analyses["calibration"]
            analyses["calibration"] = replace(after, before=before.calibration)
        return analyses

    @property
    def report(self) -> Any:
        """The scores by class; None for a task without classes."""
        return self.analyses.get("report")

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error; None for a task without probabilities."""
        calibration = self.analyses.get("calibration")
        return None if calibration is None else calibration.error

    @cached_property
    def errors(self) -> ErrorsTable:
        """The most confident errors."""
        return self.outputs.spec.task.list_errors(self.outputs, self.listed_errors)

    def record(self, **more: Any) -> dict[str, Any]:
        """Return the scores as plain data, for ``metrics.json``."""
        record: dict[str, Any] = {"name": self.name, "examples": len(self.outputs), **more}
        record["scores"] = {
            name: {"value": score.value, "low": score.low, "high": score.high}
            for name, score in self.scores.items()
        }
        record["notes"] = self.notes
        if self.unseen and self.unseen.unseen:
            record["unseen_words"] = self.unseen.record()
        if self.calibration_error is not None:
            record["expected_calibration_error"] = self.calibration_error
        if self.before is not None:
            record["without_postprocess"] = dict(self.before)
        if self.sets:
            record["sets"] = self.sets
        if self.samples:
            record["interval"] = {
                "method": f"percentile bootstrap{self._over_groups or ' over examples'}",
                "level": LEVEL,
                "samples": self.samples,
                "seed": SEED,
            }
        return record

    def _prediction_rows(self) -> Iterator[tuple[Any, ...]]:
        return with_sets(self.outputs.spec.task.prediction_rows(self.outputs), self.outputs)

    def figures(self, title: str) -> dict[str, bytes]:
        """Return the figures as PNG files, by name."""
        figures = {name: figure_of(each, title) for name, each in self.analyses.items()}
        return {f"{n}.png": as_png_bytes(figure) for n, figure in figures.items() if figure}

    def files(self, record: Mapping[str, Any]) -> dict[str, str]:
        """Return the text of every other file, by name."""
        files = {
            "errors.csv": self.errors.csv(),
            "errors.md": self.errors.markdown(),
            "predictions.csv": csv_text(self._prediction_rows()),
            "metrics.json": json.dumps(record, indent=2, ensure_ascii=False) + "\n",
            **{f"{name}.csv": each.csv() for name, each in self.analyses.items()},
        }
        if self.report is not None:
            lines = [self.report.text(), *(f"note: {note}" for note in self.notes)]
            files["report.txt"] = "\n".join(lines).rstrip() + "\n"
        return files


def _number(scores: Mapping[str, float], name: str) -> str:
    return f"{scores[name]:.4f}" if name in scores else ""


def evaluate_split(
    name: str,
    outputs: SplitOutputs,
    loss: Any,
    metrics: Mapping[str, Any],
    samples: int = SAMPLES,
    listed_errors: int = NUMBER,
    progress: Callable[[int], None] | None = None,
    unseen: UnseenWords | None = None,
) -> Evaluation:
    """Return the evaluation of a split.

    Args:
        name: of the split, or of the data.
        outputs: labels and outputs.
        loss: Keras loss.
        metrics: as the metric plugins built them, by logged name.
        samples: resamples for the intervals; 0 for none.
        listed_errors: how many errors to list.
        progress: called now and then with the number of resamples that are done.
        unseen: words without a token, for token classification.
    """
    labels = outputs.labels
    scored = score_with_intervals(
        loss, metrics, labels, outputs.outputs, samples, progress, outputs.decisive, outputs.groups
    )
    before = None
    if outputs.before is not None:
        before = scores(loss, metrics, labels, outputs.before.outputs)
        calibration = outputs.before.calibration
        if calibration is not None:
            before[CALIBRATION_ERROR] = calibration.error
    return Evaluation(name, outputs, scored, samples, listed_errors, unseen, before)
