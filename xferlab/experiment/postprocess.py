"""Fits a run's postprocess after training, and records what it changes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.config.recipe import Recipe
from xferlab.contracts import OutputKind, TaskSpec
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.functional.probabilities import to_probabilities
from xferlab.io.atomic import sha256_of
from xferlab.postprocessing.fit import fit_postprocess
from xferlab.postprocessing.record import write_postprocess
from xferlab.postprocessing.steps import Postprocessor, chosen_steps
from xferlab.runs.predictions import keep_predictions
from xferlab.training.assemble import Experiment
from xferlab.training.phase_network import PhaseNetwork

log = logging.getLogger("xferlab")
SPLIT = "validation"


@dataclass(frozen=True)
class FittedPostprocess:
    """A run's fitted postprocess.

    Attributes:
        postprocessor: what it applies.
        digest: SHA-256 of its file.
        outputs: labels and outputs of the validation split.
    """

    postprocessor: Postprocessor
    digest: str
    outputs: tuple[Any, Any]


def fit_to_validation(
    recipe: Recipe, experiment: Experiment, network: PhaseNetwork, folder: Path, weights: Path
) -> FittedPostprocess | None:
    """Fit the run's postprocess to the validation outputs of its final weights, and write it.

    Args:
        recipe: the run's plugins.
        experiment: what was trained.
        network: with the final weights.
        folder: of the run.
        weights: the file of the final weights.

    Returns:
        What was fitted; None for a run without a postprocess.
    """
    plugins = chosen_steps(recipe.postprocess)
    if not plugins:
        return None
    labels, outputs = network.outputs(experiment, SPLIT)
    keep_predictions(folder, SPLIT, labels, outputs, experiment.data.validation.groups)
    fitted = fit_postprocess(plugins, labels, outputs, experiment.spec, sha256_of(weights))
    done = fitted(outputs)
    before = experiment.scores(labels, outputs)
    after = experiment.scores(labels, done.outputs, done.decisive)
    for scores, *arrays in ((before, outputs, None), (after, done.outputs, done.decisive)):
        error = calibration_error(experiment.spec, labels, *arrays)
        if error is not None:
            scores["calibration error"] = error
    split = experiment.data.validation
    digest = write_postprocess(
        folder, fitted, data=split.digest, examples=len(split), before=before, after=after
    )
    log.info("fitted     %s", fitted.describe())
    changed = [name for name in after if after[name] != before[name]]
    if changed:
        changes = [f"{name} {before[name]:.4f} -> {after[name]:.4f}" for name in changed]
        log.info("           validation: %s", ", ".join(changes))
    return FittedPostprocess(fitted, digest, (labels, outputs))


def calibration_error(
    spec: TaskSpec, labels: Any, outputs: Any, decisive: Any = None
) -> float | None:
    """Return the expected calibration error of outputs; None for a task without probabilities."""
    import numpy as np

    probabilities = outputs
    if spec.output_kind is OutputKind.logits:
        probabilities = to_probabilities(outputs, spec, np)
    texts: list[Any] = [()] * len(labels)
    split = SplitOutputs(spec, texts, None, labels, outputs, probabilities, decisive)
    calibration = split.calibration
    return None if calibration is None else calibration.error
