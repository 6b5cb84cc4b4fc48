"""Checks that a checkpoint fits the data: pairs, token ids, lengths."""

from __future__ import annotations

from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.models.architectures import read_architecture
from xferlab.models.checkpoint import Checkpoint
from xferlab.models.plugin_head import reads_of
from xferlab.models.weight_names import TensorNames, endings_of


def blocks_for(
    checkpoint: Checkpoint, spec: TaskSpec, pooling: str, head: Any = None
) -> tuple[str, ...]:
    """Return the names of the blocks from text to output, or refuse a checkpoint that cannot fit.

    Nothing is built. A pooler is listed wherever the architecture has one.

    Args:
        checkpoint: of the encoder.
        spec: the task.
        pooling: value of ``model.pooling``.
        head: plugin of the group ``head``; None for the model's own head.

    Raises:
        ConfigError: the data has pairs, and the checkpoint one segment; or the head would read the
            first token of a decoder.
    """
    where = f"model.checkpoint={checkpoint.source}"
    architecture = read_architecture(checkpoint.config, where)
    is_joined = spec.has_pairs and not spec.task.encodes_texts_apart
    if is_joined and architecture.segments == 1:
        raise ConfigError(
            "the data has pairs of texts, and this checkpoint does not distinguish the two"
            " (type_vocab_size is 1)",
            where=where,
            fix="choose a checkpoint with two segments, or join the two texts into one column",
        )
    if architecture.is_causal and pooling == "first" and not spec.task.is_per_word:
        raise ConfigError(
            f"{architecture.model_type} is a decoder, and its first token has read no other",
            where="model.pooling=first",
            fix="model.pooling=last, mean or auto",
        )
    blocks = ["embeddings", *architecture.layer_blocks()]
    reads_pooler = architecture.has_pooler and reads_of(head, spec).tokens == "own"
    reads_pooler = reads_pooler and not spec.task.encodes_texts_apart
    if reads_pooler and not (spec.task.is_per_word or spec.task.masks_tokens):
        blocks.append("pooler")
    return (*blocks, "head")


def variables_for(checkpoint: Checkpoint, spec: TaskSpec, head: Any = None) -> tuple[str, ...]:
    """Return the paths that the network's variables can have; () where they are not known.

    Nothing is built: those of the encoder are from the headers of the weight files. Those of the
    head are all that transformers' classes of the family have.

    Args:
        checkpoint: of the encoder; without weights nothing is known.
        spec: the task.
        head: plugin of the group ``head``, whose layers are not known; None for the model's own.
    """
    if head is not None or spec.task.masks_tokens or not checkpoint.tensors:
        return ()
    where = f"model.checkpoint={checkpoint.source}"
    architecture = read_architecture(checkpoint.config, where)
    names = TensorNames(architecture, checkpoint.tensors, where)
    layers = {*architecture.head_layers(is_per_word=False), "head"}
    own = (f"{layer}/{ending}" for layer in sorted(layers) for ending in endings_of(layer))
    return tuple(dict.fromkeys([*names.weight_paths(), *own]))


def refuse_ids(largest: int, rows: int, source: str) -> None:
    """Raise ConfigError where a tokenizer gives ids that the table of embeddings does not have.

    Args:
        largest: the largest token id.
        rows: rows of the table.
        source: value of ``model.checkpoint``.
    """
    if largest >= rows:
        raise ConfigError(
            f"the checkpoint's tokenizer gives ids up to {largest}, and its table of embeddings has"
            f" {rows} rows",
            where=f"model.checkpoint={source}",
            fix="use the tokenizer that this checkpoint was trained with",
        )


def refuse_length(max_length: int, positions: int) -> None:
    """Raise ConfigError if ``data.max_length`` is more than a model's positions."""
    if max_length > positions:
        raise ConfigError(
            f"data.max_length={max_length} is more than this model's {positions} positions",
            where="data.max_length",
            fix=f"data.max_length={positions} or less",
        )
