"""Predictions of a few validation examples after each epoch."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from xferlab import Callback, Evaluation, Run, register

log = logging.getLogger("xferlab")


@register("callback", "print_samples")
@dataclass(frozen=True)
class PrintSamples:
    """Log the predictions of the first validation examples after each epoch.

    Attributes:
        count: how many examples.
        wrong: whether to log those alone that are predicted otherwise than labelled.
        width: characters of a text that are shown.
    """

    count: int = 4
    wrong: bool = False
    width: int = 60

    def __post_init__(self) -> None:
        for name in ("count", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def identity(self) -> None:
        """Return None: a log is no part of what a run computes."""

    def build(self, run: Run) -> Callback:
        """Return what logs the predictions."""
        return _Printer(run, self)


class _Printer(Callback):
    def __init__(self, run: Run, chosen: PrintSamples) -> None:
        self._run = run
        self._chosen = chosen

    def on_evaluation(self, evaluation: Evaluation) -> None:
        if evaluation.split != "validation":
            return
        spec = self._run.spec
        split = self._run.splits["validation"]
        predicted = spec.task.decide(evaluation.outputs, spec)
        names = spec.class_names
        pairs = zip(
            spec.task.label_names(evaluation.labels, names),
            spec.task.label_names(predicted, names),
            strict=True,
        )
        is_wrong_only = self._chosen.wrong
        rows = [(i, *pair) for i, pair in enumerate(pairs) if not is_wrong_only or _differ(*pair)]
        for i, label, guess in rows[: self._chosen.count]:
            text = split.texts[i]
            line = text if isinstance(text, str) else " ".join(text)
            shown = " ".join(line.split())[: self._chosen.width]
            log.info("sample     %s  predicted %s, label %s", shown, _format(guess), _format(label))


def _differ(label: object, guess: object) -> bool:
    """Return whether a prediction is another than the label; words without a label are left out."""
    if isinstance(label, list) and isinstance(guess, list) and len(label) == len(guess):
        return any(a is not None and a != b for a, b in zip(label, guess, strict=True))
    return label != guess


def _format(value: object) -> str:
    if isinstance(value, list):
        return " ".join(str(each) for each in value if each is not None) or "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
