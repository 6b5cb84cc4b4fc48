"""Checks of an objective on the first batch: what it returns, and that training by it is sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xferlab.backend.gradients import objective_gradients
from xferlab.backend.objective_step import BatchPart
from xferlab.backend.process import generator_states, set_generator_states
from xferlab.checks.probe_batch import ContractViolation
from xferlab.data.batching import Batch, batch_arrays
from xferlab.training.assemble import Experiment
from xferlab.training.evaluation import input_names

MAX_EXAMPLES = 16
"""Examples of the first batch that are checked."""


def check_objective(experiment: Experiment) -> ContractViolation | None:
    """Return what an objective violates on the first batch, or None; nothing is changed.

    Shapes and names of what it returns are checked whenever it is called, see
    ``training.objective``.
    """
    import numpy as np

    network = experiment.model.network
    with _same_generators():
        before = _sums(network)
        with _same_state(network):
            loss, outputs, gradients = _computed(experiment)
        if not np.isfinite(loss):
            what = f"gives the loss {loss} for the first training batch"
            return what, "keep log, sqrt and division away from 0"
        if not any(each is not None and each.any() for each in gradients):
            what = "gives a loss that does not depend on the weights: nothing would be trained"
            return what, "compute it from step.forward(), with keras.ops alone"
        if not all(each is None or np.isfinite(each).all() for each in gradients):
            what = "gives a gradient that is not finite for the first training batch"
            return what, "keep log, sqrt and norms away from 0"
        if _sums(network) != before:
            return "changes the weights itself", "use step.shifted(...), which changes none"
        with _same_state(network):
            again, _, _ = _computed(experiment)
    if abs(again - loss) > 1e-3 * max(abs(loss), 1e-3):
        what = "gives another loss for the same batch with the same dropout"
        return what, "keep no state, and take random numbers with seed=step.seed"
    return _check_rows(experiment, outputs)


def _check_rows(experiment: Experiment, outputs: Any) -> ContractViolation | None:
    rows = len(_batch(experiment).rows)
    if outputs.shape[0] == rows:
        return None
    what = f"returns outputs of {outputs.shape[0]} examples for a batch of {rows}"
    return what, "return the outputs of the batch's own examples"


def _batch(experiment: Experiment) -> Batch:
    batch = next(experiment.batches.steps(0, 1))
    most = max(2, MAX_EXAMPLES // experiment.micro_batches)
    return Batch(batch.rows[:most], batch.length)


def _computed(experiment: Experiment) -> tuple[float, Any, list[Any]]:
    """Return loss, outputs and the gradient by each weight of the first examples."""
    objective = experiment.objective
    assert objective is not None
    batch = _batch(experiment)
    inputs, labels = batch_arrays(
        experiment.encodings["train"],
        experiment.train.labels,
        batch,
        experiment.model.tokenizer.pad_id,
    )
    network = experiment.model.network
    arrays = {name: values[batch.rows] for name, values in objective.arrays.items()}
    named = {name: inputs[name] for name in input_names(network)}
    own = {name: values[batch.rows] for name, values in experiment.example_arrays.items()}
    return objective_gradients(objective, network, BatchPart(named, labels, arrays, **own))


def _sums(network: Any) -> list[float]:
    return [float(weight.numpy().sum(dtype="float64")) for weight in network.trainable_weights]


@contextmanager
def _same_generators() -> Iterator[None]:
    """Restore the random generators of the process after the block."""
    generators = generator_states()
    try:
        yield
    finally:
        set_generator_states(generators)


@contextmanager
def _same_state(network: Any) -> Iterator[None]:
    """Restore the seeds of dropout and other state of layers after the block."""
    state = [each for each in network.non_trainable_variables if len(each.shape) <= 1]
    values = [(variable, variable.numpy()) for variable in state]  # no frozen tables
    try:
        yield
    finally:
        for variable, value in values:
            variable.assign(value)
