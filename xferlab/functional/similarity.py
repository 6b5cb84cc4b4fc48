"""Similarities of two texts' vectors, which stand side by side: losses and scores.

``outputs`` are (examples, 2 width): the vector of the first text, then that of the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import numpy as np

SMALLEST = 1e-12
ROUNDING = 1e-6
"""Cosines that differ by less are equal."""
SAME = 1e-5
"""Projections of vectors of length 1 that differ by less are of one text."""
PROJECTIONS = 4
"""Two texts of a million rarely agree in so many."""
CHUNK = 256
"""Examples that are compared with each other where a whole split is scored."""


def normalized_halves(outputs: Any, xp: Any) -> tuple[Any, Any]:
    """Return the two vectors of each example, divided by their lengths.

    Args:
        outputs: of the network.
        xp: has NumPy's functions: NumPy itself, or ``keras.ops``.
    """
    width = outputs.shape[-1] // 2
    first = outputs[:, :width]
    second = outputs[:, width:]
    halves = []
    for half in (first, second):
        length = xp.sqrt(xp.sum(xp.square(half), axis=-1, keepdims=True))
        halves.append(half / xp.maximum(length, SMALLEST))
    return halves[0], halves[1]


def cosines(outputs: Any, xp: Any) -> Any:
    """Return the cosine of the two vectors of each example, (examples,)."""
    first, second = normalized_halves(outputs, xp)
    return xp.sum(first * second, axis=-1)


def cosine_loss(largest: float = 1.0) -> keras.losses.Loss:
    """Return the mean squared distance of cosines from labels that are divided by ``largest``."""
    from keras import ops

    return _loss("cosine", lambda y, x: ops.square(cosines(x, ops) - y / largest))


def contrastive_pairs_loss(margin: float) -> keras.losses.Loss:
    """Return the loss of Hadsell et al. 2006, of the distance 1 - cosine and labels 0 or 1."""
    from keras import ops

    def loss(labels: Any, outputs: Any) -> Any:
        distance = 1 - cosines(outputs, ops)
        apart = ops.square(ops.maximum(margin - distance, 0.0))
        return 0.5 * (labels * ops.square(distance) + (1 - labels) * apart)

    return _loss("contrastive", loss)


def in_batch_loss(scale: float) -> keras.losses.Loss:
    """Return the cross-entropy of each first text's pair among the second texts of the batch.

    Of a whole split it is the mean over parts of :data:`CHUNK` examples.
    """
    from keras import ops

    def part(outputs: Any) -> Any:
        first, second = normalized_halves(outputs, ops)
        logits = scale * ops.matmul(first, ops.transpose(second))
        own = scale * ops.sum(first * second, axis=-1)
        return ops.logsumexp(logits, axis=-1) - own

    def loss(labels: Any, outputs: Any) -> Any:
        rows = outputs.shape[0]
        if rows is None or rows <= CHUNK:
            return part(outputs)
        return ops.concatenate(
            [part(outputs[start : start + CHUNK]) for start in range(0, rows, CHUNK)]
        )

    built = _loss("in_batch", loss)
    built.needs_whole_batch = True
    return built


def _loss(name: str, function: Any) -> Any:
    import keras
    from keras import ops

    class PairLoss(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            y_pred = ops.cast(y_pred, "float32")
            return function(ops.reshape(ops.cast(y_true, "float32"), (-1,)), y_pred)

    return PairLoss(name=name)


def ranks_of_pairs(outputs: np.ndarray) -> np.ndarray:
    """Return the rank of each first text's own pair among all second texts, int64, from 1.

    It is 1 more than the other texts that are closer or, up to rounding, as close: where all have
    one vector, none is found. Second texts with the vector of the own one are the same text, and do
    not count.
    """
    import numpy as np

    first, second = normalized_halves(np.asarray(outputs, "float32"), np)
    own = (first * second).sum(-1, keepdims=True) - ROUNDING
    texts = _equal_rows(second)
    ranks = []
    for start in range(0, len(first), CHUNK):
        rows = slice(start, start + CHUNK)
        is_other = texts[rows, None] != texts
        ranks.append(1 + (is_other & ~(first[rows] @ second.T < own[rows])).sum(1))
    return np.concatenate(ranks)


def _equal_rows(vectors: np.ndarray) -> np.ndarray:
    """Return a number for each vector, the same for those that are equal up to rounding.

    Where all are equal, each has its own: they are the outputs of a network that has collapsed.
    """
    import numpy as np

    random = np.random.Generator(np.random.PCG64(0))
    numbers = np.zeros(len(vectors), "int64")
    for _ in range(PROJECTIONS):
        values = vectors.astype("float64") @ random.standard_normal(vectors.shape[-1])
        order = np.lexsort((values, numbers))
        begins = np.diff(numbers[order], prepend=-1) > 0
        begins |= np.diff(values[order], prepend=-np.inf) > SAME
        numbers[order] = np.cumsum(begins)
    return numbers if numbers.max() > 1 else np.arange(len(vectors))
