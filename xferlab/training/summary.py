"""What is printed and stored before training: the weights, what learns, the planned rates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from xferlab.config.schema import ENOUGH_VALIDATION_ROWS, FEWEST_EPOCHS, TrainConfig
from xferlab.data.batching import measure_padding
from xferlab.errors import printable
from xferlab.functional.optimizers import decays
from xferlab.plotting import counted
from xferlab.training.assemble import Experiment

if TYPE_CHECKING:
    import numpy as np


def planned_rates(learning_rate: Any, total_steps: int) -> np.ndarray:
    """Return the learning rate of every optimizer step of the run, float32 (total_steps,)."""
    import numpy as np
    import tensorflow as tf

    if not callable(learning_rate):
        return np.full(total_steps, float(learning_rate), dtype="float32")
    steps = tf.range(total_steps, dtype=tf.int64)
    rate = tf.function(lambda k: tf.cast(learning_rate(k), tf.float32))
    return tf.map_fn(rate, steps, fn_output_signature=tf.float32).numpy()


def schedule_plan(experiment: Experiment, rates: np.ndarray) -> dict[str, Any]:
    """Return the run's planned length and the rates at the steps that matter."""
    last = len(rates) - 1
    peak = int(rates.argmax())
    marks = {"first": 0, "peak": peak, "middle": last // 2, "last": last}
    return {
        "epochs": experiment.budget.epochs,
        "batches": experiment.total_batches,
        "steps": experiment.budget.total_steps,
        "steps_per_epoch": experiment.budget.steps_per_epoch,
        "learning_rate": {
            name: {"step": step + 1, "rate": float(rates[step])} for name, step in marks.items()
        },
    }


def parameter_rows(experiment: Experiment) -> list[dict[str, Any]]:
    """Return, a row a block: its parameters, the phases it learns in, its share of the rate.

    ``decayed`` counts the trainable parameters that the optimizer's weight decay takes from.
    """
    model, plan = experiment.model, experiment.plan
    rows = []
    for block, layers in model.blocks.items():
        variables = [w for layer in layers for w in model.network.get_layer(layer).weights]
        learns = [
            str(i)
            for i, phase in enumerate(plan.phases, start=1)
            if block not in phase.frozen and any(w.trainable for w in variables)
        ]
        trainable = [w for w in variables if w.trainable] if learns else []
        rows.append(
            {
                "block": block,
                "parameters": _count(variables),
                "trainable": _count(trainable),
                "decayed": _count([w for w in trainable if decays(experiment.optimizer, w)]),
                "learns": "every phase" if len(learns) == len(plan.phases) else
                f"phase {', '.join(learns)}" if learns else "frozen",
                "rate": plan.rates.get(block, 1.0) if learns else 0.0,
            }
        )  # fmt: skip
    return rows


def class_weights(experiment: Experiment) -> dict[str, float]:
    """Return what a row of each class weighs in the loss, of several labels each one's yes."""
    weights = getattr(experiment.loss, "shown_class_weights", None)
    if weights is None:
        return {}
    return dict(zip(experiment.spec.class_names, map(float, weights), strict=True))


def summary_lines(experiment: Experiment, rates: np.ndarray) -> list[str]:
    """Return the lines that the log shows before the first step."""
    spec, splits = experiment.spec, experiment.data.splits
    named = ", ".join(map(printable, spec.class_names[:8]))
    classes = f", classes {named}" if spec.class_names else ""
    more = f" and {spec.num_classes - 8} more" if spec.num_classes > 8 else ""
    lines = [
        f"task       {spec.task.name}{classes}{more}",
        "rows       " + ", ".join(f"{name} {len(split)}" for name, split in splits.items()),
        f"tokens     {_token_line(experiment)}",
        f"weights    {experiment.model.origin.get('line', 'freshly initialised')}",
    ]
    weights = [f"{name} {weight:.3g}" for name, weight in class_weights(experiment).items()]
    if weights:
        lines.append(f"weighed    {', '.join(weights)}")
    plan = schedule_plan(experiment, rates)
    points = "  ".join(
        f"{name} {mark['rate']:.3g} (step {mark['step']})"
        for name, mark in plan["learning_rate"].items()
    )
    rows = experiment.batches.batch_size * (experiment.optimizer.gradient_accumulation_steps or 1)
    lines += [
        f"length     {plan['epochs']} epochs, {plan['steps']} steps of {rows} rows",
        f"rate       {points}",
        f"{'block':<14} {'parameters':>12} {'trainable':>12} {'decayed':>12}  {'learns':<14} rate",
    ]
    for row in parameter_rows(experiment):
        lines.append(
            f"{row['block']:<14} {row['parameters']:>12,} {row['trainable']:>12,}"
            f" {row['decayed']:>12,}  {row['learns']:<14} x{row['rate']:.3g}"
        )
    return lines


def task_record(experiment: Experiment) -> dict[str, Any]:
    """Return what the data says about the task, for the run's record."""
    spec = experiment.spec
    return {
        "task": spec.task.name,
        "class_names": list(spec.class_names),
        "class_counts": list(spec.class_counts),
        "rows": {name: len(split) for name, split in experiment.data.splits.items()},
        "max_length": spec.max_length,
        "pairs": spec.has_pairs,
        "output_kind": spec.output_kind.value,
    }


def small_data_notes(experiment: Experiment, train: TrainConfig) -> list[str]:
    """Return what small data makes of settings that are left to the framework."""
    budget = experiment.budget
    notes = []
    if train.epochs is None and train.max_steps is None and budget.epochs > FEWEST_EPOCHS:
        notes.append(
            f"train.epochs is not set: {budget.epochs} epochs make {budget.total_steps} optimizer"
            f" steps; {FEWEST_EPOCHS} epochs, the usual choice, would be too few steps for"
            " fine-tuning to converge (Mosbach et al. 2021, Zhang et al. 2021)"
        )
    rows = len(experiment.data.validation)
    if rows < ENOUGH_VALIDATION_ROWS:
        weights = "best" if train.restores_best(rows) else "last"
        notes.append(
            f"the validation split has {counted(rows, 'row')}: one row is {1 / rows:.2g} of a share"
            f" such as accuracy, whose standard error is up to {0.5 / math.sqrt(rows):.2g}, so it"
            f" hardly tells epochs apart; the {weights} epoch's weights are scored"
            " (train.restore_best says which)"
        )
    return notes


def _count(variables: list[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _token_line(experiment: Experiment) -> str:
    """Return how long the rows are and how much of what is computed is padding."""
    lengths = experiment.batches.lengths
    cut = getattr(experiment.encodings["train"], "cut", 0)
    shortened = f", {cut} cut" if cut else ""
    return (
        f"mean {lengths.mean():.0f}, longest {lengths.max()} of at most"
        f" {experiment.spec.max_length} a row{shortened}; {measure_padding(experiment.batches)}"
    )
