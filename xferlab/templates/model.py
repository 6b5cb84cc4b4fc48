"""My model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import (
    ReadsCheckpoint,
    TaskSpec,
    TextModel,
    load_tokenizer,
    register,
    tokenizer_files,
)


@register("model", "example")
@dataclass(frozen=True)
class Example(ReadsCheckpoint):
    """A convolution over word-piece embeddings, and the largest value of each filter.

    Attributes:
        checkpoint: whose tokenizer to use; its weights are not read.
        width: of an embedding, and number of filters.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    checkpoint: str = "bundled:bert"
    width: int = 64

    has_layers: ClassVar[bool] = False  # no transformer layers

    def build(self, spec: TaskSpec) -> TextModel:
        return self.restore(spec, self.fetch().folder)

    def restore(self, spec: TaskSpec, folder) -> TextModel:
        # A finished run calls this with its own folder; build calls it with the checkpoint's.
        import keras  # heavy libraries are imported here, so that --help stays fast

        tokenizer = load_tokenizer(folder)
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        vectors = keras.layers.Embedding(tokenizer.largest_id + 1, self.width, name="embedding")(
            token_ids
        )
        vectors = keras.layers.Conv1D(
            self.width, 3, padding="same", activation="relu", name="filters"
        )(vectors)
        if not spec.task.is_per_word:  # a label for each text, not for each word
            vectors = keras.layers.GlobalMaxPooling1D(name="largest")(vectors)
        head = keras.layers.Dense(spec.num_outputs, dtype="float32", name="head")
        return TextModel(
            network=keras.Model({"token_ids": token_ids}, head(vectors)),
            tokenizer=tokenizer,
            # from the text to the outputs; transfer strategies freeze and rate these blocks
            blocks={"embeddings": ("embedding",), "filters": ("filters",), "head": ("head",)},
            output_kind=spec.head_output_kind,
            files=tokenizer_files(folder),
        )
