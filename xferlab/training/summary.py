"""The summary before training: data, weights, blocks, the planned learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xferlab.backend.graphs import evaluate_schedule
from xferlab.backend.train_step import PART
from xferlab.config.schema import ENOUGH_VALIDATION_ROWS, FEWEST_EPOCHS, TrainConfig
from xferlab.contracts import TransferPlan
from xferlab.data.batching import measure_padding
from xferlab.errors import printable
from xferlab.formatting import format_count, format_learning_rate
from xferlab.functional.optimizers import decays
from xferlab.functional.schedules import rates_of
from xferlab.training.assemble import Experiment

if TYPE_CHECKING:
    import numpy as np


def planned_rates(learning_rate: Any, total_steps: int) -> np.ndarray:
    """Return the learning rate of every optimizer step of the run, float32 (total_steps,)."""
    import numpy as np

    if not callable(learning_rate):
        return np.full(total_steps, float(learning_rate), dtype="float32")
    table = rates_of(learning_rate)
    if table is not None:
        return table[np.minimum(np.arange(total_steps), len(table) - 1)]
    return evaluate_schedule(learning_rate, total_steps)


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
    """Return for each block its parameters, when it is trained, its learning-rate multiplier.

    ``decayed`` counts the trainable parameters that weight decay applies to.
    """
    rows = []
    *_, head = experiment.model.blocks
    undecayed = {
        path for group in experiment.plan.groups if not group.decay for path in group.paths
    }
    for block, layers in experiment.model.blocks.items():
        get_layer = experiment.model.network.get_layer
        variables = [weight for layer in layers for weight in get_layer(layer).weights]
        phases = _phases_of(experiment.plan, block) if any(v.trainable for v in variables) else []
        trainable = [v for v in variables if v.trainable] if phases else []
        decayed = [v for v in trainable if v.path not in undecayed]
        rows.append(
            {
                "block": block,
                "parameters": _count(variables),
                "trainable": _count(trainable),
                "decayed": _count([v for v in decayed if decays(experiment.optimizer, v)]),
                "trained_in": "fitted"
                if experiment.fitted_head is not None and block == head
                else _format_phases(phases, len(experiment.plan.phases)),
                "rate": experiment.plan.rates.get(block, 1.0) if phases else 0.0,
            }
        )
    return rows


def _phases_of(plan: TransferPlan, block: str) -> list[int]:
    """Return the numbers, counted from 1, of the phases that train a block."""
    phases = enumerate(plan.phases, start=1)
    return [number for number, phase in phases if block not in phase.frozen]


def _format_phases(phases: Sequence[int], total: int) -> str:
    if not phases:
        return "frozen"
    if len(phases) == total:
        return "every phase"
    return f"phase {', '.join(map(str, phases))}"


def class_weights(experiment: Experiment) -> dict[str, float]:
    """Return the loss weight of each class; with several labels, of each label that is present."""
    weights = getattr(experiment.loss, "shown_class_weights", None)
    if weights is None:
        return {}
    return dict(zip(experiment.spec.class_names, map(float, weights), strict=True))


def summary_lines(experiment: Experiment, rates: np.ndarray) -> list[str]:
    """Return the lines that the log shows before the first step."""
    spec = experiment.spec
    splits = experiment.data.splits
    named = ", ".join(map(printable, spec.class_names[:8]))
    classes = f", classes {named}" if spec.class_names else ""
    more = f" and {spec.num_classes - 8} more" if spec.num_classes > 8 else ""
    lines = [
        f"task       {spec.task.name}{classes}{more}",
        "examples   " + ", ".join(f"{name} {len(split):,}" for name, split in splits.items()),
        *_label_lines(experiment),
        f"tokens     {_token_line(experiment)}",
        f"padding    {measure_padding(experiment.batches)}",
        f"weights    {experiment.model.origin.get('line', 'freshly initialised')}",
    ]
    reading = experiment.model.origin.get("reading", {})
    lines += [f"{key:<10} {printable(text)}" for key, text in reading.items()]
    weights = [f"{name} {weight:.3g}" for name, weight in class_weights(experiment).items()]
    if weights:
        lines.append(f"loss       class weights: {', '.join(weights)}")
    lines += _example_lines(experiment)
    if experiment.objective is not None:
        parts = [f"{PART}{name}" for name in experiment.objective.parts]
        logged = f"; logged beside the loss: {', '.join(parts)}" if parts else ""
        lines.append(f"objective  {experiment.objective.name}{logged}")
    if experiment.average is not None:
        lines.append(f"average    {experiment.average.name}: it is scored, saved and exported")
    plan = schedule_plan(experiment, rates)
    marks = [
        f"{name} {format_learning_rate(mark['rate'])} (step {mark['step']})"
        for name, mark in plan["learning_rate"].items()
    ]
    accumulation = experiment.optimizer.gradient_accumulation_steps or 1
    size = experiment.batches.batch_size * accumulation
    lines += [
        f"length     {format_count(plan['epochs'], 'epoch')}, {format_count(plan['steps'], 'step')}"
        f" of {format_count(size, experiment.batches.unit)}",
        f"schedule   learning rate {', '.join(marks)}",
    ]
    peak = plan["learning_rate"]["peak"]["rate"]
    return [*lines, *_block_table(experiment, peak), *_group_lines(experiment, peak)]


def _example_lines(experiment: Experiment) -> list[str]:
    """Return a line on what the training examples have beside labels; none without any of it."""
    train = experiment.data.train
    parts = []
    weights = experiment.example_arrays.get("weights")
    if weights is not None:
        parts.append(f"weights from {weights.min():.3g} to {weights.max():.3g}, of mean 1")
    if train.soft_labels is not None:
        parts.append("soft labels")
    if train.groups is not None:
        parts.append(format_count(len(set(train.groups.tolist())), "group"))
    if experiment.batches.strata is not None:
        parts.append("as many examples of each class in an epoch")
    return [f"trained on {', '.join(parts)}"] if parts else []


def _block_table(experiment: Experiment, peak: float) -> list[str]:
    """Return a table of the blocks: parameters, phases, peak learning rate."""
    header = ("block", "parameters", "trainable", "weight decay", "trained in", "peak rate")
    lines = ["{:<14} {:>12} {:>12} {:>12}  {:<14} {:>9}".format(*header)]
    for row in parameter_rows(experiment):
        rate = format_learning_rate(peak * row["rate"]) if row["rate"] else "-"
        lines.append(
            f"{row['block']:<14} {row['parameters']:>12,} {row['trainable']:>12,}"
            f" {row['decayed']:>12,}  {row['trained_in']:<14} {rate:>9}"
        )
    return lines


def _group_lines(experiment: Experiment, peak: float) -> list[str]:
    """Return a line for blocks with fresh weights, and one for each group of variables."""
    model = experiment.model
    plan = experiment.plan
    layers = {layer: block for block, names in model.blocks.items() for layer in names}
    factors: dict[str, float] = {}
    for group in plan.groups:
        for path in group.paths:
            of_block = plan.rates.get(layers.get(path.partition("/")[0], ""), 1.0)
            factors[path] = factors.get(path, of_block) * group.rate
    variables = {variable.path: variable for variable in model.network.weights}
    lines = [f"fresh      weights drawn anew: {', '.join(plan.fresh)}"] if plan.fresh else []
    for group in plan.groups:
        rates = sorted({peak * factors[path] for path in group.paths})
        ends = dict.fromkeys(format_learning_rate(rate) for rate in (rates[0], rates[-1]))
        how = f"peak rate {' to '.join(ends)}, weight decay x{group.decay:g}"
        lines.append(
            f"group      {group.name}: {format_count(len(group.paths), 'variable')},"
            f" {_count([variables[path] for path in group.paths]):,} parameters,"
            f" {how if rates[-1] else 'frozen'}"
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
        **({} if spec.windows is None else {"windows": spec.windows}),
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
    size = len(experiment.data.validation)
    if size < ENOUGH_VALIDATION_ROWS:
        weights = "best" if train.restores_best(size) else "last"
        notes.append(
            f"the validation split has {format_count(size, 'example')}: one changes the accuracy by"
            f" {1 / size:.2g}, and its standard error is up to {0.5 / math.sqrt(size):.2g}, so it"
            f" hardly distinguishes epochs; the {weights} epoch's weights are scored"
            " (train.restore_best chooses)"
        )
    return notes


def _count(variables: list[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _label_lines(experiment: Experiment) -> list[str]:
    """Return a line on the training labels; none for a task without labels."""
    text = experiment.spec.task.describe_labels(experiment.data.train, experiment.spec)
    return [f"labels     {printable(text)}"] if text else []


def _token_line(experiment: Experiment) -> str:
    """Return how long the training examples are."""
    import numpy as np

    lengths = experiment.batches.lengths
    cut = getattr(experiment.encodings["train"], "cut", 0)
    truncated = f", {cut} truncated ({cut / len(lengths):.1%})" if cut else ""
    if experiment.spec.windows is not None:
        truncated = f", {len(lengths):,} windows of {len(experiment.data.train):,} examples"
    most = np.percentile(lengths, 95)
    return (
        f"mean {lengths.mean():.0f}, 95% up to {most:.0f}, longest {lengths.max()}"
        f" (limit {experiment.spec.max_length}){truncated}"
    )
