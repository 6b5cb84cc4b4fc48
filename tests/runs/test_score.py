"""The score of a run: of the weights that it uses."""

from __future__ import annotations

import pytest

from xferlab.runs.score import Score, score_of

HISTORY = [
    {"epoch": 1, "step": 9, "loss": 0.7, "val_loss": 0.6, "val_accuracy": 0.9},
    {"epoch": 2, "step": 18, "loss": 0.2, "val_loss": 0.8, "val_accuracy": 0.7},
]


def record(monitor, value, weights, **validation):
    best = {"monitor": monitor, "value": value, "epoch": 1}
    return {"best": best, "weights": weights, "validation": validation}


@pytest.mark.parametrize(
    ("metrics", "score"),
    [
        (record("val_accuracy", 0.9, "best", accuracy=0.9), ("val_accuracy", 0.9, 1, "best")),
        (record("val_accuracy", 0.9, "last", accuracy=0.7), ("val_accuracy", 0.7, 2, "last")),
        (record("val_loss", 0.6, "last", loss=0.8), ("val_loss", 0.8, 2, "last")),
        (record("loss", 0.1, "last", loss=0.8), ("loss", 0.2, 2, "last")),  # of the training
        (record("val_accuracy", None, "last", accuracy=None), ("val_accuracy", None, 2, "last")),
    ],
)
def test_the_score_is_of_the_weights_that_are_used(metrics, score):
    assert score_of(metrics, HISTORY) == Score(*score)


def test_a_run_of_a_version_without_the_weights_has_the_best_epochs_score():
    metrics = {"best": {"monitor": "val_accuracy", "value": 0.9, "epoch": 1}}
    assert score_of(metrics, []) == Score("val_accuracy", 0.9, 1, "best")
