"""What metric plugins share: means that stream, decisions, and the tokens that count."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def mean_score(
    score: Callable[[Any, Any], Any], name: str, ignore: int | None = None
) -> keras.metrics.Metric:
    """Return a Keras metric: the mean of ``score(labels, outputs)`` over all that it has seen.

    Outputs that are not a number make it NaN, so that a broken model has no score.

    Args:
        score: gives one value a row (or a token), from labels and float32 outputs.
        name: the metric's name.
        ignore: rows or tokens with this label do not count.
    """
    import keras
    from keras import ops

    class MeanScore(keras.metrics.Mean):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            labels = ops.convert_to_tensor(y_true)
            outputs = ops.cast(y_pred, "float32")
            values = ops.cast(score(labels, outputs), "float32")
            broken = ops.any(ops.isnan(outputs), axis=-1)
            values = ops.where(broken, float("nan"), values)
            if ignore is not None:
                counts = ops.not_equal(labels, ignore)
                values = ops.where(counts, values, 0.0)
                counts = ops.cast(counts, "float32")
                sample_weight = counts if sample_weight is None else sample_weight * counts
            super().update_state(values, sample_weight=sample_weight)

    return MeanScore(name=name)
