"""Looks once, before the first step, whether model, loss, metrics and schedule are what they say.

Declared pairs are checked by ``compatibility``, rows and labels by ``data_rules``. Here the first
batch is fed to the network, and the loss and the metrics are examined. A lie is an error that names
the plugin which told it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from xferlab.checks.loss import check_loss, probe_loss_batch
from xferlab.checks.metric import check_metric
from xferlab.checks.probe_batch import Lie
from xferlab.checks.tokenizer import token_notes
from xferlab.compatibility import contract_violation, name_and_origin
from xferlab.config.recipe import Recipe
from xferlab.contracts import OutputKind, Task
from xferlab.data.batching import Batch, batch_arrays
from xferlab.errors import PluginError, XferlabError
from xferlab.registry import REGISTRY, Registry
from xferlab.training.assemble import Experiment
from xferlab.training.evaluation import input_names

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

MOST_ROWS = 16
"""Rows of the first batch that are looked at."""
FLOOR = 1e-5
"""Share of the peak rate below which a step learns nothing."""
HOT = 1e-3
"""Rate from which on Adam and its kin are known to undo pretrained weights."""


def inspect(
    experiment: Experiment, recipe: Recipe, rates: np.ndarray, registry: Registry = REGISTRY
) -> list[str]:
    """Raise PluginError for the first lie that is found; return notes for the log.

    Args:
        experiment: assembled, not yet compiled; nothing in it is changed.
        recipe: the plugins it came from.
        rates: planned learning rate of every optimizer step, (total_steps,).
        registry: where the plugins' names and files are looked up.
    """

    def ask(group: str, plugin: Any, question: Callable[..., T], *arguments: Any) -> T:
        try:
            return question(*arguments)
        except XferlabError:
            raise
        except Exception as e:  # a stranger's plugin may raise anything
            raise _failure(group, plugin, e, registry) from e

    def examine(group: str, plugin: Any, question: Callable[..., Any], *arguments: Any) -> None:
        found: Lie | None = ask(group, plugin, question, *arguments)
        if found:
            what, fix = found
            raise contract_violation(group, plugin, what, fix, registry)

    spec, labels = experiment.spec, experiment.data.train.labels
    examine("schedule", recipe.schedule, _schedule_violation, rates)
    examine("model", recipe.model, _tokenizer_violation, experiment)
    inputs, some_labels = _first_batch(experiment)
    raw = ask("model", recipe.model, _feed, experiment.model.network, inputs)
    examine("model", recipe.model, _model_violation, experiment, inputs, raw)
    examine("loss", recipe.loss, check_loss, experiment.loss, spec, labels)
    examine("loss", recipe.loss, probe_loss_batch, experiment.loss, some_labels, _floats(raw))
    for name, plugin in recipe.metrics.items():
        metric, mode = experiment.metrics[name], plugin.mode
        examine("metric", plugin, check_metric, metric, mode, spec, labels)
    return [*token_notes(experiment), *_notes(experiment, rates)]


def _failure(group: str, plugin: Any, e: Exception, registry: Registry) -> PluginError:
    """Return the error for a plugin that raised ``e``, with the line in its file if it is there."""
    name, origin = name_and_origin(group, plugin, registry)
    file = origin.rpartition(":")[0]
    frames = traceback.extract_tb(e.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return PluginError(
        f"{name} fails when it is tried out: {type(e).__name__}: {_told(e)}",
        where=f"{file}:{lines[-1]}" if lines else origin,
        fix="mend it at that line",
    )


def _told(e: Exception) -> str:
    """Return the first line of a message that says something, without Keras' frame around it."""
    text = re.sub(r"\x1b\[\d*m|\{\{.*?\}\} ?| \[Op:.*", "", str(e))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return (told or lines or [""])[0][:200]


def _schedule_violation(rates: np.ndarray) -> Lie | None:
    """Return what is wrong with the planned rates; steps are counted from 1."""
    import numpy as np

    steps = len(rates)
    broken = np.flatnonzero(~np.isfinite(rates) | (rates < 0))
    if len(broken):
        what = f"plans the rate {rates[broken[0]]:.3g} at step {broken[0] + 1} of {steps}"
        return what, "every rate must be a number from 0 up"
    if not rates.any():
        return f"plans the rate 0 for all {steps} steps", "give at least one step a rate above 0"
    last = int(np.flatnonzero(rates > FLOOR * rates.max())[-1]) + 1
    if steps - last > max(1, 0.4 * steps):  # the last step may always have the rate 0
        what = f"ends early: from step {last + 1} of {steps} on the rate is {rates[last]:.3g}"
        return what, "stretch it over budget.total_steps"
    return None


def _tokenizer_violation(experiment: Experiment) -> Lie | None:
    if experiment.spec.task is not Task.token_classification:
        return None
    if all(encoding.word_ids is not None for encoding in experiment.encodings.values()):
        return None
    what = "has a tokenizer that does not say which word a token belongs to"
    return what, "return Encoding(word_ids=...) for lists of words"


def _first_batch(experiment: Experiment) -> tuple[dict[str, Any], np.ndarray]:
    """Return inputs and labels of the first training batch, or of its first rows."""
    batch = next(experiment.batches.steps(0, 1))
    few = Batch(batch.rows[:MOST_ROWS], batch.length)
    labels, pad_id = experiment.data.train.labels, experiment.model.tokenizer.pad_id
    return batch_arrays(experiment.encodings["train"], labels, few, pad_id)


def _feed(network: Any, inputs: dict[str, Any], rows: int | None = None) -> Any:
    return network({name: inputs[name][:rows] for name in input_names(network)}, training=False)


def _floats(raw: Any) -> np.ndarray:
    import numpy as np

    return np.asarray(raw, dtype="float32")


def _model_violation(experiment: Experiment, inputs: dict[str, Any], raw: Any) -> Lie | None:
    import keras
    import numpy as np

    spec = experiment.spec
    if not hasattr(raw, "shape"):
        return f"gives a {type(raw).__name__} instead of one array", "return one output"
    axes = 2 if spec.task is Task.token_classification else 1
    wanted = (*inputs["token_ids"].shape[:axes], spec.num_outputs)
    if tuple(raw.shape) != wanted:
        what = f"gives outputs of shape {tuple(raw.shape)}; {spec.task.value} needs {wanted}"
        return what, f"the last axis is spec.num_outputs={spec.num_outputs}"
    if "float" not in (kind := keras.backend.standardize_dtype(raw.dtype)):
        return f"gives {kind} outputs", "give floating-point outputs"
    outputs = _floats(raw)
    broken = int((~np.isfinite(outputs)).sum())
    if broken:
        what = f"gives {broken} of {outputs.size} outputs that are no finite number"
        return what, "look at its weights, and for divisions by 0"
    if spec.output_kind is OutputKind.probabilities:
        return _probability_violation(outputs, spec.task)
    if _within_unit(outputs) and _stays_within_unit(experiment, inputs):
        return _bounded_violation(experiment, outputs)
    return None


def _probability_violation(outputs: np.ndarray, task: Task) -> Lie | None:
    """Return the lie of a model that says it emits probabilities."""
    sums = outputs.sum(axis=-1)
    if not _within_unit(outputs):
        what = f"they go from {outputs.min():.3g} to {outputs.max():.3g}"
    elif task is not Task.multi_label and abs(sums - 1).max() > 0.02:
        what = f"those of a row sum to {sums.flat[abs(sums - 1).argmax()]:.3g}"
    else:
        return None
    ending = "a sigmoid" if task is Task.multi_label else "a softmax"
    return f"says it emits probabilities, but {what}", f"say OutputKind.logits, or add {ending}"


def _bounded_violation(experiment: Experiment, outputs: np.ndarray) -> Lie | None:
    """Return the lie of a model whose outputs never leave [0, 1] though they should."""
    said, labels = experiment.spec.output_kind, experiment.data.train.labels
    if said is not OutputKind.values:
        softmax = outputs.shape[-1] > 1 and abs(outputs.sum(axis=-1) - 1).max() < 0.02
        kind = "a softmax (each row sums to 1)" if softmax else "a sigmoid (all in [0, 1])"
        what = f"says it emits {said.value}, but they come out of {kind}, whatever its weights are"
        return what, "remove the last activation, or say OutputKind.probabilities"
    if (outputs == 1).all():
        return "gives the value 1 whatever the text is: a softmax of one output", "remove it"
    low, high = min(labels), max(labels)
    if low >= 0 and high <= 1:
        return None
    what = f"gives values from 0 to 1 alone, but labels go from {low:g} to {high:g}"
    return what, "remove the last activation, or scale the labels"


def _within_unit(outputs: np.ndarray) -> bool:
    return bool((outputs >= -1e-4).all() and (outputs <= 1.01).all())


def _stays_within_unit(experiment: Experiment, inputs: dict[str, Any]) -> bool:
    """Whether outputs stay in [0, 1] for any weights of the last layer; its own are put back.

    Logits of one batch may happen to lie there, or be 0 at the start. With large random weights,
    and with their negatives, only what is squeezed into [0, 1] does.
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
            drawn = [random.normal(0.0, 3.0, w.shape) for w in weights]
            for sign in (1, -1):
                for weight, value in zip(weights, drawn, strict=True):
                    weight.assign(sign * value)
                if not _within_unit(_floats(_feed(network, inputs, rows=4))):
                    return False
        return True
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)


def _notes(experiment: Experiment, rates: np.ndarray) -> Iterator[str]:
    """Yield what is allowed and rarely meant."""
    import keras

    plan, peak = experiment.plan, float(rates.max())
    *body, _ = experiment.model.blocks
    learning = [b for b in body if any(b not in phase.frozen for phase in plan.phases)]
    still = [b for b in learning if plan.rates.get(b, 1.0) == 0 and _trainable(experiment, [b])[0]]
    if still:
        yield f"{', '.join(still)} learns at the rate 0 without being frozen, which costs time"
    hot = [b for b in learning if peak * plan.rates.get(b, 1.0) >= 0.999 * HOT]
    in_full = _trainable(experiment, hot)[0] > _trainable(experiment, body)[1] / 2
    optimizers = keras.optimizers
    adams = (optimizers.Adam, optimizers.Nadam, optimizers.Adamax, optimizers.Lion)
    is_adam = isinstance(experiment.optimizer, adams)
    if experiment.model.origin.get("pretrained") and is_adam and in_full:
        yield (
            f"a pretrained encoder learns in full at up to {peak:.2g}, which most do not bear;"
            " 1e-5 to 5e-5 is usual: optimizer.lr=3e-5"
        )


def _trainable(experiment: Experiment, blocks: Sequence[str]) -> tuple[int, int]:
    """Return the trainable and all parameters of some blocks."""
    import math

    network, names = experiment.model.network, experiment.model.blocks
    weights = [w for b in blocks for name in names[b] for w in network.get_layer(name).weights]
    sizes = [(math.prod(w.shape), w.trainable) for w in weights]
    return sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes)
