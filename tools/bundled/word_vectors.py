"""Word vectors from counts, which the pretraining starts from instead of random ones."""

from typing import Any


def word_vectors(documents: list[list[int]], pieces: int, width: int, scale: float) -> Any:
    """Gives a vector per piece; pieces that stand in the same documents point the same way.

    The pointwise mutual information of pieces in one document, negative values set to nought,
    factorised (Levy & Goldberg 2014). A masked-word objective finds these vectors too, but from
    random ones it takes long to begin.

    Args:
        documents: The piece ids of every document.
        pieces: Size of the vocabulary.
        width: Length of a vector.
        scale: Standard deviation of the values.

    Returns:
        `(pieces, width)`, float32.
    """
    import numpy as np

    present = np.zeros((len(documents), pieces), "float32")
    for row, ids in enumerate(documents):
        present[row, ids] = 1.0
    together = present.T @ present
    counts = np.diag(together).copy()
    expected = np.outer(counts, counts) / len(documents)
    ratio = np.divide(together, expected, out=np.ones_like(together), where=expected > 0)
    information = np.log(np.maximum(ratio, 1.0)).astype("float64")
    np.fill_diagonal(information, 0.0)
    values, vectors = np.linalg.eigh(information)
    best = np.argsort(-np.abs(values))[:width]
    table = vectors[:, best] * np.sqrt(np.abs(values[best]))
    table *= np.sign(table[np.abs(table).argmax(axis=0), np.arange(width)])  # else the sign is free
    return (table * scale / table.std()).astype("float32")
