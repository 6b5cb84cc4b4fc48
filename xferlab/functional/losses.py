"""Class weights, masked losses, and the default loss of each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from xferlab.contracts import OutputKind, TaskSpec
from xferlab.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import keras
    import numpy as np

AUTO = "auto"


def check_label_smoothing(fraction: float) -> None:
    """Raise ValueError unless ``fraction`` is in [0, 1)."""
    if not 0 <= fraction < 1:
        raise ValueError(f"label_smoothing must be in [0, 1), got {fraction}")


def check_class_weight(choice: Any) -> None:
    """Raise ValueError unless ``choice`` is None, ``"auto"`` or weights >= 0 by class name."""
    if choice is None or choice == AUTO:
        return
    if not isinstance(choice, Mapping) or not choice:
        raise ValueError(f"class_weight must be null, {AUTO} or {{class: weight}}, got {choice!r}")
    for name, weight in choice.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight < float("inf"):
            raise ValueError(f"class_weight.{name} must be a number >= 0, got {weight!r}")


def refuse_class_options(spec: TaskSpec, label_smoothing: float, class_weight: Any) -> None:
    """Raise ConfigError for a smoothing, or weights, of classes that the task does not have."""
    if spec.task.has_classes:
        class_weights(class_weight, spec)
    elif label_smoothing or class_weight:
        raise ConfigError(
            f"a task of {spec.task.name} has no classes to smooth or to weight",
            where="loss",
            fix="leave out loss.label_smoothing and loss.class_weight",
        )


def class_weights(choice: Any, spec: TaskSpec) -> np.ndarray | None:
    """Return one weight a class, float32 (classes,), or None for no weighting.

    ``"auto"`` gives ``examples / (classes * examples of the class)``, over the classes that occur,
    so that the weights of the training examples have mean 1; a class without examples has 1.
    """
    import numpy as np

    if choice is None:
        return None
    if choice != AUTO:
        return _named_weights(choice, spec)
    counts = class_counts(spec)
    seen = counts > 0
    weights = np.ones(spec.num_classes)
    weights[seen] = counts.sum() / (seen.sum() * counts[seen])
    return weights.astype("float32")


def label_weights(choice: Any, spec: TaskSpec) -> tuple[np.ndarray, np.ndarray] | None:
    """Return weights of absent and of present labels, float32 (classes,) each, or None.

    Each label of a multi-label task is a separate yes or no: ``"auto"`` balances these two as
    :func:`class_weights` balances two classes; named weights are those of present labels.
    """
    import numpy as np

    if choice is None:
        return None
    if choice != AUTO:
        return np.ones(spec.num_classes, "float32"), _named_weights(choice, spec)
    present = class_counts(spec)
    absent = spec.train_size - present
    both = (present > 0) & (absent > 0)
    no, yes = (
        np.divide(spec.train_size, 2 * count, out=np.ones(spec.num_classes), where=both)
        for count in (absent, present)
    )
    return no.astype("float32"), yes.astype("float32")


def _named_weights(choice: Mapping[Any, float], spec: TaskSpec) -> np.ndarray:
    import numpy as np

    weights = np.ones(spec.num_classes, "float32")
    for name, weight in choice.items():
        if str(name) not in spec.class_names:
            raise ConfigError(
                f"there is no class '{name}'",
                where="loss.class_weight",
                fix=did_you_mean(str(name), spec.class_names),
            )
        weights[spec.class_names.index(str(name))] = weight
    return weights


def class_counts(spec: TaskSpec) -> np.ndarray:
    """Return the training examples of each class, float64 (classes,); ConfigError if unknown."""
    import numpy as np

    if len(spec.class_counts) != spec.num_classes:
        raise ConfigError(
            "the data has no class counts",
            where="loss.class_weight",
            fix="give the weights by class name, e.g. loss.class_weight={rare: 5}",
        )
    return np.asarray(spec.class_counts, "float64")


def elementwise(
    compute: Callable[[Any, Any], Any], name: str, weights: np.ndarray | None = None
) -> keras.losses.Loss:
    """Return the Keras loss whose value is the mean of ``compute(labels, outputs)``.

    ``weights`` of the classes, (classes,), are kept as ``shown_class_weights`` for the run's log.
    """
    import keras

    class Elementwise(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return compute(y_true, y_pred)

    loss = Elementwise(name=name)
    loss.shown_class_weights = weights
    return loss


def of_right_class(
    compute: Callable[[Any, Any], Any], name: str, weights: np.ndarray | None = None
) -> keras.losses.Loss:
    """Return a loss of integer labels, of soft labels, or of tags, where -1 does not count.

    The value is the mean over examples, or over labelled tokens; 0 for a batch without any. The
    loss of a soft label is its expectation: the mean over classes, weighted by their probability.

    Args:
        compute: gives a loss (...), from one-hot labels and outputs (..., classes).
        name: the loss's name.
        weights: multiplies the loss of each example or token, by its class; (classes,).
    """
    from keras import ops

    def expected(soft: Any, outputs: Any) -> Any:
        classes = ops.eye(outputs.shape[-1], dtype=outputs.dtype)
        shape = (ops.shape(outputs)[0], outputs.shape[-1], outputs.shape[-1])
        rows = ops.broadcast_to(outputs[:, None], shape)
        each = compute(ops.broadcast_to(classes[None], shape), rows)
        if weights is not None:
            each *= ops.convert_to_tensor(weights)
        return ops.sum(ops.cast(soft, each.dtype) * each, axis=-1)

    def call(labels: Any, outputs: Any) -> Any:
        if len(labels.shape) == len(outputs.shape):
            return expected(labels, outputs)
        labels = ops.cast(labels, "int32")
        counts = ops.cast(labels >= 0, outputs.dtype)
        labels = ops.maximum(labels, 0)
        found = compute(ops.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype), outputs)
        if weights is not None:
            found *= ops.take(ops.convert_to_tensor(weights), labels)
        # Keras divides the sum by all elements; this makes it the mean of those that count.
        return found * counts / ops.maximum(ops.mean(counts), 1e-12)

    return elementwise(call, name, weights)


def example_cross_entropy(
    spec: TaskSpec, label_smoothing: float = 0.0
) -> Callable[[Any, Any], Any]:
    """Return the function that gives -log p of the right class of each example or token."""
    import keras

    def compute(one_hot: Any, outputs: Any) -> Any:
        return keras.losses.categorical_crossentropy(
            one_hot,
            outputs,
            from_logits=spec.output_kind is OutputKind.logits,
            label_smoothing=label_smoothing,
        )

    return compute


def of_each_label(
    compute: Callable[[Any, Any], Any],
    name: str,
    weights: tuple[Any, Any] | None = None,
) -> keras.losses.Loss:
    """Return a loss of several labels, each 0 or 1, or the probability that it is 1.

    The value is the mean over examples and labels. The loss of a soft label is its expectation.

    Args:
        compute: gives a loss (batch, classes), from labels 0 or 1 and outputs of that shape.
        name: the loss's name.
        weights: multiply the loss of absent and of present labels: numbers, or (classes,) each.
    """
    from keras import ops

    def call(labels: Any, outputs: Any) -> Any:
        labels = ops.cast(labels, outputs.dtype)
        absent = (1 - labels) * compute(ops.zeros_like(outputs), outputs)
        present = labels * compute(ops.ones_like(outputs), outputs)
        if weights is None:
            return absent + present
        no, yes = (ops.convert_to_tensor(each, outputs.dtype) for each in weights)
        return no * absent + yes * present

    shown = None if weights is None or isinstance(weights[1], float) else weights[1]
    return elementwise(call, name, shown)


def label_cross_entropy(spec: TaskSpec, label_smoothing: float = 0.0) -> Callable[[Any, Any], Any]:
    """Return the function that gives -log p of each label's true value, (batch, classes)."""
    from keras import ops

    def compute(labels: Any, outputs: Any) -> Any:
        smooth = labels * (1 - label_smoothing) + label_smoothing / 2
        logits = spec.output_kind is OutputKind.logits
        return ops.binary_crossentropy(smooth, outputs, from_logits=logits)

    return compute


def focused(cross_entropy: Any, gamma: float) -> Any:
    """Return ``(1 - p) ** gamma * -log(p)``, given ``-log(p)`` of the right class."""
    from keras import ops

    # The floor keeps the gradient finite where p rounds to 1 and gamma is below 1.
    wrong = ops.maximum(-ops.expm1(-cross_entropy), 1e-7)
    return wrong**gamma * cross_entropy


def cross_entropy(
    spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None
) -> keras.losses.Loss:
    """Return the mean negative log-probability of the right class."""
    return of_right_class(
        example_cross_entropy(spec, label_smoothing),
        "cross_entropy",
        class_weights(class_weight, spec),
    )


def binary_cross_entropy(
    spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None
) -> keras.losses.Loss:
    """Return the mean negative log-probability of each label's presence or absence."""
    compute = label_cross_entropy(spec, label_smoothing)
    return of_each_label(compute, "binary_cross_entropy", label_weights(class_weight, spec))


def of_difference(compute: Callable[[Any], Any], name: str) -> keras.losses.Loss:
    """Return a loss of float labels: the mean of ``compute(value - label)``."""
    from keras import ops

    return elementwise(
        lambda labels, values: compute(ops.reshape(values, ops.shape(labels)) - labels), name
    )


def squared_error() -> keras.losses.Loss:
    """Return the mean squared distance between value and label."""
    from keras import ops

    return of_difference(ops.square, "mean_squared_error")


def mean_of_sums() -> keras.losses.Loss:
    """Return the loss of outputs (examples, 2 or more): the first's sum by the second's."""
    import keras
    from keras import ops

    class MeanOfSums(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return ops.sum(y_pred[:, 0]) / ops.maximum(ops.sum(y_pred[:, 1]), 1.0)

    return MeanOfSums(name="mean_of_sums")
