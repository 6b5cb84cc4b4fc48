"""A pretrained encoder with a new head."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from xferlab import Task, TaskSpec, TextModel, register
from xferlab.models.content import ReadsCheckpoint


class Pooling(Enum):
    """How one vector is made of a text's token vectors."""

    first = "first"
    mean = "mean"


@register("model", "encoder")
@dataclass(frozen=True)
class Encoder(ReadsCheckpoint):
    """A pretrained encoder (BERT and its family) with a freshly initialised head of logits.

    Attributes:
        checkpoint: where the weights are: ``bundled:bert``, a Hugging Face folder, or a Hub id
            with an optional ``@revision``.
        pretrained: False trains the same architecture from random weights.
        pooling: ``first`` takes the first token's vector, through the checkpoint's own pooler
            where it has one, else through a new dense layer like that of transformers' own class
            for the architecture; ``mean`` averages all tokens.
        dropout: fraction of the pooled vector dropped before the head, 0 to below 1.
    """

    checkpoint: str
    pretrained: bool = True
    pooling: Pooling = Pooling.first
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, got {self.dropout}")

    def max_sequence_length(self) -> int:
        from xferlab.models.architectures import read_architecture

        return read_architecture(self.fetch().config, self.checkpoint).positions

    def check(self, spec: TaskSpec) -> tuple[str, ...]:
        from xferlab.models.limits import blocks_for

        return blocks_for(self.fetch(), spec)

    def build(self, spec: TaskSpec) -> TextModel:
        from xferlab.models.encoder import load_encoder

        checkpoint = self.fetch()
        encoder = load_encoder(
            checkpoint, pretrained=self.pretrained, first_token_only=self._reads_first_token(spec)
        )
        return self._with_head(checkpoint, encoder, spec)

    def restore(self, spec: TaskSpec, folder) -> TextModel:
        from xferlab.models.saved_encoder import saved_encoder

        return self._with_head(*saved_encoder(folder, self._reads_first_token(spec)), spec)

    def _reads_first_token(self, spec: TaskSpec) -> bool:
        """Return whether the head reads the first token alone."""
        return self.pooling is Pooling.first and not spec.task.is_per_word

    def _with_head(self, checkpoint, encoder, spec: TaskSpec) -> TextModel:
        import keras

        from xferlab.data.tokenizer import load_tokenizer
        from xferlab.models.limits import refuse_ids, refuse_length
        from xferlab.models.saved_encoder import files_of, origin_of

        refuse_length(spec.max_length, encoder.max_length)
        tokenizer = load_tokenizer(checkpoint.folder)
        refuse_ids(tokenizer.largest_id, encoder.vocabulary_size, checkpoint.source)
        vectors, new_layers = self._pooled(encoder, spec.task)
        vectors = keras.layers.Dropout(self.dropout, name="head_dropout")(vectors)
        head = keras.layers.Dense(
            spec.num_outputs,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            dtype="float32",  # logits in full precision, also under mixed precision
            name="head",
        )
        network = keras.Model(encoder.backbone.input, head(vectors))
        used = {layer.name for layer in network.layers}
        blocks = {name: of for name, of in encoder.blocks.items() if used.issuperset(of)}
        return TextModel(
            network=network,
            tokenizer=tokenizer,
            blocks={**blocks, "head": (*new_layers, "head")},
            output_kind=spec.head_output_kind,
            origin=origin_of(checkpoint, network, (*new_layers, "head"), self.pretrained),
            files=files_of(checkpoint, encoder),
        )

    def _pooled(self, encoder, task: Task):
        """Return the vectors the head reads and the names of layers that are new for it."""
        import keras

        tokens = encoder.sequence_output
        if task.is_per_word:
            return tokens, ()
        if self.pooling is Pooling.mean:
            mask = encoder.backbone.input["padding_mask"]
            return keras.layers.GlobalAveragePooling1D(name="head_mean")(tokens, mask=mask), ()
        if encoder.pooled_output is not None:
            return encoder.pooled_output, ()
        name, activation = encoder.architecture.first_token_dense
        dense = keras.layers.Dense(
            encoder.hidden_size,
            activation=activation,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name=name,
        )
        return dense(tokens[:, 0, :]), (name,)
