"""A pretrained encoder with a new head."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import xferlab
from xferlab import ReadsCheckpoint, TaskSpec, TextModel, register


class Pooling(Enum):
    """How one vector is made of a text's token vectors."""

    auto = "auto"
    first = "first"
    mean = "mean"
    last = "last"


@register("model", "encoder")
@dataclass(frozen=True)
class Encoder(ReadsCheckpoint):
    """A pretrained encoder, or a decoder read as one, with a fresh head of logits.

    Attributes:
        checkpoint: ``bundled:bert``, a Hugging Face folder, or a Hub id, ``@revision`` or not.
        pretrained: False trains the same architecture from random weights.
        pooling: ``auto`` is that of a sentence encoder's own modules.json; of any other checkpoint
            the head of transformers' class for it: mostly the ``first`` token's vector, through the
            checkpoint's pooler where it has one, else through a new dense layer; the ``last``
            token's for a decoder. ``mean`` averages all tokens.
        dropout: fraction of the pooled vector dropped before the head, 0 to below 1.
        prompt: what stands before each text, as E5's ``"query: "``, or the name of one of the
            checkpoint's; null is its default, mostly none.
        pair_prompt: the same before the second text; null is that of the first.
    """

    checkpoint: str
    pretrained: bool = True
    pooling: Pooling = Pooling.auto
    dropout: float = 0.1
    prompt: str | None = None
    pair_prompt: str | None = None

    accepts_head = True  # no ClassVar: that would be a part of the run id

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, got {self.dropout}")

    def max_sequence_length(self) -> int:
        return xferlab.read_architecture(self.fetch_small().config, self.checkpoint).positions

    def check(self, spec: TaskSpec, head=None) -> tuple[str, ...]:
        checkpoint = self.fetch_small()
        self._reading(checkpoint, spec, head)
        return xferlab.blocks_for(checkpoint, spec, self.pooling.value, head)

    def variables(self, spec: TaskSpec, head=None) -> tuple[str, ...]:
        return xferlab.variables_for(self.fetch_small(), spec, head)

    def tokenizer(self, spec: TaskSpec, head=None):
        checkpoint = self.fetch_small()
        prompts = self._reading(checkpoint, spec, head).prompts
        return xferlab.tokenizer_of(checkpoint.folder, spec, prompts)

    def build(self, spec: TaskSpec, head=None) -> TextModel:
        from xferlab import input_change, load_encoder, tokenizer_of

        checkpoint = self.fetch()
        reading = self._reading(checkpoint, spec, head)
        tokenizer = tokenizer_of(checkpoint.folder, spec, reading.prompts)
        encoder = load_encoder(
            checkpoint,
            pretrained=self.pretrained,
            first_token_only=reading.reads_first_token(spec, head),
            prepare=input_change(spec, tokenizer, head),
        )
        return self._with_head(checkpoint, encoder, tokenizer, spec, reading, head)

    def restore(self, spec: TaskSpec, folder, head=None) -> TextModel:
        checkpoint = xferlab.saved_checkpoint(folder)
        saved = xferlab.saved_reading(folder, spec.task.is_per_word)
        reading = saved or self._reading(checkpoint, spec, head)
        tokenizer = xferlab.tokenizer_of(checkpoint.folder, spec, reading.prompts)
        change = xferlab.input_change(spec, tokenizer, head)
        first = reading.reads_first_token(spec, head)
        encoder = xferlab.saved_encoder(checkpoint, first, change)
        return self._with_head(checkpoint, encoder, tokenizer, spec, reading, head)

    def _reading(self, checkpoint, spec: TaskSpec, head):
        prompts = (self.prompt, self.pair_prompt)
        return xferlab.choose_reading(checkpoint, spec, self.pooling.value, *prompts, head)

    def _with_head(self, checkpoint, encoder, tokenizer, spec, reading, head) -> TextModel:
        from xferlab import (
            assign_pretrained_head,
            files_of,
            network_of_task,
            origin_of,
            refuse_ids,
            refuse_length,
        )

        refuse_length(spec.max_length, encoder.max_length)
        refuse_ids(tokenizer.largest_id, encoder.vocabulary_size, checkpoint.source)
        network, blocks, new = network_of_task(encoder, spec, reading.vector, self.dropout, head)
        if self.pretrained:
            loaded = assign_pretrained_head(network, encoder.architecture, checkpoint, spec.task)
            new = tuple(name for name in new if name not in loaded)
        return TextModel(
            network=network,
            tokenizer=tokenizer,
            blocks=blocks,
            output_kind=spec.head_output_kind,
            origin=origin_of(checkpoint, network, new, self.pretrained)
            | {"reading": reading.describe(self.pooling.value, checkpoint, spec, head)},
            files=files_of(checkpoint, encoder, reading),
        )
