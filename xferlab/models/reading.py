"""How a run reads texts with an encoder: the prompts before them and the vector that it pools."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.models.architectures import Architecture, read_architecture
from xferlab.models.checkpoint import Checkpoint
from xferlab.models.checkpoint_files import MODULES
from xferlab.models.masked_lm import refuse_other_families
from xferlab.models.plugin_head import reads_of, refuse_head
from xferlab.models.prompts import NO_PROMPTS, Prompts, read_prompts
from xferlab.models.text_pairs import vector_of_text
from xferlab.models.text_vector import TextVector, read_longest_text, read_sentence_vector

VECTOR = {
    "pooling": re.compile("first|mean|max|last|late"),
    "normalize": bool,
    "is_of_class": bool,
    "includes_prompt": bool,
}
RECORD = {"vector": VECTOR, "prompts": {"text": str, "pair": str}, "own": (None, VECTOR)}
"""Shape of :meth:`Reading.record`."""


@dataclass(frozen=True)
class Reading:
    """How texts are read.

    Attributes:
        vector: what the head reads.
        prompts: what stands before the texts.
        own: what the checkpoint's own modules.json pools, for an export; None where it has none
            that is computed here.
    """

    vector: TextVector
    prompts: Prompts = NO_PROMPTS
    own: TextVector | None = None

    def record(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Reading:
        """Return the reading of :meth:`record`."""
        own = record["own"]
        return cls(
            TextVector(**record["vector"]),
            Prompts(**record["prompts"]),
            None if own is None else TextVector(**own),
        )

    def reads_first_token(self, spec: TaskSpec, head: Any = None) -> bool:
        """Return whether a head reads the first token alone; None is the model's own head."""
        tokens = reads_of(head, spec).tokens
        if spec.task.masks_tokens:
            return False
        if tokens == "own" and self.vector.is_of_class and spec.task.encodes_texts_apart:
            return False
        if tokens == "own":
            return self.vector.reads_first_token(spec.task.is_per_word)
        return tokens == "first"

    def describe(
        self, pooling: str, checkpoint: Checkpoint, spec: TaskSpec, head: Any = None
    ) -> dict[str, str]:
        """Return what the log says of it; nothing where it is all of transformers' class.

        Args:
            pooling: value of ``model.pooling``.
            checkpoint: of the encoder.
            spec: the task.
            head: plugin of the group ``head``; None for the model's own head.
        """
        max_length = spec.max_length
        is_own = reads_of(head, spec).tokens == "own" and not spec.task.masks_tokens
        source = checkpoint.source
        origin = f"{MODULES} of {source}" if pooling == "auto" else f"model.pooling={pooling}"
        lines = {}
        if is_own and not self.vector.is_of_class:
            lines["pooling"] = f"{self.vector} ({origin})"
        if self.prompts:
            before = f"{self.prompts.text!r} before each text"
            pair = "" if self.prompts.is_one else f", {self.prompts.pair!r} before its pair"
            lines["prompt"] = before + pair
        longest = read_longest_text(checkpoint.folder, f"model.checkpoint={source}")
        if longest is not None and longest < max_length:
            lines["note"] = (
                f"data.max_length is {max_length}, and max_seq_length of this sentence encoder is"
                f" {longest}: it was trained on texts of that length"
            )
        return lines


def choose_reading(
    checkpoint: Checkpoint,
    spec: TaskSpec,
    pooling: str,
    prompt: str | None = None,
    pair_prompt: str | None = None,
    head: Any = None,
) -> Reading:
    """Return how a config and a checkpoint have texts read.

    Args:
        checkpoint: of the encoder.
        spec: the task.
        pooling: value of ``model.pooling``.
        prompt: value of ``model.prompt``; None for the checkpoint's default.
        pair_prompt: value of ``model.pair_prompt``; None for that of the text.
        head: plugin of the group ``head``; None for the model's own head.

    Raises:
        ConfigError: the checkpoint's pooling is not computed here, a prompt is not known or does
            not fit the task.
    """
    where = f"model.checkpoint={checkpoint.source}"
    architecture = read_architecture(checkpoint.config, where)
    _refuse_idle_prompts(spec, prompt, pair_prompt)
    refuse_head(head, spec, architecture, pooling)
    if spec.task.masks_tokens:
        refuse_other_families(architecture, checkpoint.config, where)
    is_read = pooling == "auto" and not spec.task.is_per_word
    is_own = reads_of(head, spec).tokens == "own"
    own = _own_vector(checkpoint.folder, where, strict=is_read and is_own)
    vector = own if is_read and own else reading_without_modules(architecture, pooling).vector
    if spec.task.encodes_texts_apart and pooling != "auto":
        vector = TextVector(pooling)
    vector = vector_of_text(spec, vector, architecture)
    if spec.task.is_per_word:
        return Reading(vector, own=own)
    stored = read_prompts(checkpoint.folder, where)
    text = stored.chosen(prompt, "model.prompt")
    pair = text if pair_prompt is None else stored.chosen(pair_prompt, "model.pair_prompt")
    prompts = Prompts(text, pair if spec.has_pairs else text)
    if prompts and is_own and not vector.includes_prompt:
        raise ConfigError(
            "this sentence encoder does not pool a prompt's tokens, which is not computed here",
            where=where,
            fix=f"model.prompt='' reads texts without one, model.pooling={vector.pooling} pools it",
        )
    return Reading(vector, prompts, own)


def _own_vector(folder: Path, where: str, *, strict: bool) -> TextVector | None:
    """Return what the checkpoint pools; ConfigError if that is read and not computed here."""
    try:
        return read_sentence_vector(folder, where)
    except ConfigError:
        if strict:
            raise
        return None


def reading_without_modules(architecture: Architecture, pooling: str) -> Reading:
    """Return what ``model.pooling`` stands for, whatever a checkpoint's modules are."""
    if pooling == "auto":
        return Reading(TextVector(architecture.class_pooling, is_of_class=True))
    is_of_class = architecture.with_pooling(pooling) is not None
    return Reading(TextVector(pooling, is_of_class=is_of_class))


def _refuse_idle_prompts(spec: TaskSpec, prompt: str | None, pair_prompt: str | None) -> None:
    """Raise ConfigError for a prompt that stands before no text."""
    if spec.task.is_per_word and (prompt or pair_prompt):
        raise ConfigError(
            "a prompt stands before a text, and this task has lists of words",
            where="model.prompt",
            fix="leave model.prompt and model.pair_prompt out",
        )
    if pair_prompt is not None and not spec.has_pairs:
        raise ConfigError(
            "the data has no pairs of texts",
            where=f"model.pair_prompt={pair_prompt}",
            fix="leave it out, or name the column of the second text: data.pair=COLUMN",
        )
