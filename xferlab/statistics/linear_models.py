"""Linear models of TF-IDF vectors, by scikit-learn: fast, and hard to beat on little data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split

if TYPE_CHECKING:
    import numpy as np

MOST_FEATURES = 20_000
MOST_WEIGHTS = 2_000_000
"""Features times classes."""
MOST_VECTOR_FEATURES = 4_096
"""Of vectors that are compared with all others, and are not sparse."""
LOWEST = 1e-6
LONG_WORD = 20
"""Mean characters between blanks from which on texts have no blanks between words."""
Vectorize = Callable[[Split], Any]
Predict = Callable[[Split], Any]


def vectorizer(split: Split, features: int = MOST_FEATURES) -> Vectorize | None:
    """Return what makes TF-IDF vectors of texts, of pairs side by side; None without any word.

    A pair is both vectors, their absolute difference and their product.
    """
    import numpy as np
    import scipy.sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    pairs = split.pairs
    texts = list(split.texts) if pairs is None else [*split.texts, *pairs]
    words = max(1, sum(len(text.split()) for text in texts))
    has_blanks = sum(map(len, texts)) / words < LONG_WORD
    kind = {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
    if not has_blanks:
        kind = {"analyzer": "char", "ngram_range": (1, 3)}
    model = TfidfVectorizer(sublinear_tf=True, max_features=features, dtype=np.float32, **kind)
    try:
        model.fit(texts)
    except ValueError:  # no word at all
        return None

    def vectorize(part: Split) -> Any:
        one = model.transform(part.texts)
        if part.pairs is None:
            return one
        two = model.transform(part.pairs)
        return scipy.sparse.hstack([one, two, abs(one - two), one.multiply(two)]).tocsr()

    return vectorize


def classifier(split: Split, labels: Any, classes: int, seed: int) -> Predict | None:
    """Return the log-probabilities of a logistic regression, float32 (examples, classes)."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    vectorize = vectorizer(split, min(MOST_FEATURES, max(1_000, MOST_WEIGHTS // classes)))
    if vectorize is None or len(np.unique(labels)) < 2:
        return None
    model = LogisticRegression(max_iter=200, random_state=seed)
    fitted = _quietly(lambda: model.fit(vectorize(split), labels))

    def predict(part: Split) -> np.ndarray:
        outputs = np.full((len(part), classes), np.log(LOWEST), "float32")
        found = fitted.predict_proba(vectorize(part))
        outputs[:, fitted.classes_] = np.log(np.maximum(found, LOWEST))
        return outputs

    return predict


def label_classifiers(split: Split, labels: np.ndarray, seed: int) -> Predict | None:
    """Return the logits of one logistic regression a label, float32 (examples, labels)."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    width = labels.shape[1]
    vectorize = vectorizer(split, min(MOST_FEATURES, max(1_000, MOST_WEIGHTS // max(width, 1))))
    if vectorize is None:
        return None
    vectors = vectorize(split)
    models: list[Any] = []
    for column in labels.T > 0.5:
        if column.all() or not column.any():
            models.append(float(np.log(1 / LOWEST) * (1 if column.all() else -1)))
            continue
        model = LogisticRegression(max_iter=200, solver="liblinear", random_state=seed)
        models.append(_quietly(partial(model.fit, vectors, column)))

    def predict(part: Split) -> np.ndarray:
        found = vectorize(part)
        columns = [
            np.full(len(part), model)
            if isinstance(model, float)
            else model.decision_function(found)
            for model in models
        ]
        return np.stack(columns, axis=1).astype("float32")

    return predict


def regressor(split: Split, labels: np.ndarray, seed: int) -> Predict | None:
    """Return the values of a ridge regression, float32 (examples, 1)."""
    from sklearn.linear_model import Ridge

    vectorize = vectorizer(split)
    if vectorize is None:
        return None
    model = Ridge(random_state=seed).fit(vectorize(split), labels)
    return lambda part: model.predict(vectorize(part)).astype("float32").reshape(-1, 1)


def pair_cosines(split: Split) -> Predict | None:
    """Return two vectors of two numbers for each pair, whose cosine is that of their TF-IDF."""
    import numpy as np

    vectorize = vectorizer(Split([*split.texts, *(split.pairs or ())], ()))
    if vectorize is None:
        return None

    def predict(part: Split) -> np.ndarray:
        one = vectorize(Split(part.texts, ()))
        two = vectorize(Split(part.pairs or (), ()))
        cosine = np.clip(np.asarray(one.multiply(two).sum(axis=1)).ravel(), 0, 1)
        ones = np.ones(len(part))
        vectors = (ones, 0 * ones, cosine, np.sqrt(1 - cosine**2))
        return np.stack(vectors, axis=1).astype("float32")

    return predict


def pair_vectors(split: Split) -> Predict | None:
    """Return both TF-IDF vectors of each pair, float32 (examples, 2 features)."""
    import numpy as np

    every = Split([*split.texts, *(split.pairs or ())], ())
    vectorize = vectorizer(every, MOST_VECTOR_FEATURES)
    if vectorize is None:
        return None

    def predict(part: Split) -> np.ndarray:
        sides: list[Sequence[Any]] = [part.texts, part.pairs or ()]
        return np.hstack([vectorize(Split(side, ())).toarray() for side in sides])

    return predict


def most_frequent_tags(split: Split, classes: int) -> Predict:
    """Return the log-frequencies of each word's tags, float32 (examples, words, classes).

    A word that is not in the split has those of all words.
    """
    import numpy as np

    counts: dict[str, Any] = {}
    total = np.ones(classes)
    for words, tags in zip(split.texts, split.labels, strict=True):
        for word, tag in zip(words, tags, strict=True):
            if tag >= 0:
                own = counts.setdefault(word, np.zeros(classes, "float32"))
                own[tag] += 1
                total[tag] += 1

    def predict(part: Split) -> np.ndarray:
        width = max(map(len, part.texts), default=0)
        outputs = np.tile(np.log(total / total.sum()).astype("float32"), (len(part), width, 1))
        for row, words in enumerate(part.texts):
            for place, word in enumerate(words):
                if word in counts:
                    outputs[row, place] = np.log(np.maximum(counts[word], LOWEST))
        return outputs

    return predict


def _quietly(fit: Callable[[], Any]) -> Any:
    """Return a fitted model; one that has not converged is a baseline all the same."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit()
