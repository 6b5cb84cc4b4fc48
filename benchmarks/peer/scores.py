"""Scores on the test split: accuracy, F1, correlation and exact entity F1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score

Entity = tuple[str, int, int]


def single_label(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Scores of one class out of many; `f1` is the F1 of class 1 when there are two classes."""
    predicted = logits.argmax(-1)
    scores = {
        "accuracy": accuracy_score(labels, predicted),
        "macro_f1": f1_score(labels, predicted, average="macro", zero_division=0),
        "micro_f1": f1_score(labels, predicted, average="micro", zero_division=0),
    }
    if logits.shape[-1] == 2:
        scores["f1"] = f1_score(labels, predicted, zero_division=0)
    return {name: float(value) for name, value in scores.items()}


def multi_label(logits: np.ndarray, labels: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Scores of any number of classes; a class is on where its probability exceeds a threshold."""
    predicted = (1.0 / (1.0 + np.exp(-logits.astype("float64"))) > threshold).astype(int)
    truth = labels.astype(int)
    return {
        "exact_match": float((predicted == truth).all(-1).mean()),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
        "micro_f1": float(f1_score(truth, predicted, average="micro", zero_division=0)),
        "predicted_labels_a_row": float(predicted.sum(-1).mean()),
    }


def regression(outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Correlations and mean squared error, on the labels' own scale."""
    values = outputs.reshape(-1).astype("float64")
    return {
        "pearson": float(pearsonr(values, labels).statistic),
        "spearman": float(spearmanr(values, labels).statistic),
        "mse": float(np.mean((values - labels) ** 2)),
    }


def entities(tags: Sequence[str]) -> set[Entity]:
    """Finds the entities in BIO tags, by the rules of the CoNLL 2000 scoring script.

    An `I-` tag that continues nothing of its own type opens an entity.

    Args:
        tags: One tag a word.

    Returns:
        The entities as (type, first word, word after the last).

    >>> sorted(entities(["B-a", "I-a", "I-b", "O", "I-a", "B-a"]))
    [('a', 0, 2), ('a', 4, 5), ('a', 5, 6), ('b', 2, 3)]
    """
    found: set[Entity] = set()
    kind = ""
    start = 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, current = tag.partition("-")
        if kind and (prefix != "I" or current != kind):
            found.add((kind, start, place))
            kind = ""
        if not kind and prefix in ("B", "I"):
            kind = current
            start = place
    return found


def token_classification(
    predicted: Iterable[Sequence[str]], truth: Iterable[Sequence[str]]
) -> dict[str, float]:
    """Entity-level precision, recall and F1: type and both borders have to be exact."""
    right = guessed = wanted = same = words = 0
    for guess, gold in zip(predicted, truth, strict=True):
        found = entities(guess)
        real = entities(gold)
        right += len(found & real)
        guessed += len(found)
        wanted += len(real)
        same += sum(a == b for a, b in zip(guess, gold, strict=True))
        words += len(gold)
    precision = right / guessed if guessed else 0.0
    recall = right / wanted if wanted else 0.0
    total = guessed + wanted
    return {
        "entity_f1": 2 * right / total if total else 0.0,
        "entity_precision": precision,
        "entity_recall": recall,
        "word_accuracy": same / words if words else 0.0,
    }
