"""The network of a task: an encoder below the head of transformers' class for its family."""

from __future__ import annotations

import math
from typing import Any

from xferlab.compatibility import plugin_failure
from xferlab.contracts import Task, TaskSpec
from xferlab.errors import XferlabError
from xferlab.models.architectures import Architecture
from xferlab.models.checkpoint import Checkpoint
from xferlab.models.encoder import Encoder
from xferlab.models.encoder_outputs import SymbolicOutputs, outputs_of_layers
from xferlab.models.masked_lm import assign_pretrained_scores, masked_lm_outputs
from xferlab.models.plugin_head import GROUP, reads_of
from xferlab.models.text_pairs import mask_of, vector_of_text
from xferlab.models.text_vector import TextVector
from xferlab.models.weight_names import TensorNames, assign_head

SENTENCE_VECTOR = "sentence_vector"
"""Layer of the vector that a head reads, where it is none of transformers' class."""
SCALE = "sentence_vector_scale"
"""Layer that scales a vector of length 1 for the head."""


def scale_of(vector: TextVector, width: int) -> float:
    """Return the factor that gives the parts of a vector of length 1 a mean square of 1; else 1.

    A head learns at the usual rates from vectors of the size that a normalisation layer gives.
    """
    return math.sqrt(width) if vector.normalize else 1.0


def attach_head(
    encoder: Encoder, outputs: int, *, is_per_word: bool, vector: TextVector, dropout: float
) -> tuple[Any, dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return a functional ``keras.Model`` of logits, its blocks, and the names of its new layers.

    Args:
        encoder: what the head reads.
        outputs: width of the last layer.
        is_per_word: whether there is an output for each token.
        vector: what is read of a text.
        dropout: rate before the last layer.
    """
    import keras

    vectors, new_layers = vectors_of_own_head(encoder, is_per_word, vector, dropout)
    vectors = keras.layers.Dropout(dropout, name="head_dropout")(vectors)
    head = encoder.architecture.output_layer(outputs, is_per_word)
    network = keras.Model(encoder.backbone.input, head(vectors))
    new_layers = (*new_layers, "head")
    return network, _blocks_with_head(encoder, network, new_layers), new_layers


def vectors_of_own_head(
    encoder: Encoder, is_per_word: bool, vector: TextVector, dropout: float
) -> tuple[Any, tuple[str, ...]]:
    """Return what the last layer of a model's own head reads, and the new layers below it."""
    import keras

    from xferlab.models.layers import SentencePooling

    mask = mask_of(encoder)
    if is_per_word or vector.is_of_class:
        family = encoder.architecture.with_pooling(vector.pooling) or encoder.architecture
        return family.head(encoder.backbone.output, mask, is_per_word, dropout)
    pool = SentencePooling(vector.pooling, vector.normalize, name=SENTENCE_VECTOR)
    vectors = pool(encoder.sequence_output, mask)
    if vector.normalize:
        scale = scale_of(vector, encoder.hidden_size)
        vectors = keras.layers.Rescaling(scale, name=SCALE)(vectors)
    return vectors, ()


def network_of_task(
    encoder: Encoder, spec: TaskSpec, vector: TextVector, dropout: float, head: Any = None
) -> tuple[Any, dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return a network with a head, its blocks, and the names of its new layers.

    Args:
        encoder: that was built for what the head reads.
        spec: the task.
        vector: what the model's own head reads of a text.
        dropout: rate before the last layer.
        head: plugin of the group ``head``; None for the model's own head.

    Raises:
        PluginError: the head fails, or gives nothing that the encoder's inputs lead to.
    """
    import keras

    from xferlab.models.layers import JoinPairs

    is_per_word = spec.task.is_per_word
    if spec.task.masks_tokens:
        network = keras.Model(encoder.backbone.input, masked_lm_outputs(encoder))
        return network, _blocks_with_head(encoder, network, ("head",)), ("head",)
    vector = vector_of_text(spec, vector, encoder.architecture)
    if head is None and spec.task.encodes_texts_apart:
        vectors, new = vectors_of_own_head(encoder, False, vector, dropout)
        network = keras.Model(encoder.backbone.input, JoinPairs(name="pairs")(vectors))
        return network, _blocks_with_head(encoder, network, new), new
    if head is None:
        return attach_head(
            encoder, spec.num_outputs, is_per_word=is_per_word, vector=vector, dropout=dropout
        )
    backbone = encoder.backbone
    reads = reads_of(head, spec)
    layers = outputs_of_layers(backbone, encoder.sequence_output, reads.layers)
    own = None
    if reads.tokens == "own":
        own, _ = vectors_of_own_head(encoder, is_per_word, vector, dropout)
    try:
        given = SymbolicOutputs(encoder, spec, layers, own, dropout)
        network = keras.Model(backbone.input, head.build(given, spec))
    except XferlabError:
        raise
    except Exception as e:  # a plugin of others may raise anything
        raise plugin_failure(GROUP, head, e, "cannot be built") from e
    below = {layer.name for layer in backbone.layers}
    new = tuple(each.name for each in network.layers if each.weights and each.name not in below)
    return network, _blocks_with_head(encoder, network, new), new


def _blocks_with_head(
    encoder: Encoder, network: Any, head: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    used = {layer.name for layer in network.layers}
    blocks = {name: of for name, of in encoder.blocks.items() if used.issuperset(of)}
    return {**blocks, "head": head}


def assign_pretrained_head(
    network: Any, architecture: Architecture, checkpoint: Checkpoint, task: Task
) -> tuple[str, ...]:
    """Give layers of the head the weights that a checkpoint has of them, and return their names.

    transformers does so where a class has layers of another one, as ModernBERT's for classification
    has those of the masked language model's head.
    """
    if task.masks_tokens:
        has_head = assign_pretrained_scores(network, architecture, checkpoint)
        return ("head",) if has_head else ()
    is_per_word = task.is_per_word
    stems = architecture.head_layers(is_per_word)
    names = [layer.name for layer in network.layers if layer.name in architecture.pretrained_head]
    if not all(f"{stems[name]}.weight" in checkpoint.tensors for name in names):
        return ()
    tensors = TensorNames(architecture, checkpoint.tensors, f"model.checkpoint={checkpoint.source}")
    assign_head(network, tensors, is_per_word, names)
    return tuple(names)
