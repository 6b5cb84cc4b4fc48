"""Whether a run is plainly wrong: one prediction for all, a loss above chance, nothing learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.config.recipe import Recipe
from xferlab.functional.unseen_words import seen_only
from xferlab.statistics.baselines import label_matrix
from xferlab.training.assemble import Experiment

MOST_LINES = 2
MOST_ROWS = 10_000
"""Training examples that the loss of chance is computed on."""
OVERFIT_EPOCHS = 20
"""Epochs of one batch from which on a run is a test of overfitting."""
LEARNT = 0.5
"""Fraction of the loss of chance that such a test must fall below; smoothed labels leave 0.3."""


def verdict(
    recipe: Recipe,
    experiment: Experiment,
    split: str,
    scores: Mapping[str, float],
    history: Sequence[Mapping[str, float]],
    baselines: Mapping[str, Any],
    constant_lines: Sequence[str],
) -> list[str]:
    """Return at most two lines; none for a run that is not plainly wrong.

    Args:
        recipe: its config.
        experiment: what was trained.
        split: the last split that was scored.
        scores: of that split.
        history: a row an epoch.
        baselines: scores of simple models, by name, split and metric.
        constant_lines: that the outputs are no better than one prediction for all.
    """
    lines = [*_loss_lines(experiment, history), *constant_lines]
    if not constant_lines:
        lines += _baseline_lines(recipe, split, scores, baselines)
    return lines[:MOST_LINES]


def _loss_lines(experiment: Experiment, history: Sequence[Mapping[str, float]]) -> list[str]:
    """Return a line on a training loss that is no better than chance, or not learnt by heart."""
    chance = chance_loss(experiment)
    losses = [row["loss"] for row in history if row.get("loss") is not None]
    if chance is None or not losses or experiment.objective is not None:
        return []
    last = losses[-1]
    budget = experiment.budget
    compared = f"{last:.4g} in the last epoch, and {chance:.4g} by chance"
    is_test = budget.steps_per_epoch == 1 and len(losses) >= OVERFIT_EPOCHS
    if is_test and not experiment.spec.task.masks_tokens:  # whose batch has other masks each time
        if last < LEARNT * chance:
            return []
        return [
            f"one batch was not learnt in {len(losses)} epochs (loss {compared}): check labels,"
            " optimizer.lr and what transfer= freezes before training longer"
        ]
    if last < chance:
        return []
    if experiment.spec.task.masks_tokens and last < losses[0]:
        fell = f"the training loss fell from {losses[0]:.4g} to {last:.4g}"
        return [
            f"{fell}, and is {chance:.4g} by chance: these texts are unlike those of the"
            " pretraining; train longer, or choose another model"
        ]
    return [f"nothing was learnt: the training loss is {compared} (find-lr suggests a rate)"]


def chance_loss(experiment: Experiment) -> float | None:
    """Return the run's loss of outputs that prefer nothing; None where there are no such.

    Of cross-entropy that is the logarithm of the number of classes, of masked tokens that of the
    number of tokens, of a squared error the variance.
    """
    train = experiment.data.train
    labels = label_matrix(train.labels[:MOST_ROWS])
    tokens = getattr(experiment.model.tokenizer, "vocabulary_size", 0)
    outputs = experiment.spec.task.chance_outputs(labels, experiment.spec, tokens)
    if outputs is None:
        return None
    if train.soft_labels is not None:
        return float(experiment.loss(train.soft_labels[:MOST_ROWS], outputs))
    return float(experiment.loss(*seen_only(labels, outputs)))


def _baseline_lines(
    recipe: Recipe, split: str, scores: Mapping[str, float], baselines: Mapping[str, Any]
) -> list[str]:
    """Return a line for a first score that simple models reach too."""
    name = next(iter(recipe.metrics), "")
    value = scores.get(name)
    if value is None:
        return []
    sign = 1 if recipe.metrics[name].mode == "max" else -1
    known = {b: s.get(split, {}).get(name) for b, s in baselines.items()}
    beaten = {b: v for b, v in known.items() if v is not None and sign * v >= sign * value}
    if not beaten:
        return []
    best = max(beaten, key=lambda b: sign * beaten[b])
    simple = f"{best} {beaten[best]:.4f}"
    return [f"{split} {name} {value:.4f} is no better than that of a simple model: {simple}"]
