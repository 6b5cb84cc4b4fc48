"""Confident learning against cleanlab's results and against the paper written out."""

from __future__ import annotations

import numpy as np
import pytest

from xferlab.evaluation.confident_learning import find_label_errors

CLEANLAB = {
    2: (27, [58, 357, 264, 286, 158, 247, 34, 134], 39.0),
    3: (42, [173, 343, 322, 184, 237, 33, 139, 315], 63.0),
}
"""By seed: rows of ``find_label_issues(filter_by="confident_learning")`` of cleanlab 2.9 by self-
confidence, the first of them, and the errors in its ``estimate_joint``, which counts whole ones."""


def made_up(seed, classes, examples=400):
    """Return labels, a tenth of them wrong, and probabilities."""
    random = np.random.default_rng(seed)
    chances = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    true = random.choice(classes, examples, p=chances)
    logits = random.normal(size=(examples, classes))
    logits[np.arange(examples), true] += 2.5
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(1, keepdims=True)
    wrong = random.uniform(size=examples) < 0.1
    labels = true.copy()
    labels[wrong] = (true[wrong] + 1) % classes
    return labels, probabilities, wrong


@pytest.mark.parametrize("seed", CLEANLAB)
def test_rows_are_those_of_cleanlab(seed):
    labels, probabilities, wrong = made_up(seed, 2 + seed % 4)
    count, first, errors = CLEANLAB[seed]
    found = find_label_errors(labels, probabilities)
    assert len(found.rows) == count
    assert found.rows[:8].tolist() == first
    assert found.estimated == pytest.approx(errors, abs=1)
    assert wrong[found.rows].mean() > 0.7
    assert (found.suggested != labels[found.rows]).all()


def test_rows_are_those_of_the_paper_written_out():
    labels, probabilities, _ = made_up(5, 4)
    thresholds = [probabilities[labels == c, c].mean() for c in range(4)]
    joint = np.zeros((4, 4))
    wrong = []
    for i, (label, p) in enumerate(zip(labels, probabilities, strict=True)):
        above = [c for c in range(4) if p[c] >= thresholds[c]]
        if above:
            best = max(above, key=lambda c: p[c])
            joint[label, best] += 1
            if best != label and p.argmax() != label:
                wrong.append((p[label], i))
    found = find_label_errors(labels, probabilities)
    assert found.rows.tolist() == [i for _, i in sorted(wrong)]
    kept = joint.diagonal() / joint.sum(1)
    assert found.estimated == pytest.approx((np.bincount(labels) * (1 - kept)).sum())
    assert found.thresholds == pytest.approx(thresholds)


def test_a_class_without_examples_is_suggested_for_none():
    probabilities = np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.3, 0.6, 0.1]])
    found = find_label_errors(np.array([0, 0, 1]), probabilities)
    assert len(found.rows) == 0
    assert np.isinf(found.thresholds[2])
