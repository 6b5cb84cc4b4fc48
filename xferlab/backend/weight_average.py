"""Sets of weights beside a network's, as variables: blended, averaged, put in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from xferlab.backend.optimizer_kernels import tensorflow_variable


class WeightSlots:
    """Sets of values of some variables; each begins as the variables are.

    Args:
        weights: Keras variables.
        slots: how many sets.

    Attributes:
        counts: Keras variable, how often each set was blended with the weights, (slots,).
    """

    def __init__(self, weights: Sequence[Any], slots: int) -> None:
        import keras

        self._weights = list(weights)
        self._slots = [[_copy(each) for each in weights] for _ in range(slots)]
        self.counts = keras.Variable([0] * slots, dtype="int32", trainable=False)
        self._blend = [_blend_of(weights, slot) for slot in self._slots]
        self._own: dict[int, Any] = {}

    @property
    def variables(self) -> list[Any]:
        """Every variable of its state."""
        return [self.counts, *(each for slot in self._slots for each in slot)]

    def taken(self) -> int:
        """Return how often the sets were blended with the weights, all together."""
        return int(self.counts.numpy().sum())

    def take(self, slot: int, fraction: float) -> None:
        """Move a set by a fraction of the way to the weights; by 1 it is them exactly."""
        import tensorflow as tf

        self._blend[slot](tf.constant(fraction, "float32"))
        tensorflow_variable(self.counts).scatter_nd_add([[slot]], [1])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the variables the average's values in the block."""
        import tensorflow as tf

        self._own = {id(each): tf.identity(each.value) for each in self._weights}
        try:
            self.assign()
            yield
        finally:
            for weight in self._weights:
                weight.assign(self._own[id(weight)])
            self._own = {}

    def assign(self) -> None:
        """Give the variables the mean of the sets that have taken any weights, if one has."""
        counts = self.counts.numpy()
        used = [slot for slot, count in zip(self._slots, counts, strict=True) if count]
        for place, weight in enumerate(self._weights if used else []):
            total = used[0][place].value
            for slot in used[1:]:
                total = total + slot[place].value
            weight.assign(total / len(used) if len(used) > 1 else total)

    def own_value(self, variable: Any) -> Any:
        """Return what a variable has outside of the block of :meth:`in_place`."""
        return self._own.get(id(variable), variable)


def _copy(variable: Any) -> Any:
    import keras
    import tensorflow as tf

    value = tf.identity(variable.value)  # Keras takes a variable as it is, not its value
    return keras.Variable(value, dtype=variable.dtype, trainable=False)


def _blend_of(weights: Sequence[Any], slot: Sequence[Any]) -> Callable[[Any], None]:
    """Return a graph that moves a set by a fraction of the way to the weights."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((), "float32")], autograph=False)
    def blend(fraction: Any) -> None:
        for weight, own in zip(weights, slot, strict=True):
            value = tf.convert_to_tensor(tensorflow_variable(weight))
            raw = tensorflow_variable(own)
            before = tf.convert_to_tensor(raw)
            moved = before + tf.cast(fraction, value.dtype) * (value - before)
            raw.assign(tf.where(fraction >= 1.0, value, moved))

    return blend
