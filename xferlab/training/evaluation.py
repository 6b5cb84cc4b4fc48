"""A network's outputs over a whole split, in the order of its rows, and their scores."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from xferlab.backend.graphs import TOKEN_INPUTS, compile_forward, compute_batches
from xferlab.contracts import Encoding
from xferlab.data.batching import batch_arrays, begins_word, evaluation_batches
from xferlab.data.windows import WordWindows, merge_windows
from xferlab.deprecated import metric_attribute
from xferlab.functional.unseen_words import predict_unseen, seen_only
from xferlab.models.frozen_part import FEATURES

if TYPE_CHECKING:
    import numpy as np

    from xferlab.training.features import Features

log = logging.getLogger("xferlab")
MOST_NUMBERS = 500_000_000
"""Outputs of a tagged split, filled up to its longest row: 2 GB."""


class Forward:
    """The network without dropout, called on whole splits.

    Args:
        network: the model.
        pad_id: token id that fills up a batch.
        batch_size: rows a batch.
        outside: for token classification, the class of a word without a token; None leaves such
            words out.

    Attributes:
        names: of the inputs that the network reads.
        timing: rows and seconds of the batches of the last call after its first batch.
    """

    def __init__(
        self, network: Any, pad_id: int, batch_size: int, outside: int | None = None
    ) -> None:
        self.names = input_names(network)
        self.pad_id = pad_id
        self.batch_size = batch_size
        self._outside = outside
        self._call = compile_forward(network, self.names)
        self.timing = (0, 0.0)

    def of(self, network: Any) -> Forward:
        """Return the same for another network, such as a part of this one."""
        return Forward(network, self.pad_id, self.batch_size, self._outside)

    def batches(
        self, encoding: Encoding, labels: Any, features: Features | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield row numbers, labels and float32 outputs of each batch, long rows first."""

        def inputs_of_batches() -> Iterator[tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]]:
            for batch in evaluation_batches(encoding, self.batch_size):
                inputs, y = batch_arrays(encoding, labels, batch, self.pad_id)
                if features is not None:
                    inputs[FEATURES] = features.batch(batch)
                yield (batch.rows, y), {name: inputs[name] for name in self.names}

        began = None
        done = 0
        for (rows, y), outputs in compute_batches(self._call, inputs_of_batches()):
            if began is None:  # a graph may be made for the first batch
                began = time.perf_counter()
            else:
                done += len(rows)
            self.timing = (done, time.perf_counter() - began)
            yield rows, y, outputs

    def __call__(
        self, encoding: Encoding, labels: Any, features: Features | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and float32 outputs, one row each, in the order of the rows.

        With windows a row is a text: the mean of its windows' outputs, or of a word those of the
        window with the most context.

        For token classification both are by word, (rows, words): a word has its first token's
        outputs, and rows are padded with the label -1 and equal outputs. A word without a token
        keeps its label, and its prediction is ``outside``; without such a class its label is -1.
        """
        import numpy as np

        if encoding.word_ids is not None:
            return self._by_word(encoding, labels, features)
        owners = encoding.owners
        if owners is not None:
            windows = dataclasses.replace(encoding, owners=None)
            _, outputs = self(windows, np.zeros(len(owners), "int8"), features)
            return np.asarray(labels), merge_windows(outputs, owners, len(labels))
        parts = list(self.batches(encoding, labels, features))
        rows, wanted, found = ([part[i] for part in parts] for i in range(3))
        order = np.argsort(np.concatenate(rows), kind="stable")
        return np.concatenate(wanted)[order], np.concatenate(found)[order]

    def _by_word(
        self, encoding: Encoding, labels: Any, features: Features | None
    ) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        words_of = encoding.word_ids or ()
        plain = Encoding(encoding.token_ids, encoding.segment_ids)
        windows = WordWindows(encoding.owners)
        wanted = np.full((len(labels), 0), -1, "int32")
        found = np.zeros((len(labels), 0, 1), "float32")
        unseen = wanted >= 0
        for rows, _, out in self.batches(plain, np.zeros(len(words_of), "int8"), features):
            if not found.size:
                wanted = self._filled(labels, out.shape[-1])
                found = np.full((*wanted.shape, out.shape[-1]), 1 / out.shape[-1], "float32")
                unseen = wanted >= 0
            for row, values in zip(rows, out, strict=True):
                words = np.asarray(words_of[row])
                first = np.flatnonzero(begins_word(words))
                first = first[words[first] < found.shape[1]]
                example, first = windows.choose(int(row), words, first)
                found[example, words[first]] = values[first]
                unseen[example, words[first]] = False
        if self._outside is None:
            wanted[unseen] = -1
        elif unseen.any():
            predict_unseen(found, unseen, self._outside)
        return wanted, found

    def _filled(self, labels: Any, classes: int) -> np.ndarray:
        """Return tags as one array, filled up with -1; very long rows lose their end if need be."""
        import numpy as np

        longest = max(map(len, labels))
        width = min(longest, max(MOST_NUMBERS // (len(labels) * classes), 1))
        if width < longest:
            lost = sum(max(len(tags) - width, 0) for tags in labels)
            log.warning(
                "note       examples have up to %d words; %d words beyond the first %d of one are"
                " not scored",
                longest,
                lost,
                width,
            )
        filled = np.full((len(labels), width), -1, "int32")
        for row, tags in enumerate(labels):
            filled[row, : len(tags)] = tags[:width]
        return filled


def input_names(network: Any) -> list[str]:
    """Return the names of the inputs that a network reads."""
    from keras import Model

    every = [*TOKEN_INPUTS, FEATURES]
    if isinstance(network, Model) and isinstance(getattr(network, "_inputs_struct", None), dict):
        return [name for name in every if name in network._inputs_struct]
    return list(TOKEN_INPUTS)


def scores(
    loss: Callable[[Any, Any], Any],
    metrics: Mapping[str, Any],
    labels: np.ndarray,
    outputs: np.ndarray,
    decisive: np.ndarray | None = None,
) -> dict[str, float]:
    """Return the loss and every metric of a whole split.

    Args:
        loss: Keras loss.
        metrics: by logged name, a ``keras.metrics.Metric`` or a function of (labels, outputs).
        labels: as the task's label kind says, (rows, ...).
        outputs: float32 (rows, num_outputs), for tagging (rows, length, num_outputs).
        decisive: likewise, what metrics of decisions score; None for ``outputs``.
    """
    values = {"loss": float(loss(*seen_only(labels, outputs)))}
    for name, metric in metrics.items():
        pair = inputs_of_metric(metric, labels, outputs, decisive)
        if hasattr(metric, "update_state"):
            metric.reset_state()
            metric.update_state(*pair)
            values[name] = float(metric.result())
        else:
            values[name] = float(metric(*pair))
    return values


def inputs_of_metric(
    metric: Any, labels: Any, outputs: Any, decisive: Any = None
) -> tuple[Any, Any]:
    """Return what a metric scores: decisions about all words, or the network's confidence.

    A metric that declares ``rates_confidence = True`` scores the words with a token, and the
    outputs whatever a postprocess decides by.
    """
    if metric_attribute(metric, "rates_confidence"):
        return seen_only(labels, outputs)
    return labels, outputs if decisive is None else decisive
