"""A weak baseline: the mean of word-piece vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import ReadsCheckpoint, TaskSpec, TextModel, register


@register("model", "bag_of_embeddings")
@dataclass(frozen=True)
class BagOfEmbeddings(ReadsCheckpoint):
    """Mean of word-piece embeddings, then one dense layer: the baseline that ignores order.

    After Joulin et al. 2017 (fastText), on the pieces of an encoder's tokenizer.

    Attributes:
        checkpoint: whose tokenizer to use; its weights are not read.
        width: size of one embedding vector.
        dropout: fraction of the mean vector dropped before the head, 0 to below 1.
    """

    checkpoint: str = "bundled:bert"
    width: int = 64
    dropout: float = 0.1

    has_layers: ClassVar[bool] = False

    def tokenizer(self, spec: TaskSpec):
        from xferlab import load_tokenizer

        return load_tokenizer(self.fetch_small().folder)

    def build(self, spec: TaskSpec) -> TextModel:
        return self.restore(spec, self.fetch().folder)

    def restore(self, spec: TaskSpec, folder) -> TextModel:
        import keras

        from xferlab import load_tokenizer, tokenizer_files

        tokenizer = load_tokenizer(folder)
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        padding_mask = keras.Input((None,), dtype="int32", name="padding_mask")
        embed = keras.layers.Embedding(tokenizer.largest_id + 1, self.width, name="embedding")
        vectors = embed(token_ids)
        if not spec.task.is_per_word:
            pool = keras.layers.GlobalAveragePooling1D(name="mean")
            vectors = pool(vectors, mask=padding_mask)
        drop = keras.layers.Dropout(self.dropout, name="head_dropout")
        head = keras.layers.Dense(spec.num_outputs, dtype="float32", name="head")
        logits = head(drop(vectors))
        return TextModel(
            network=keras.Model({"token_ids": token_ids, "padding_mask": padding_mask}, logits),
            tokenizer=tokenizer,
            blocks={"embeddings": ("embedding",), "head": ("head",)},
            output_kind=spec.head_output_kind,
            files=tokenizer_files(folder),
        )
