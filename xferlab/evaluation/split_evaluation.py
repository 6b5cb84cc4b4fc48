"""Everything about one split in one object, and as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xferlab.contracts import Task
from xferlab.errors import printable
from xferlab.escaping import csv_text
from xferlab.evaluation.bootstrap import LEVEL, SAMPLES, SEED, Score, score_with_intervals
from xferlab.evaluation.calibration import Calibration, Residuals, calibration_of, residuals_of
from xferlab.evaluation.confusion import Confusion, LabelCounts, confusion_of
from xferlab.evaluation.constant_baseline import verdict
from xferlab.evaluation.errors_table import NUMBER, Mistakes, mistakes_of
from xferlab.evaluation.per_class import Report, class_report
from xferlab.evaluation.plots import calibration_figure, confusion_figure, residuals_figure
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.evaluation.unseen_words import LostWords
from xferlab.functional.unseen_words import is_unseen
from xferlab.plotting import as_png_bytes


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Scores of one split, and what stands behind them.

    Attributes:
        name: of the split, or of the data.
        answers: labels and outputs.
        scores: the loss and every metric, with intervals.
        samples: resamples that the intervals are made of; 0 for none.
        shown_mistakes: how many mistakes are listed.
        lost: words without a token, for tagging.
    """

    name: str
    answers: SplitOutputs
    scores: Mapping[str, Score]
    samples: int = SAMPLES
    shown_mistakes: int = NUMBER
    lost: LostWords | None = None

    def __repr__(self) -> str:
        return f"{self.name}, {len(self.answers):,} rows\n\n{self.table()}"

    def table(self) -> str:
        """Return the scores and their intervals as text."""
        rows = [("metric", "value", f"{LEVEL:.0%} interval" if self.samples else "")]
        for name, score in self.scores.items():
            known = score.low is not None
            ends = f"{score.low:.4f} to {score.high:.4f}" if known else "-" * bool(self.samples)
            rows.append((printable(name), f"{score.value:.4f}", ends))
        if not self.is_regression:
            rows.append(("calibration error", f"{self.calibration.error:.4f}", ""))
        width = max(len(name) for name, _, _ in rows)
        return "\n".join(f"{n:<{width}}  {v:>10}   {e}".rstrip() for n, v, e in rows)

    @property
    def is_regression(self) -> bool:
        """Whether there are values in place of classes."""
        return self.answers.spec.task is Task.regression

    @cached_property
    def notes(self) -> list[str]:
        """What a person should know beside the scores, in lines."""
        answers = self.answers
        lost = [self.lost.line(answers.spec, self.name)] if self.lost and self.lost.unread else []
        return lost + verdict(answers.spec, self.name, answers.labels, answers.outputs)

    @cached_property
    def report(self) -> Report:
        """Scores by class."""
        return class_report(self.answers)

    @cached_property
    def confusion(self) -> Confusion | LabelCounts:
        """Which class was taken for which."""
        return confusion_of(self.answers)

    @cached_property
    def calibration(self) -> Calibration:
        """How true the probabilities are."""
        return calibration_of(self.answers)

    @cached_property
    def residuals(self) -> Residuals:
        """A regression's values beside its labels."""
        return residuals_of(self.answers)

    @cached_property
    def mistakes(self) -> Mistakes:
        """The surest mistakes."""
        return mistakes_of(self.answers, self.shown_mistakes)

    def record(self, **more: Any) -> dict[str, Any]:
        """Return the scores as plain data, for ``metrics.json``."""
        found: dict[str, Any] = {"name": self.name, "rows": len(self.answers), **more}
        found["scores"] = {
            name: {"value": s.value, "low": s.low, "high": s.high}
            for name, s in self.scores.items()
        }
        found["notes"] = self.notes
        if self.lost and self.lost.unread:
            found["unread"] = self.lost.record()
        if not self.is_regression:
            found["expected_calibration_error"] = self.calibration.error
        if self.samples:
            found["interval"] = {
                "method": "percentile bootstrap over rows",
                "level": LEVEL,
                "samples": self.samples,
                "seed": SEED,
            }
        return found

    def pictures(self, title: str) -> dict[str, bytes]:
        """Return the pictures as PNG files, by name."""
        if self.is_regression:
            return {"residuals.png": as_png_bytes(residuals_figure(self.residuals, title))}
        return {
            "confusion.png": as_png_bytes(confusion_figure(self.confusion, title)),
            "calibration.png": as_png_bytes(calibration_figure(self.calibration, title)),
        }

    def files(self, record: Mapping[str, Any]) -> dict[str, str]:
        """Return every other file's text, by name."""
        found = {
            "mistakes.csv": self.mistakes.csv(),
            "mistakes.md": self.mistakes.markdown(),
            "predictions.csv": csv_text(self._predictions()),
            "metrics.json": json.dumps(record, indent=2, ensure_ascii=False) + "\n",
        }
        if self.is_regression:
            return found | {"residuals.csv": self.residuals.csv()}
        return found | {
            "report.txt": self._report_text(),
            "report.csv": self.report.csv(),
            "confusion.csv": self.confusion.csv(),
            "calibration.csv": self.calibration.csv(),
        }

    def _report_text(self) -> str:
        return (
            "\n".join([self.report.text(), *(f"note: {note}" for note in self.notes)]).rstrip()
            + "\n"
        )

    def _predictions(self) -> Iterator[tuple[Any, ...]]:
        """Yield a header and a line a row; a line a word for tagging."""
        answers, task = self.answers, self.answers.spec.task
        names = answers.spec.class_names
        if task is Task.token_classification:
            yield from self._tags()
            return
        if task is Task.regression:
            yield ("row", "true", "predicted")
            for i, (label, value) in enumerate(zip(answers.labels, answers.predicted, strict=True)):
                yield i + 1, float(label), float(value)
            return
        several = task is Task.multi_label
        yield ("row", "true", "predicted", *(f"p_{name}" for name in names))
        for i, p in enumerate(answers.probabilities):
            pair = (answers.labels[i], answers.predicted[i])
            told = (
                "|".join(n for n, there in zip(names, one, strict=True) if there > 0.5)
                if several
                else names[one]
                for one in pair
            )
            yield (i + 1, *told, *p.tolist())

    def _tags(self) -> Iterator[tuple[Any, ...]]:
        answers = self.answers
        yield ("row", "word", "text", "true", "predicted", "probability")
        sure = answers.probabilities.max(axis=-1)
        unread = is_unseen(answers.outputs)
        for i, words in enumerate(answers.texts):
            tags = zip(words, *answers.tags(i), strict=False)
            for place, (word, wanted, found) in enumerate(tags):
                if answers.labels[i, place] >= 0:
                    probability = "" if unread[i, place] else float(sure[i, place])
                    yield i + 1, place + 1, word, wanted, found, probability


def evaluation_of(
    name: str,
    answers: SplitOutputs,
    loss: Any,
    metrics: Mapping[str, Any],
    samples: int = SAMPLES,
    shown_mistakes: int = NUMBER,
    progress: Callable[[int], None] | None = None,
    lost: LostWords | None = None,
) -> Evaluation:
    """Score a split, and keep what stands behind the scores.

    Args:
        name: of the split, or of the data.
        answers: labels and outputs.
        loss: Keras loss.
        metrics: as the metric plugins built them, by logged name.
        samples: resamples for the intervals; 0 for none.
        shown_mistakes: how many mistakes to list.
        progress: told how many resamples are done, now and then.
        lost: words without a token, for tagging.
    """
    scores = score_with_intervals(loss, metrics, answers.labels, answers.outputs, samples, progress)
    return Evaluation(name, answers, scores, samples, shown_mistakes, lost)
