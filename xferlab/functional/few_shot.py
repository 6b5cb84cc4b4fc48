"""Few-shot classification: pairs of examples, their loss, and a fitted head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xferlab.data.sampling import permutation
from xferlab.functional.similarity import cosines

if TYPE_CHECKING:
    import numpy as np


def pairs_of_classes(labels: np.ndarray, sampling: str, *entropy: int) -> np.ndarray:
    """Return pairs of examples, those of one class (each with itself too) and those of two.

    Args:
        labels: class indices (examples,).
        sampling: ``unique`` has every pair once; ``oversampling`` has some of the rarer kind
            again, as many as there are of the other; ``undersampling`` leaves some of the other
            out.
        entropy: what repeats or is left out depends on.

    Returns:
        int64 (pairs, 2), those of one class first.
    """
    import numpy as np

    pairs = np.stack(np.triu_indices(len(labels)), axis=1)
    is_alike = labels[pairs[:, 0]] == labels[pairs[:, 1]]
    kinds = [pairs[is_alike], pairs[~is_alike]]
    if sampling == "unique":
        return np.concatenate(kinds)
    choose = max if sampling == "oversampling" else min
    size = choose(map(len, kinds))
    shuffled = [kind[permutation(len(kind), *entropy, i)] for i, kind in enumerate(kinds)]
    return np.concatenate([np.resize(kind, (size, 2)) for kind in shuffled])


def pair_loss(vectors: Any, labels: Any) -> Any:
    """Return the mean squared distance of cosines from 1 for one class, from 0 for two.

    Args:
        vectors: (2 pairs, width), the two of a pair one after the other.
        labels: the class of each, (2 pairs,).
    """
    from keras import ops

    vectors = ops.cast(vectors, "float32")
    found = cosines(ops.reshape(vectors, (-1, 2 * vectors.shape[-1])), ops)
    classes = ops.reshape(labels, (-1, 2))
    wanted = ops.cast(classes[:, 0] == classes[:, 1], "float32")
    return ops.mean(ops.square(found - wanted))


def logistic_head(
    vectors: np.ndarray, labels: np.ndarray, c: float, bias: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return kernel (width, classes) and bias (classes,) of scikit-learn's logistic regression.

    Args:
        vectors: (examples, width).
        labels: class indices (examples,); every class has an example.
        c: inverse of the strength of the L2 penalty.
        bias: whether there is one; else None is returned for it.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, fit_intercept=bias, max_iter=1000)
    model.fit(vectors.astype("float64"), labels)
    kernel = model.coef_
    intercept = model.intercept_
    if len(model.classes_) == 2:  # scikit-learn has the logit of the second class alone
        kernel = np.concatenate([-kernel, kernel]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    return kernel.T, intercept if bias else None
