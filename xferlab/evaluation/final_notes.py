"""What a person should know about a run's rows and scores, in lines and for its record."""

from __future__ import annotations

from typing import Any

from xferlab.evaluation.constant_baseline import verdict
from xferlab.evaluation.unseen_words import LostWords, lost_in
from xferlab.training.assemble import Experiment


def lost_of(experiment: Experiment, without: str = "") -> dict[str, LostWords]:
    """Return the words without a token of each split of an experiment that has some."""
    found = {
        name: lost_in(
            experiment.spec, split, experiment.encodings[name], with_entities=name != "train"
        )
        for name, split in experiment.data.splits.items()
        if name != without
    }
    return {name: lost for name, lost in found.items() if lost and lost.unread}


def lost_lines(experiment: Experiment) -> list[str]:
    """Return a line for each split of an experiment with words that have no token."""
    lost = lost_of(experiment)
    return [found.line(experiment.spec, name) for name, found in lost.items()]


def final_remarks(experiment: Experiment, split: str, labels: Any, outputs: Any) -> dict[str, Any]:
    """Return what ``metrics.json`` says beside the scores: ``notes``, and ``unread`` words.

    Args:
        experiment: what was trained.
        split: the last split that was scored.
        labels: its labels, as they were scored.
        outputs: its outputs.
    """
    lost = lost_of(experiment, without="train")
    lines = [found.line(experiment.spec, name) for name, found in lost.items()]
    record: dict[str, Any] = {"notes": lines + verdict(experiment.spec, split, labels, outputs)}
    if lost:
        record["unread"] = {name: found.record() for name, found in lost.items()}
    return record
