"""From a checked recipe to Keras objects, in the one order their needs allow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from xferlab.compatibility import refuse_misfit
from xferlab.config.recipe import Recipe
from xferlab.config.schema import TrainConfig
from xferlab.contracts import Budget, Encoding, Split, TaskSpec, TextData, TextModel, TransferPlan
from xferlab.data.batching import BatchPlan, row_lengths
from xferlab.data.token_cache import encode_split
from xferlab.data.windows import windowed
from xferlab.errors import ConfigError, did_you_mean
from xferlab.functional.metrics import keras_form
from xferlab.functional.unseen_words import outside_of
from xferlab.models.plugin_head import head_argument
from xferlab.models.recomputed_layers import recompute_layers
from xferlab.training.average import RunAverage, StepPlan, chosen_average
from xferlab.training.evaluation import Forward, scores
from xferlab.training.fitted_head import FittedHead, bind_head, fix_head
from xferlab.training.frozen_weights import fixed_variables
from xferlab.training.network_cache import NETWORK_CACHE, CachedNetwork, TrainingSetup
from xferlab.training.objective import RunObjective, bind_objective, chosen_objective
from xferlab.training.optimizer_extensions import per_update
from xferlab.training.pairs import batch_plan
from xferlab.training.shared_step import SharedStep, parts_of_step
from xferlab.training.transfer_stack import apply_transfer
from xferlab.validation import defaults_of

if TYPE_CHECKING:
    import numpy as np

OWN_WAYS = {
    "use_ema": ("averages weights that no score is of", "; average=ema is scored"),
    "clipnorm": ("replaces train.max_grad_norm", "; train.max_grad_norm clips the global norm"),
    "clipvalue": (
        "train.max_grad_norm leaves without effect",
        "; train.max_grad_norm clips the norm",
    ),
    "gradient_accumulation_steps": (
        "is train.gradient_accumulation_steps's part",
        "; set train.gradient_accumulation_steps",
    ),
}
"""What a Keras optimizer can be built with and may not be here: why not, and what instead."""


@dataclass(frozen=True)
class Experiment:
    """Everything ``compile`` and ``fit`` need; holds live Keras objects.

    Attributes:
        data: texts and labels by split.
        train: the training examples, one for each row of ``encodings["train"]``: with windows, a
            text's labels for each of its windows.
        encodings: token ids by split.
        spec: the task, with the model's ``emits``.
        model: network, tokenizer and blocks.
        batches: the order of the training batches.
        total_batches: training batches of the whole run.
        budget: the same in optimizer steps.
        plan: phases and rates of the transfer strategy.
        learning_rate: what the schedule built, a float or a Keras schedule.
        optimizer: not yet built on any variable.
        loss: of labels and outputs.
        objective: computes what a training step minimises; None for the loss of one forward pass.
        fitted_head: the last layer, where the objective fits it.
        train_metrics: Keras metrics followed on the training batches.
        metrics: every metric, for whole splits, by logged name.
        forward: the network without dropout.
        example_arrays: ``weights`` of mean 1 and ``soft_labels`` of the training examples, those
            that they have.
        average: a second set of weights, which is scored and saved, if there is one.
        cache_frozen: compute what is frozen once for all epochs.
        micro_batches: slices that a training batch is computed in, for want of memory.
        cached: what a later run of this process may use again; None where there is none.
        step: has the optimizer, the loss and the metrics, where a later run may use them again.
        noted: notes of its phases that are in the log, each once.
    """

    data: TextData
    train: Split
    encodings: Mapping[str, Encoding]
    spec: TaskSpec
    model: TextModel
    batches: BatchPlan
    total_batches: int
    budget: Budget
    plan: TransferPlan
    learning_rate: Any
    optimizer: Any
    loss: Any
    train_metrics: list[Any]
    metrics: Mapping[str, Any]
    forward: Forward
    example_arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    objective: RunObjective | None = None
    fitted_head: FittedHead | None = None
    average: RunAverage | None = None
    cache_frozen: bool = True
    micro_batches: int = 1
    cached: CachedNetwork | None = None
    step: SharedStep | None = None
    noted: set[str] = field(default_factory=set)

    @property
    def fixed_variables(self) -> list[Any]:
        """The weights that no phase trains."""
        fitted = None if self.fitted_head is None else self.fitted_head.layer
        return fixed_variables(self.model, self.plan, fitted)

    def fit_head(self) -> None:
        """Fit the last layer to the training examples, where the objective does so."""
        if self.fitted_head is not None:
            self.fitted_head.fit(self.encodings["train"], self.data.train, self.spec)

    def evaluate(self, split: str) -> dict[str, float]:
        """Return the loss and every metric over a whole split."""
        return self.scores(*self.outputs(split))

    def outputs(self, split: str) -> tuple[Any, Any]:
        """Return labels and float32 outputs of a whole split, in the order of its rows."""
        return self.forward(self.encodings[split], self.data.splits[split].labels)

    def scores(self, labels: Any, outputs: Any, decisive: Any = None) -> dict[str, float]:
        """Return the loss and every metric of labels and outputs of a whole split."""
        return scores(self.loss, self.metrics, labels, outputs, decisive)


def assemble(recipe: Recipe, data: TextData, micro_batches: int = 1) -> Experiment:
    """Build model, tokens, batches, transfer, schedule, optimizer, loss and metrics, in order.

    Args:
        recipe: checked plugins.
        data: rows by split.
        micro_batches: slices that each batch is computed in, see ``backend.set_train_step``.
    """
    cached = NETWORK_CACHE.find(recipe, micro_batches)
    if cached is None:
        base = _training_setup(recipe, data, micro_batches)
        cached = NETWORK_CACHE.begin(recipe, micro_batches, base)
    else:
        base = cached.setup
        refuse_misfits(recipe, base.spec)
    trained = windowed(data, base.encodings["train"].owners)
    learning_rate = call_checked(
        "schedule", recipe.schedule.build, recipe.optimizer.lr, base.budget
    )
    step = _step(recipe, base, learning_rate, cached)
    return Experiment(
        data=data,
        encodings=base.encodings,
        spec=base.spec,
        model=base.model,
        batches=base.batches,
        total_batches=base.total_batches,
        budget=base.budget,
        plan=base.plan,
        learning_rate=learning_rate,
        optimizer=step.optimizer,
        loss=step.loss,
        train_metrics=step.metrics,
        metrics=_metrics(recipe, base.spec),
        forward=base.forward,
        example_arrays=_example_arrays(trained),
        train=trained.train,
        objective=bind_objective(
            recipe, trained, base.spec, base.model.network, step.loss, base.total_batches
        ),
        fitted_head=bind_head(chosen_objective(recipe), base.model, base.forward),
        average=_average(recipe, base),
        cache_frozen=recipe.train.cache_frozen,
        micro_batches=micro_batches,
        cached=cached,
        step=step if step.parts is not None else None,
    )


def _step(
    recipe: Recipe, base: TrainingSetup, learning_rate: Any, cached: CachedNetwork | None
) -> SharedStep:
    """Build optimizer, loss and metrics, or take those of an earlier run of this process."""
    parts = None if cached is None else parts_of_step(recipe)
    earlier = None if cached is None else cached.step
    if earlier is not None and earlier.parts == parts and earlier.accept(learning_rate):
        return earlier
    metrics = _metrics(recipe, base.spec).values()
    step = SharedStep(
        parts,
        learning_rate,
        optimizer=_optimizer(recipe, learning_rate, base.model.network),
        loss=call_checked("loss", recipe.loss.build, base.spec),
        metrics=[metric for metric in metrics if hasattr(metric, "update_state")],
    )
    if cached is not None:
        cached.step = step if parts is not None else None
    return step


def _example_arrays(data: TextData) -> dict[str, np.ndarray]:
    """Return weights and soft labels, as far as the training examples have them.

    Weights are divided by their mean: so their scale changes nothing, and a batch's loss is divided
    by its examples, not by their weights, whatever batch they are in.
    """
    train = data.train
    arrays = {}
    if train.weights is not None:
        arrays["weights"] = (train.weights / train.weights.mean(dtype="float64")).astype("float32")
    if train.soft_labels is not None:
        arrays["soft_labels"] = train.soft_labels
    return arrays


def _average(recipe: Recipe, base: TrainingSetup) -> RunAverage | None:
    plugin = chosen_average(recipe)
    if plugin is None:
        return None
    accumulation = recipe.train.gradient_accumulation_steps
    per_epoch = base.batches.steps_per_epoch
    return RunAverage(plugin, StepPlan(per_epoch, base.total_batches, accumulation, base.budget))


def _training_setup(recipe: Recipe, data: TextData, micro_batches: int) -> TrainingSetup:
    """Build model, tokens, batches and transfer."""
    train = recipe.train
    build = partial(recipe.model.build, **head_argument(recipe.model, recipe.head))
    model = call_checked("model", build, data.spec)
    if train.recompute:
        recompute_layers(model.network)
    spec = dataclasses.replace(data.spec, output_kind=model.output_kind)
    refuse_misfits(recipe, spec)
    encodings = {
        name: encode_split(model.tokenizer, split, spec) for name, split in data.splits.items()
    }
    data = windowed(data, encodings["train"].owners)
    batches = batch_plan(recipe, row_lengths(encodings["train"]), data.train.labels, spec)
    total_batches, budget = length_of_run(train, batches.steps_per_epoch)
    return TrainingSetup(
        model=model,
        spec=spec,
        encodings=encodings,
        batches=batches,
        total_batches=total_batches,
        budget=budget,
        plan=fix_head(
            chosen_objective(recipe), model, apply_transfer(recipe.transfer, model, budget)
        ),
        forward=Forward(
            model.network,
            model.tokenizer.pad_id,
            max(1, train.eval_batch_size // micro_batches),
            outside_of(spec.class_names),
        ),
    )


def refuse_misfits(recipe: Recipe, spec: TaskSpec) -> None:
    """Raise ConfigError if the loss or a metric does not take what it would be given."""
    refuse_misfit("loss", "loss", recipe.loss, spec)
    if recipe.objective is not None:
        refuse_misfit("objective", "objective", recipe.objective, spec)
    for name, metric in recipe.metrics.items():
        refuse_misfit(f"metric.{name}", "metric", metric, spec)


def length_of_run(train: TrainConfig, steps_per_epoch: int) -> tuple[int, Budget]:
    """Return the batches of the run, and its budget in optimizer steps.

    >>> length_of_run(TrainConfig(epochs=3), steps_per_epoch=10)
    (30, Budget(epochs=3, steps_per_epoch=10, total_steps=30))
    >>> length_of_run(TrainConfig(max_steps=7, accumulate=2), steps_per_epoch=10)
    (14, Budget(epochs=2, steps_per_epoch=5, total_steps=7))
    """
    updates = max(1, steps_per_epoch // train.gradient_accumulation_steps)
    total = train.epochs_of(updates) * steps_per_epoch
    if train.max_steps is not None:
        total = train.max_steps * train.gradient_accumulation_steps
    if total < train.gradient_accumulation_steps:
        raise ConfigError(
            f"the run has {total} batches, fewer than one optimizer step takes",
            where="train.gradient_accumulation_steps",
            fix=f"train.gradient_accumulation_steps={total}, or train.batch_size smaller",
        )
    epochs = -(-total // steps_per_epoch)  # ceil: the last epoch may be cut short
    return total, Budget(epochs, updates, total // train.gradient_accumulation_steps)


def _optimizer(recipe: Recipe, learning_rate: Any, network: Any) -> Any:
    """Build the optimizer and give it the run's clipping and accumulation."""
    _refuse_idle_names(recipe.optimizer, network)
    learning_rate = per_update(learning_rate, recipe.train.gradient_accumulation_steps)
    optimizer = call_checked("optimizer", recipe.optimizer.build, learning_rate)
    _refuse_own_ways(optimizer)
    optimizer.global_clipnorm = recipe.train.max_grad_norm
    if recipe.train.gradient_accumulation_steps > 1:
        optimizer.gradient_accumulation_steps = recipe.train.gradient_accumulation_steps
    return optimizer


def _refuse_own_ways(optimizer: Any) -> None:
    """Raise ConfigError for what a Keras optimizer can do by itself and the framework does for it.

    Keras swaps averaged weights in at the end of each epoch of ``fit``, behind the back of scores,
    checkpoints and phases; of several ways to clip it takes one and passes over the others; an
    accumulation of its own leaves the schedule counting other steps.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for name, instead in OWN_WAYS.items():
        value = getattr(inner, name, None)
        if value:
            raise ConfigError(
                f"this optimizer has {name}={value}, which {instead[0]}",
                where="optimizer",
                fix=f"build it without {name}{instead[1]}",
            )


def _refuse_idle_names(plugin: Any, network: Any) -> None:
    """Raise ConfigError for a name in ``no_decay``, none of its defaults, that excludes nothing."""
    usual = defaults_of(type(plugin)).get("no_decay", ())
    known = {part for weight in network.weights for part in weight.path.split("/")}
    for name in getattr(plugin, "no_decay", ()):
        if name not in known and name not in usual:
            raise ConfigError(
                f"no variable or layer of the network is called '{name}'",
                where="optimizer.no_decay",
                fix=did_you_mean(name, known),
            )


def _metrics(recipe: Recipe, spec: TaskSpec) -> dict[str, Any]:
    metrics = {}
    for name, plugin in recipe.metrics.items():
        metric = call_checked(f"metric.{name}", plugin.build, spec)
        metrics[name] = keras_form(metric)
    return metrics


def call_checked(key: str, function: Any, *arguments: Any) -> Any:
    """Call a plugin's method; a ValueError becomes a ConfigError with its key."""
    try:
        return function(*arguments)
    except ConfigError:
        raise
    except ValueError as e:
        length = " or the length of the run" if key == "schedule" else ""
        raise ConfigError(str(e), where=key, fix=f"change {key}{length}") from e
