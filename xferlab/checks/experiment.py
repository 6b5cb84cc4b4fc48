"""Checks of model, loss, metrics and schedule against what they declare, before the first step.

``compatibility`` compares declarations, ``checks.data`` checks examples and labels. Here the first
batch is fed to the network, and the loss and the metrics get probe batches. A contract violation is
an error that names the plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from xferlab.checks.average import check_average
from xferlab.checks.loss import check_loss, check_loss_on_batch, check_weighted_loss
from xferlab.checks.metric import check_metric
from xferlab.checks.objective import check_objective
from xferlab.checks.postprocess import check_postprocess
from xferlab.checks.probe_batch import ContractViolation
from xferlab.checks.tokenizer import token_notes
from xferlab.compatibility import contract_violation, plugin_failure
from xferlab.config.recipe import Recipe
from xferlab.contracts import OutputKind, Task
from xferlab.data.batching import Batch, batch_arrays
from xferlab.errors import XferlabError
from xferlab.postprocessing.steps import chosen_steps
from xferlab.registry import REGISTRY, Registry
from xferlab.training.assemble import Experiment
from xferlab.training.evaluation import input_names

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

MAX_EXAMPLES = 16
"""Examples of the first batch that are checked."""
FLOOR = 1e-5
"""Fraction of the peak rate below which a step changes nothing."""
HIGH_RATE = 1e-3
"""Rate from which on Adam and its variants destroy pretrained weights."""


def inspect(
    experiment: Experiment, recipe: Recipe, rates: np.ndarray, registry: Registry = REGISTRY
) -> list[str]:
    """Raise PluginError for the first contract violation; return notes for the log.

    Args:
        experiment: assembled, not yet compiled; nothing in it is changed.
        recipe: the plugins it came from.
        rates: planned learning rate of every optimizer step, (total_steps,).
        registry: where the plugins' names and files are found.
    """

    def call(group: str, plugin: Any, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return function(*arguments)
        except XferlabError:
            raise
        except Exception as e:  # a plugin of others may raise anything
            raise plugin_failure(group, plugin, e, "fails its check", registry) from e

    def check(group: str, plugin: Any, function: Callable[..., Any], *arguments: Any) -> None:
        violation: ContractViolation | None = call(group, plugin, function, *arguments)
        if violation:
            what, fix = violation
            raise contract_violation(group, plugin, what, fix, registry)

    spec = experiment.spec
    labels = experiment.train.labels
    check("schedule", recipe.schedule, check_planned_rates, rates)
    check("model", recipe.model, _check_tokenizer, experiment)
    inputs, batch_labels = _first_batch(experiment)
    cached = experiment.cached
    raw = None if cached is None else cached.outputs
    if raw is None:
        raw = call("model", recipe.model, _feed, experiment.model.network, inputs)
        check("model", recipe.model, _check_outputs, experiment, inputs, raw)
    passed = [] if cached is None else cached.checked
    if recipe.loss not in passed:
        check("loss", recipe.loss, check_loss, experiment.loss, spec, labels)
        check("loss", recipe.loss, check_loss_on_batch, experiment.loss, batch_labels, _floats(raw))
        check("loss", recipe.loss, _check_example_arrays, experiment, batch_labels, _floats(raw))
    if experiment.objective is not None:
        check("objective", recipe.objective, check_objective, experiment)
    if experiment.average is not None:
        check("average", recipe.average, check_average, experiment.average)
    check_postprocess(chosen_steps(recipe.postprocess), spec, experiment.data.validation.labels)
    for name, plugin in recipe.metrics.items():
        metric = experiment.metrics[name]
        mode = plugin.mode
        if plugin not in passed:
            check("metric", plugin, check_metric, metric, mode, spec, labels)
    if cached is not None:
        cached.outputs = raw
        cached.checked += [recipe.loss, *recipe.metrics.values()]
    return [*token_notes(experiment), *_notes(experiment, rates)]


def check_planned_rates(rates: np.ndarray) -> ContractViolation | None:
    """Return what is wrong with the planned rates; steps are counted from 1."""
    import numpy as np

    steps = len(rates)
    broken = np.flatnonzero(~np.isfinite(rates) | (rates < 0))
    if len(broken):
        what = f"plans the rate {rates[broken[0]]:.3g} at step {broken[0] + 1} of {steps}"
        return what, "every rate must be a number >= 0"
    if not rates.any():
        return f"plans the rate 0 for all {steps} steps", "give at least one step a rate above 0"
    last = int(np.flatnonzero(rates > FLOOR * rates.max())[-1]) + 1
    if steps - last > max(1, 0.4 * steps):  # the last step may always have the rate 0
        what = f"ends early: from step {last + 1} of {steps} the rate is {rates[last]:.3g}"
        return what, "stretch it over budget.total_steps"
    return None


def _check_tokenizer(experiment: Experiment) -> ContractViolation | None:
    if not experiment.spec.task.is_per_word:
        return None
    if all(encoding.word_ids is not None for encoding in experiment.encodings.values()):
        return None
    what = "has a tokenizer that gives no word_ids, the word of each token"
    return what, "return Encoding(word_ids=...) for lists of words"


def _first_batch(experiment: Experiment) -> tuple[dict[str, Any], np.ndarray]:
    """Return inputs and labels of the first training batch, or of its first examples."""
    batch = next(experiment.batches.steps(0, 1))
    few = Batch(batch.rows[:MAX_EXAMPLES], batch.length)
    labels = experiment.train.labels
    pad_id = experiment.model.tokenizer.pad_id
    return batch_arrays(experiment.encodings["train"], labels, few, pad_id)


def _check_example_arrays(
    experiment: Experiment, labels: np.ndarray, outputs: np.ndarray
) -> ContractViolation | None:
    """Return what the loss violates with the weights and the soft labels of the first examples."""
    rows = next(experiment.batches.steps(0, 1)).rows[: len(labels)]
    own = {name: values[rows] for name, values in experiment.example_arrays.items()}
    if "soft_labels" in own:
        labels = own["soft_labels"]
        violation = check_loss_on_batch(experiment.loss, labels, outputs)
        if violation is not None:
            return violation
    if "weights" in own:
        return check_weighted_loss(experiment.loss, labels, outputs, own["weights"])
    return None


def _feed(network: Any, inputs: dict[str, Any], rows: int | None = None) -> Any:
    return network({name: inputs[name][:rows] for name in input_names(network)}, training=False)


def _floats(raw: Any) -> np.ndarray:
    import numpy as np

    return np.asarray(raw, dtype="float32")


def _check_outputs(
    experiment: Experiment, inputs: dict[str, Any], raw: Any
) -> ContractViolation | None:
    import keras
    import numpy as np

    spec = experiment.spec
    if not hasattr(raw, "shape"):
        return f"gives a {type(raw).__name__} instead of one array", "return one output"
    axes = 2 if spec.task.is_per_word else 1
    width = spec.num_outputs or raw.shape[-1]  # 0: the model decides
    wanted = (*inputs["token_ids"].shape[:axes], width)
    if tuple(raw.shape) != wanted:
        what = f"gives outputs of shape {tuple(raw.shape)}; {spec.task.name} needs {wanted}"
        return what, f"the last axis is spec.num_outputs={spec.num_outputs}"
    if "float" not in (kind := keras.backend.standardize_dtype(raw.dtype)):
        return f"gives {kind} outputs", "give floating-point outputs"
    outputs = _floats(raw)
    broken = int((~np.isfinite(outputs)).sum())
    if broken:
        what = f"gives {broken} of {outputs.size} outputs that are not finite"
        return what, "check its weights, and divisions by 0"
    if spec.output_kind is OutputKind.probabilities:
        return _check_probabilities(outputs, spec.task)
    if spec.task.encodes_texts_apart:
        return None
    if _within_unit(outputs) and _stays_within_unit(experiment, inputs):
        return _check_bounds(experiment, outputs)
    return None


def _check_probabilities(outputs: np.ndarray, task: Task) -> ContractViolation | None:
    """Return the violation of a model that declares probabilities."""
    sums = outputs.sum(axis=-1)
    if not _within_unit(outputs):
        what = f"they go from {outputs.min():.3g} to {outputs.max():.3g}"
    elif task.is_exclusive and abs(sums - 1).max() > 0.02:
        what = f"those of an example sum to {sums.flat[abs(sums - 1).argmax()]:.3g}"
    else:
        return None
    activation = "softmax" if task.is_exclusive else "sigmoid"
    fix = f"declare OutputKind.logits, or add a {activation}"
    return f"declares probabilities, but {what}", fix


def _check_bounds(experiment: Experiment, outputs: np.ndarray) -> ContractViolation | None:
    """Return the violation of a model whose outputs never leave [0, 1] though they should."""
    declared = experiment.spec.output_kind
    labels = experiment.train.labels
    if declared is not OutputKind.values:
        is_softmax = outputs.shape[-1] > 1 and abs(outputs.sum(axis=-1) - 1).max() < 0.02
        kind = "a softmax (each example sums to 1)" if is_softmax else "a sigmoid (all in [0, 1])"
        what = f"declares {declared.value}, but for all weights they are the result of {kind}"
        return what, "remove the last activation, or declare OutputKind.probabilities"
    if (outputs == 1).all():
        return "gives the value 1 for every text: a softmax of one output", "remove it"
    low = float(labels.min())
    high = float(labels.max())
    if low >= 0 and high <= 1:
        return None
    what = f"gives only values from 0 to 1, but labels go from {low:g} to {high:g}"
    return what, "remove the last activation, or scale the labels"


def _within_unit(outputs: np.ndarray) -> bool:
    return bool((outputs >= -1e-4).all() and (outputs <= 1.01).all())


def _stays_within_unit(experiment: Experiment, inputs: dict[str, Any]) -> bool:
    """Return whether outputs stay in [0, 1] for any weights of the last layer; it keeps its own.

    Logits of one batch may be there by chance, or be 0 at the start. With large random weights, and
    with their negatives, only outputs of a sigmoid or softmax are.
    """
    import numpy as np

    network = experiment.model.network
    *_, head = experiment.model.blocks.values()
    layers = [layer for layer in map(network.get_layer, head) if layer.weights] or [network]
    weights = [w for w in layers[-1].weights if "float" in str(w.dtype)]
    before = [np.array(w) for w in weights]
    random = np.random.default_rng(0)
    try:
        for _ in range(2):
            sampled = [random.normal(0.0, 3.0, w.shape) for w in weights]
            for sign in (1, -1):
                for weight, value in zip(weights, sampled, strict=True):
                    weight.assign(sign * value)
                if not _within_unit(_floats(_feed(network, inputs, rows=4))):
                    return False
        return True
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)


def _notes(experiment: Experiment, rates: np.ndarray) -> Iterator[str]:
    """Yield a line for what is allowed but rarely intended."""
    import keras

    plan = experiment.plan
    peak = float(rates.max())
    *body, _ = experiment.model.blocks
    trained = [b for b in body if any(b not in phase.frozen for phase in plan.phases)]
    at_zero = [b for b in trained if plan.rates.get(b, 1.0) == 0 and _trainable(experiment, [b])[0]]
    if at_zero:
        names = ", ".join(at_zero)
        yield f"{names} has the learning rate 0 without being frozen, which costs time"
    fast = [b for b in trained if peak * plan.rates.get(b, 1.0) >= 0.999 * HIGH_RATE]
    in_full = _trainable(experiment, fast)[0] > _trainable(experiment, body)[1] / 2
    optimizers = keras.optimizers
    adams = (optimizers.Adam, optimizers.Nadam, optimizers.Adamax, optimizers.Lion)
    is_adam = isinstance(experiment.optimizer, adams)
    if experiment.model.origin.get("pretrained") and is_adam and in_full:
        yield (
            f"a pretrained encoder is trained with rates up to {peak:.2g}, which destroys most;"
            " 1e-5 to 5e-5 is usual: optimizer.lr=3e-5"
        )


def _trainable(experiment: Experiment, blocks: Sequence[str]) -> tuple[int, int]:
    """Return the numbers of trainable and of all parameters of some blocks."""
    import math

    network = experiment.model.network
    names = experiment.model.blocks
    weights = [w for b in blocks for name in names[b] for w in network.get_layer(name).weights]
    sizes = [(math.prod(w.shape), w.trainable) for w in weights]
    return sum(size for size, is_trainable in sizes if is_trainable), sum(size for size, _ in sizes)
