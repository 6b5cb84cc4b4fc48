"""Made-up examples and the smallest networks, for trying a plugin."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.contracts import (
    Encoding,
    LabelKind,
    OutputKind,
    Split,
    Task,
    TaskSpec,
    TextData,
    TextModel,
)

WORDS = ("good", "bad", "film", "the", "a", "not", "very", "was", "plot", "cast")
CLASSES = ("a", "b", "c", "d")
TAGS = ("O", "B-X", "I-X", "B-Y")
VOCABULARY = 41
TRAIN = 24
VALIDATION = 12
BATCH = 8


@dataclass(frozen=True)
class TinyData:
    """Made-up examples of a task; the same for each seed."""

    task: Task

    def build(self, seed: int) -> TextData:
        """Return 24 examples for training and 12 for validation."""
        train = self._split(TRAIN, seed=1)
        validation = self._split(VALIDATION, seed=2)
        is_tags = self.task.label_kind is LabelKind.token_tags
        names = () if self.task.label_kind is LabelKind.float else TAGS if is_tags else CLASSES
        counts = self.task.class_counts(train.labels, len(names))
        spec = TaskSpec(self.task, names, TRAIN, 16, class_counts=counts or ())
        return TextData(spec, train, validation)

    def _split(self, size: int, seed: int) -> Split:
        import numpy as np

        random = np.random.default_rng(seed)
        lists = [list(random.choice(WORDS, size=random.integers(3, 8))) for _ in range(size)]
        texts = [[str(word) for word in words] for words in lists]
        return Split(
            texts if self.task.is_per_word else [" ".join(words) for words in texts],
            self._labels(texts, random),
        )

    def _labels(self, texts: Sequence[list[str]], random: Any) -> Any:
        import numpy as np

        kind = self.task.label_kind
        if kind is LabelKind.token_tags:
            return [np.array(random.integers(0, len(TAGS), len(words)), "int32") for words in texts]
        if kind is LabelKind.float:
            return random.normal(2, 1.5, len(texts)).astype("float32")
        if kind is LabelKind.multi_hot:
            return random.integers(0, 2, (len(texts), len(CLASSES))).astype("float32")
        return np.array([number % len(CLASSES) for number in range(len(texts))], "int32")


class TinyTokenizer:
    """One id a word, by its checksum; has no vocabulary."""

    fingerprint = "xferlab.testing: a checksum a word"
    pad_id = 0

    def encode(
        self, texts: Sequence[Any], pairs: Sequence[str] | None, max_length: int
    ) -> Encoding:
        """Return the ids of texts, or of lists of words."""
        import numpy as np

        is_words = bool(len(texts)) and not isinstance(texts[0], str)
        lists = [(list(text) if is_words else text.split())[:max_length] for text in texts]
        ids = [
            np.array([1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words], "int32")
            for words in lists
        ]
        segments = [np.zeros(len(row), "int32") for row in ids]
        return Encoding(
            ids, segments, [np.arange(len(row), dtype="int32") for row in ids] if is_words else None
        )


@dataclass(frozen=True)
class TinyModel:
    """Embeddings, their mean and a dense layer; more layers where a strategy needs some.

    Attributes:
        kind: of the outputs; None for the task's own.
        layers: dense layers between, up to two, each a block.
    """

    kind: OutputKind | None = None
    layers: int = 0

    def build(self, spec: TaskSpec) -> TextModel:
        """Return the network."""
        import keras

        ids = keras.Input((None,), dtype="int32", name="token_ids")
        mask = keras.Input((None,), dtype="int32", name="padding_mask")
        x = keras.layers.Embedding(VOCABULARY, 4, name="embedding")(ids)
        blocks: dict[str, tuple[str, ...]] = {"embeddings": ("embedding",)}
        for name in ("query", "value")[: self.layers]:
            x = keras.layers.Dense(4, name=name)(x)
            blocks[f"layer_{len(blocks) - 1}"] = (name,)
        if not spec.task.is_per_word:
            x = keras.layers.GlobalAveragePooling1D(name="mean")(x, mask=mask)
        x = keras.layers.Dropout(0.1, name="dropout")(x)
        kind = self.kind or spec.head_output_kind
        activation = None
        if kind is OutputKind.probabilities:
            activation = "softmax" if spec.task.is_exclusive else "sigmoid"
        outputs = keras.layers.Dense(spec.num_outputs, activation, dtype="float32", name="head")(x)
        network = keras.Model({"token_ids": ids, "padding_mask": mask}, outputs)
        return TextModel(network, TinyTokenizer(), {**blocks, "head": ("head",)}, kind)


def tiny_spec(task: Task, kind: OutputKind | None = None) -> TaskSpec:
    """Return what the made-up data of a task define, with a kind of outputs."""
    spec = TinyData(task).build(0).spec
    return dataclasses.replace(spec, output_kind=kind or spec.head_output_kind)
