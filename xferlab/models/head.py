"""The network of a task: an encoder below the head of transformers' class for its family."""

from __future__ import annotations

from typing import Any

from xferlab.models.architectures import Architecture
from xferlab.models.checkpoint import Checkpoint
from xferlab.models.encoder import Encoder
from xferlab.models.pooling import pooled
from xferlab.models.weight_names import TensorNames, assign_head


def attach_head(
    encoder: Encoder, outputs: int, *, is_per_word: bool, pooling: str, dropout: float
) -> tuple[Any, dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return a functional ``keras.Model`` of logits, its blocks, and the names of its new layers.

    Args:
        encoder: what the head reads.
        outputs: width of the last layer.
        is_per_word: whether there is an output for each token.
        pooling: ``auto`` (that of transformers' class), ``first``, ``mean`` or ``last``.
        dropout: rate before the last layer.
    """
    import keras

    mask = encoder.backbone.input["padding_mask"]
    architecture = encoder.architecture.with_pooling(pooling)
    if is_per_word or architecture is not None:
        family = architecture or encoder.architecture
        vectors, new_layers = family.head(encoder.backbone.output, mask, is_per_word, dropout)
    else:
        vectors = pooled(encoder.sequence_output, mask, pooling)
        new_layers = ()
    vectors = keras.layers.Dropout(dropout, name="head_dropout")(vectors)
    head = encoder.architecture.output_layer(outputs, is_per_word)
    network = keras.Model(encoder.backbone.input, head(vectors))
    used = {layer.name for layer in network.layers}
    blocks = {name: of for name, of in encoder.blocks.items() if used.issuperset(of)}
    new_layers = (*new_layers, "head")
    return network, {**blocks, "head": new_layers}, new_layers


def assign_pretrained_head(
    network: Any, architecture: Architecture, checkpoint: Checkpoint, is_per_word: bool
) -> tuple[str, ...]:
    """Give layers of the head the weights that a checkpoint has of them, and return their names.

    transformers does so where a class has layers of another one, as ModernBERT's for classification
    has those of the masked language model's head.
    """
    stems = architecture.head_layers(is_per_word)
    names = [layer.name for layer in network.layers if layer.name in architecture.pretrained_head]
    if not all(f"{stems[name]}.weight" in checkpoint.tensors for name in names):
        return ()
    tensors = TensorNames(architecture, checkpoint.tensors, f"model.checkpoint={checkpoint.source}")
    assign_head(network, tensors, is_per_word, names)
    return tuple(names)


def reads_first_token(encoder: Architecture, is_per_word: bool, pooling: str) -> bool:
    """Return whether a head reads the first token alone.

    Args:
        encoder: what the head reads.
        is_per_word: whether there is an output for each token.
        pooling: as in :func:`attach_head`.
    """
    chosen = encoder.class_pooling if pooling == "auto" else pooling
    return chosen == "first" and not is_per_word
