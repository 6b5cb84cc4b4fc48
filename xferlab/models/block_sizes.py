"""How many numbers each block of an encoder has, by the headers of its weight files."""

from __future__ import annotations

from xferlab.models.architectures import read_architecture
from xferlab.models.checkpoint import Checkpoint
from xferlab.models.weight_names import TensorNames

EMBEDDINGS = "embeddings"


def block_parameters(checkpoint: Checkpoint) -> dict[str, int]:
    """Return the parameters of each block below the head, from text to output; nothing is built.

    Raises:
        ConfigError: the checkpoint is of no known family, or lacks a tensor.
    """
    where = f"model.checkpoint={checkpoint.source}"
    architecture = read_architecture(checkpoint.config, where)
    names = TensorNames(architecture, checkpoint.tensors, where)
    layers = architecture.layer_blocks()
    block_of = {layer: block for block, own in layers.items() for layer in own}
    if architecture.has_pooler:
        block_of["pooler"] = "pooler"
    sizes = dict.fromkeys([EMBEDDINGS, *block_of.values()], 0)
    for path in names.weight_paths():
        layer, _, weight = path.partition("/")
        sizes[block_of.get(layer, EMBEDDINGS)] += names.tensor(layer, weight).size
    return sizes
