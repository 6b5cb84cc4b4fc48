"""Remarks on a run's examples and scores, for the log and for ``metrics.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xferlab.evaluation.unseen_words import UnseenWords, unseen_in
from xferlab.training.assemble import Experiment


def unseen_words_of(experiment: Experiment, without: str = "") -> dict[str, UnseenWords]:
    """Return the words without a token of each split that has some, but of ``without``."""
    counts = {
        name: unseen_in(
            experiment.spec, split, experiment.encodings[name], with_entities=name != "train"
        )
        for name, split in experiment.data.splits.items()
        if name != without
    }
    return {name: each for name, each in counts.items() if each and each.unseen}


def unseen_word_notes(experiment: Experiment) -> list[str]:
    """Return a line for each split with words that have no token."""
    counts = unseen_words_of(experiment)
    return [each.describe(experiment.spec, name) for name, each in counts.items()]


def final_remarks(experiment: Experiment, constant: Sequence[str]) -> dict[str, Any]:
    """Return what ``metrics.json`` has beside the scores: ``notes`` and ``unseen_words``.

    Args:
        experiment: what was trained.
        constant: lines on outputs that are no better than one prediction for all.
    """
    counts = unseen_words_of(experiment, without="train")
    notes = [each.describe(experiment.spec, name) for name, each in counts.items()]
    notes += constant
    record: dict[str, Any] = {"notes": notes}
    if counts:
        record["unseen_words"] = {name: each.record() for name, each in counts.items()}
    return record
