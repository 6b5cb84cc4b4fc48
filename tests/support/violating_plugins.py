"""Third-party plugins for the combination tests: a few honest ones, and many that lie.

Each is written as someone might write it by mistake.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from xferlab import (
    Accepts,
    Encoding,
    LabelKind,
    Moment,
    Needs,
    OutputKind,
    Split,
    Take,
    Task,
    TaskSpec,
    TextData,
    TextModel,
)
from xferlab.registry import REGISTRY

PLUGINS: dict[tuple[str, str], type] = {}
EVERY_LABEL = tuple(LabelKind)
CLASSES = (OutputKind.logits, OutputKind.probabilities)


def plugin(group: str, name: str) -> Callable[[type], type]:
    def mark(cls: type) -> type:
        PLUGINS[group, name] = dataclass(frozen=True)(cls)
        return PLUGINS[group, name]

    return mark


@contextmanager
def registered(names: set[str]) -> Iterator[None]:
    """Have plugins of this file in the registry for a while."""
    added = {key: cls for key, cls in PLUGINS.items() if key[1] in names}
    for key, cls in added.items():
        REGISTRY.add(*key, cls)
    try:
        yield
    finally:
        for key in added:  # others may have been loaded in between
            del REGISTRY._entries[key]


# -- data ------------------------------------------------------------------------------------------

TEXTS = ("a good film", "bad", "not so good a plot", "fine cast and a fine plot", "poor", "great")
TAGS = ("B-PER", "I-PER", "O")


def rows(labels: Any, *, pairs: bool = False, tagged: bool = False, times: int = 2) -> Split:
    """Return six rows, several times over."""
    texts = [text.split() for text in TEXTS] if tagged else list(TEXTS)
    if tagged:
        labels = [np.array(row) for row in labels] * times
    else:
        labels = np.concatenate([np.asarray(labels)] * times)
    second = list(TEXTS[::-1]) * times if pairs else None
    return Split(texts * times, labels, second)


def text_data(task: Task, labels: Any, names: tuple = (), pairs: bool = False) -> TextData:
    split = rows(labels, pairs=pairs, tagged=task is Task.token_classification)
    spec = TaskSpec(task, names, len(split), 16, pairs, _counts(split, task, names))
    return TextData(spec, split, split)


def _counts(split: Split, task: Task, names: tuple) -> tuple[int, ...]:
    if task is Task.regression:
        return ()
    if task is Task.multi_label:
        return tuple(np.nan_to_num(split.labels).sum(axis=0).astype(int).tolist())
    every = np.concatenate(split.labels) if task is Task.token_classification else split.labels
    every = every[(every >= 0) & (every < len(names))]
    return tuple(np.bincount(every.astype(int), minlength=len(names)).tolist())


CLASS = np.array([0, 1, 2, 0, 1, 2], "int32")
HOT = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1]], "float32")
STARS = np.array([4.5, 1.0, 2.5, 3.5, 0.0, 5.0], "float32")
WORD_TAGS = [[0, 1, 2], [2], [2, 0, 1, 2, 2], [0, 2, 2, 2, 0, 1], [2], [-1]]


def data_of(task: Task, labels: Any = None, names: tuple = ("x", "y", "z"), **spec: Any) -> type:
    """Return a data plugin's class with a task's usual rows, or others, and a spec to match."""
    given = labels if labels is not None else USUAL[task]
    names = () if task is Task.regression else TAGS if task is Task.token_classification else names
    built = text_data(task, given, names, pairs=spec.pop("pairs", False))
    return _data(TextData(_changed(built.spec, spec), built.train, built.validation))


USUAL = {
    Task.single_label: CLASS,
    Task.multi_label: HOT,
    Task.regression: STARS,
    Task.token_classification: WORD_TAGS,
}


def _changed(spec: TaskSpec, changes: dict[str, Any]) -> TaskSpec:
    import dataclasses

    return dataclasses.replace(spec, **changes)


def _data(built: Any) -> type:
    class Given:
        def build(self, seed: int) -> Any:
            return built

    return dataclass(frozen=True)(Given)


for _task in USUAL:
    PLUGINS["data", _task.name] = data_of(_task)
    if _task is not Task.token_classification:
        PLUGINS["data", f"{_task.name}_pairs"] = data_of(_task, pairs=True)

_six = text_data(Task.single_label, CLASS, ("x", "y", "z"))
LYING_DATA = {
    "ids_from_one": data_of(Task.single_label, CLASS + 1),
    "float_classes": data_of(Task.single_label, CLASS.astype("float32")),
    "one_hot_rows": data_of(Task.single_label, np.eye(3, dtype="float32")[CLASS], class_counts=()),
    "one_class": data_of(Task.single_label, CLASS * 0, names=("x",)),
    "wrong_counts": data_of(Task.single_label, class_counts=(1, 1, 1)),
    "wrong_size": data_of(Task.single_label, train_size=99),
    "no_pairs": data_of(Task.single_label, has_pairs=True),
    "same_name": data_of(Task.single_label, names=("x", "y", "x")),
    "few_labels": _data(
        TextData(_six.spec, Split(_six.train.texts, _six.train.labels[:5]), _six.validation)
    ),
    "not_text_data": _data({"train": TEXTS}),
    "narrow_hot": data_of(Task.multi_label, HOT[:, :2], class_counts=()),
    "half_hot": data_of(Task.multi_label, HOT * 0.5, class_counts=()),
    "nan_hot": data_of(Task.multi_label, HOT + np.nan),
    "nan_stars": data_of(Task.regression, np.where(STARS == 0, np.nan, STARS).astype("float32")),
    "whole_stars": data_of(Task.regression, STARS.astype("int32")),
    "short_tags": data_of(Task.token_classification, [row[:2] for row in WORD_TAGS]),
    "high_tags": data_of(
        Task.token_classification, [[tag + 1 for tag in row] for row in WORD_TAGS]
    ),
}
PLUGINS |= {("data", name): cls for name, cls in LYING_DATA.items()}


# -- models ----------------------------------------------------------------------------------------


class Words:
    """A tokenizer of words by their hash; keeps no vocabulary."""

    fingerprint = "words"
    pad_id = 0

    def __init__(self, names_words: bool = True) -> None:
        self.names_words = names_words
        self.fingerprint = f"words {names_words}"

    def encode(self, texts: Any, pairs: Any, max_length: int) -> Encoding:
        ids = []
        segments = []
        words = []
        for first, second in zip(texts, pairs or [""] * len(texts), strict=True):
            one = first.split() if isinstance(first, str) else list(first)
            row = [*one, *second.split()][:max_length]
            digests = [hashlib.sha256(word.encode()).digest()[0] for word in row]
            ids.append(np.array([1 + digest % 40 for digest in digests], "int32"))
            segments.append((np.arange(len(row)) >= len(one)).astype("int32"))
            words.append(np.arange(len(row), dtype="int32"))
        tagged = self.names_words and bool(len(texts)) and not isinstance(texts[0], str)
        return Encoding(ids, segments, words if tagged else None)


def tiny(
    spec: TaskSpec, head: Any, output_kind: Any = None, tokenizer: Any = None, pool: Any = None
):
    """Return a bag of words whose last step is ``head``, a function of a symbolic array."""
    import keras

    ids = keras.Input((None,), dtype="int32", name="token_ids")
    mask = keras.Input((None,), dtype="int32", name="padding_mask")
    x = keras.layers.Embedding(41, 8, name="embedding")(ids)
    pools = spec.task is not Task.token_classification if pool is None else pool
    if pools:
        x = keras.layers.GlobalAveragePooling1D(name="mean")(x, mask=mask)
    network = keras.Model({"token_ids": ids, "padding_mask": mask}, head(x))
    blocks = {"embeddings": ("embedding",), "head": ("head",)}
    return TextModel(network, tokenizer or Words(), blocks, output_kind or spec.head_output_kind)


def dense(spec: TaskSpec, activation: str | None = None, width: int | None = None, **more: Any):
    import keras

    return keras.layers.Dense(width or spec.num_outputs, activation, name="head", **more)


def model(name: str):
    """Register a function of the spec as a model plugin."""

    def mark(build: Callable[[TaskSpec], TextModel]):
        class Built:
            def build(self, spec: TaskSpec) -> TextModel:
                return build(spec)

        return plugin("model", name)(Built)

    return mark


def activation_of(spec: TaskSpec) -> str | None:
    return {Task.multi_label: "sigmoid", Task.regression: None}.get(spec.task, "softmax")


@model("words")
def words(spec):
    return tiny(spec, dense(spec))


@model("words_probabilities")
def words_probabilities(spec):
    return tiny(spec, dense(spec, activation_of(spec)), OutputKind.probabilities)


@model("zero_head")
def zero_head(spec):
    return tiny(spec, dense(spec, kernel_initializer="zeros"))


@model("small_positive_logits")
def small_positive_logits(spec):
    """At the start all logits are in (0, 1) by chance; the head is a plain dense layer."""
    start = {"kernel_initializer": "zeros", "bias_initializer": "ones"}
    return tiny(spec, dense(spec, **start))


@model("log_softmax")
def log_softmax(spec):
    return tiny(spec, dense(spec, "log_softmax"))


@model("softmax_as_logits")
def softmax_as_logits(spec):
    return tiny(spec, dense(spec, "softmax"))


@model("sigmoid_as_logits")
def sigmoid_as_logits(spec):
    return tiny(spec, dense(spec, "sigmoid"))


@model("sigmoid_layer_as_logits")
def sigmoid_layer_as_logits(spec):
    import keras

    head = dense(spec)
    return tiny(spec, lambda x: keras.ops.sigmoid(head(x)))


@model("logits_as_probabilities")
def logits_as_probabilities(spec):
    return tiny(
        spec,
        dense(spec, kernel_initializer="zeros", bias_initializer=_constant(2.0)),
        OutputKind.probabilities,
    )


@model("sigmoid_for_one_label")
def sigmoid_for_one_label(spec):
    return tiny(spec, dense(spec, "sigmoid", kernel_initializer="zeros"), OutputKind.probabilities)


@model("sigmoid_values")
def sigmoid_values(spec):
    return tiny(spec, dense(spec, "sigmoid"))


@model("softmax_value")
def softmax_value(spec):
    return tiny(spec, dense(spec, "softmax"))


@model("one_wide")
def one_wide(spec):
    return tiny(spec, dense(spec, width=1))


@model("every_token")
def every_token(spec):
    return tiny(spec, dense(spec), pool=False)


@model("flat_value")
def flat_value(spec):
    import keras

    head = dense(spec)
    return tiny(spec, lambda x: keras.ops.squeeze(head(x), axis=-1))


@model("named_outputs")
def named_outputs(spec):
    head = dense(spec)
    return tiny(spec, lambda x: {"logits": head(x)})


@model("class_numbers")
def class_numbers(spec):
    import keras

    head = dense(spec)
    return tiny(spec, lambda x: keras.ops.cast(head(x) > 0, "int32"))


@model("nan_weights")
def nan_weights(spec):
    return tiny(spec, dense(spec, bias_initializer=_constant(float("nan"))))


def _constant(value: float):
    import keras

    return keras.initializers.Constant(value)


@model("emits_a_word")
def emits_a_word(spec):
    return tiny(spec, dense(spec), output_kind="logits")


@model("class_head_on_values")
def class_head_on_values(spec):
    return tiny(spec, dense(spec), OutputKind.logits)


@model("nameless_words")
def nameless_words(spec):
    return tiny(spec, dense(spec), tokenizer=Words(names_words=False))


@model("five_positions")
def five_positions(spec):
    import keras

    class Positions(keras.layers.Layer):
        def build(self, shape):
            self.table = self.add_weight((5, shape[-1]))

        def call(self, x):
            return x + self.table

    head = dense(spec)
    return tiny(spec, lambda x: head(keras.ops.mean(Positions()(x), axis=1)), pool=False)


# -- losses ----------------------------------------------------------------------------------------


def loss(name: str, takes_outputs: tuple = CLASSES, takes_labels: tuple = EVERY_LABEL):
    """Register a function (labels, outputs) -> one value a row as a loss plugin."""

    def mark(call: Callable[[Any, Any], Any]):
        class Given:
            accepts: ClassVar[Accepts] = Accepts(takes_outputs, takes_labels)

            def build(self, spec: TaskSpec):
                import keras

                class Called(keras.losses.Loss):
                    def call(self, y_true, y_pred):
                        return call(y_true, y_pred)

                return Called(name=name)

        return plugin("loss", name)(Given)

    return mark


def _ops():
    from keras import ops

    return ops


@loss("hinge")
def hinge(labels, outputs):
    """Honest: Crammer and Singer's margin; flat once the margin is reached."""
    ops = _ops()
    own = ops.one_hot(ops.cast(labels, "int32"), outputs.shape[-1])
    right = ops.sum(own * outputs, axis=-1)
    return ops.maximum(0.0, 1.0 + ops.max(outputs - 1e9 * own, axis=-1) - right)


@loss("quadratic", (OutputKind.probabilities,))
def quadratic(labels, outputs):
    """Honest: Brier's score."""
    ops = _ops()
    own = ops.one_hot(ops.cast(labels, "int32"), outputs.shape[-1])
    return ops.sum(ops.square(outputs - own), axis=-1)


@loss("uncorrelated", (OutputKind.values,))
def uncorrelated(labels, outputs):
    """Honest: one minus the correlation; does not mind a shift."""
    ops = _ops()
    a = labels - ops.mean(labels)
    b = outputs[:, 0] - ops.mean(outputs[:, 0])
    size = ops.sqrt(ops.sum(a * a) * ops.sum(b * b) + 1e-9)
    return 1 - ops.sum(a * b) / size


@loss("pinball", (OutputKind.values,))
def pinball(labels, outputs):
    """Honest: the loss of a quantile, lopsided."""
    ops = _ops()
    more = labels - outputs[:, 0]
    return ops.maximum(0.9 * more, -0.1 * more)


@loss("sparse_default")
def sparse_default(labels, outputs):
    import keras

    return keras.losses.sparse_categorical_crossentropy(labels, outputs)


@loss("binary_default")
def binary_default(labels, outputs):
    import keras

    return keras.losses.binary_crossentropy(labels, outputs)


@loss("always_from_logits")
def always_from_logits(labels, outputs):
    import keras

    return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)


@loss("binary_always_from_logits")
def binary_always_from_logits(labels, outputs):
    import keras

    return keras.losses.binary_crossentropy(labels, outputs, from_logits=True)


@loss("plain_log")
def plain_log(labels, outputs):
    ops = _ops()
    own = ops.one_hot(ops.cast(labels, "int32"), outputs.shape[-1])
    return -ops.log(ops.sum(own * outputs, axis=-1))


@loss("upside_down")
def upside_down(labels, outputs):
    return -always_from_logits_value(labels, outputs)


def always_from_logits_value(labels, outputs):
    import keras

    return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)


@loss("counts_padding")
def counts_padding(labels, outputs):
    return always_from_logits_value(_ops().maximum(labels, 0), outputs)


@loss("broadcasts", (OutputKind.values,))
def broadcasts(labels, outputs):
    return _ops().square(outputs - labels)


@loss("signs", (OutputKind.values,))
def signs(labels, outputs):
    return _ops().cast(outputs[:, 0] != labels, "float32")


@loss("root", (OutputKind.values,))
def root(labels, outputs):
    return _ops().log(_ops().abs(outputs[:, 0] - labels))


@loss("zero_one")
def zero_one(labels, outputs):
    ops = _ops()
    own = ops.one_hot(ops.cast(labels, "int32"), outputs.shape[-1])
    return ops.stop_gradient(ops.sum(own * -outputs, axis=-1))


@loss("one_hot_only")
def one_hot_only(labels, outputs):
    import keras

    return keras.losses.CategoricalCrossentropy(from_logits=True)(labels, outputs)


@loss("wants_probabilities", (OutputKind.probabilities,))
def wants_probabilities(labels, outputs):
    return sparse_default(labels, outputs)


@plugin("loss", "a_value_a_row")
class AValueARow:
    accepts: ClassVar[Accepts] = Accepts(CLASSES, EVERY_LABEL)

    def build(self, spec: TaskSpec):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")


@plugin("loss", "takes_words")
class TakesWords:
    accepts: ClassVar[Accepts] = Accepts(("logits",), ("class_index",))

    def build(self, spec: TaskSpec):
        return None


# -- metrics ---------------------------------------------------------------------------------------


def metric(name: str, takes_outputs: tuple = CLASSES, takes_labels: tuple = EVERY_LABEL, way="max"):
    """Register a function (labels, outputs) -> score as a metric plugin."""

    def mark(call: Callable[[Any, Any], float]):
        class Given:
            accepts: ClassVar[Accepts] = Accepts(takes_outputs, takes_labels)
            mode: ClassVar[str] = way

            def build(self, spec: TaskSpec):
                return call

        return plugin("metric", name)(Given)

    return mark


def _micro_f1(labels, predicted):
    hits = (labels * predicted).sum()
    return float(2 * hits / max(labels.sum() + predicted.sum(), 1))


@metric("f1_at_a_third")
def f1_at_a_third(labels, outputs):
    """Honest: a label counts from a probability of 0.3 on."""
    return _micro_f1(labels, outputs > np.log(0.3 / 0.7))


@metric("mean_confidence")
def mean_confidence(labels, outputs):
    """Honest: does not look at the labels."""
    shifted = np.exp(outputs - outputs.max(-1, keepdims=True))
    return float((shifted.max(-1) / shifted.sum(-1)).mean())


@metric("surprise", way="min")
def surprise(labels, outputs):
    """Honest: mean negative log-probability."""
    from scipy.special import log_softmax

    return float(-np.take_along_axis(log_softmax(outputs, -1), labels[:, None], -1).mean())


@metric("f1_at_half")
def f1_at_half(labels, outputs):
    return _micro_f1(labels, outputs > 0.5)


@metric("f1_at_zero")
def f1_at_zero(labels, outputs):
    return _micro_f1(labels, outputs > 0)


@metric("raw_confidence", way="min")
def raw_confidence(labels, outputs):
    right = (outputs.argmax(-1) == labels).mean()
    return float(abs(outputs.max(-1).mean() - right))


@metric("one_hot_at_half")
def one_hot_at_half(labels, outputs):
    return float(((outputs > 0.5) == (labels[:, None] == np.arange(3))).all(-1).mean())


@metric("softmax_again", way="min")
def softmax_again(labels, outputs):
    return surprise_of(labels, outputs)


def surprise_of(labels, outputs):
    from scipy.special import log_softmax

    return float(-np.take_along_axis(log_softmax(outputs, -1), labels[:, None], -1).mean())


@metric("error_rate_to_raise")
def error_rate_to_raise(labels, outputs):
    return float((outputs.argmax(-1) != labels).mean())


@metric("error_to_raise", (OutputKind.values,))
def error_to_raise(labels, outputs):
    return float(abs(outputs[:, 0] - labels).mean())


@metric("broadcast_error", (OutputKind.values,), way="min")
def broadcast_error(labels, outputs):
    return float(((outputs - labels) ** 2).mean())


@metric("every_class")
def every_class(labels, outputs):
    return (outputs.argmax(-1) == labels).astype("float32")


@metric("counts_padding")
def metric_counts_padding(labels, outputs):
    return float((outputs.argmax(-1) == labels).mean())


@metric("never_a_number")
def never_a_number(labels, outputs):
    return float("nan")


@metric("divides")
def divides(labels, outputs):
    return 1 / 0


@metric("constant_true")
def constant_true(labels, outputs):
    return float(((outputs > -99) == (labels > 0.5)).mean())


@metric("sideways", way="up")
def sideways(labels, outputs):
    return float((outputs.argmax(-1) == labels).mean())


@metric("wants_one_hot", takes_labels=(LabelKind.one_hot,))
def wants_one_hot(labels, outputs):
    return float((outputs.argmax(-1) == labels.argmax(-1)).mean())


# -- schedules -------------------------------------------------------------------------------------


def schedule(name: str):
    """Register a function of progress (0 to 1) as a schedule plugin."""

    def mark(shape: Callable[[Any], Any]):
        class Given:
            def build(self, peak, budget):
                from xferlab.functional.schedules import tabulated

                return tabulated(peak * shape(np.linspace(0, 1, budget.total_steps)))

        return plugin("schedule", name)(Given)

    return mark


@schedule("half_way")
def half_way(progress):
    return np.maximum(0, 1 - 2 * progress)


@schedule("below_zero")
def below_zero(progress):
    return 0.8 - progress


@schedule("nothing")
def nothing(progress):
    return progress * 0


@schedule("not_a_number")
def not_a_number(progress):
    return np.sqrt(0.5 - progress)


# -- objectives ------------------------------------------------------------------------------------


def objective(name: str, parts: tuple[str, ...] = (), needs: Needs | None = None):
    """Register a function of the training step as an objective plugin."""

    def mark(call: Callable[[Any], Any]):
        class Given:
            accepts: ClassVar[Accepts] = Accepts(tuple(OutputKind), EVERY_LABEL)

            def build(self, spec: TaskSpec):
                return call

        Given.parts = parts
        Given.needs = needs or Needs()
        return plugin("objective", name)(Given)

    return mark


@objective("one_pass")
def one_pass(step):
    """Honest: what supervised computes."""
    outputs = step.forward()
    return step.loss(outputs), outputs


@objective("entropy", ("supervised", "entropy"))
def entropy(step):
    """Honest: also wants confident predictions (Grandvalet & Bengio 2004)."""
    import keras

    ops = _ops()
    outputs = step.forward()
    noisy = outputs + 0.01 * step.progress * keras.random.normal(ops.shape(outputs), seed=step.seed)
    spread = -ops.mean(ops.sum(ops.softmax(noisy) * ops.log_softmax(noisy), axis=-1))
    loss = step.loss(outputs)
    return loss + 0.1 * spread, outputs, {"supervised": loss, "entropy": spread}


@objective("a_loss_a_row")
def a_loss_a_row(step):
    outputs = step.forward()
    return _ops().sum(outputs, axis=-1), outputs


@objective("loss_alone")
def loss_alone(step):
    return step.loss(step.forward())


@objective("pooled_outputs")
def pooled_outputs(step):
    outputs = step.forward()
    return step.loss(outputs), _ops().mean(outputs, axis=-1)


@objective("both_outputs")
def both_outputs(step):
    outputs = step.forward()
    return step.loss(outputs), _ops().concatenate([outputs, step.forward()])


@objective("nan_loss")
def nan_loss(step):
    outputs = step.forward()
    return step.loss(outputs) * float("nan"), outputs


@objective("root_of_zero")
def root_of_zero(step):
    outputs = step.forward()
    return step.loss(outputs) + _ops().sum(_ops().sqrt(outputs - outputs)), outputs


@objective("constant_loss")
def constant_loss(step):
    outputs = step.forward()
    return _ops().stop_gradient(step.loss(outputs)), outputs


@objective("undeclared_part")
def undeclared_part(step):
    outputs = step.forward()
    return step.loss(outputs), outputs, {"supervised": step.loss(outputs)}


@objective("undeclared_need")
def undeclared_need(step):
    pooled = step.pool()
    outputs = step.forward(pooled=pooled)
    return step.loss(outputs), outputs


@objective("own_random_numbers")
def own_random_numbers(step):
    outputs = step.forward()
    return step.loss(outputs) * np.random.uniform(0.5, 1.5), outputs


@objective("assigns_weights")
def assigns_weights(step):
    step.weights[-1].assign_add(_ops().ones_like(step.weights[-1]))
    outputs = step.forward()
    return step.loss(outputs), outputs


@objective("raises")
def raises(step):
    return step.loss(step.forward(), step.arrays["teacher"]), step.forward()


# -- averages --------------------------------------------------------------------------------------


def average(name: str, slots: int = 1):
    """Register a function of the moment as an average plugin."""

    def mark(call: Callable[[Any], Any]):
        class Given:
            def take(self, moment: Moment):
                return call(moment)

        Given.slots = slots
        return plugin("average", name)(Given)

    return mark


@average("every_second_step")
def every_second_step(moment):
    """Honest: the mean of every second step's weights."""
    return Take(1 / (moment.taken + 1)) if moment.step % 2 == 0 else None


@average("takes_a_number")
def takes_a_number(moment):
    return 0.1


@average("takes_more_than_all")
def takes_more_than_all(moment):
    return Take(1.5)


@average("third_slot", slots=2)
def third_slot(moment):
    return Take(1.0, moment.step)


@average("never_takes")
def never_takes(moment):
    return Take(1.0) if moment.step > 1000 else None


@average("remembers")
def remembers(moment, counted=[0]):  # noqa: B006
    counted[0] += 1
    return Take(1 / counted[0])
