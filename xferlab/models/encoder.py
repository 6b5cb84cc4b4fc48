"""Pretrained encoders as Keras models whose numbers are those that PyTorch computes.

The layers are those of ``models.layers``, put together by the checkpoint's own ``config.json``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xferlab.models.architectures import Architecture, read_architecture
from xferlab.models.checkpoint import Checkpoint
from xferlab.models.weight_names import TensorNames, assign_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoder:
    """An encoder without a head.

    Attributes:
        architecture: its sizes and its family.
        backbone: the functional Keras model; inputs ``token_ids``, ``padding_mask`` (1 is a token,
            0 padding) and, where the architecture takes them, ``segment_ids``, all int32
            ``(batch, length)``.
        blocks: names of the layers that have weights, by block from input to output:
            ``embeddings``, ``layer_0`` ... ``layer_{n-1}``, ``pooler``; layers that share their
            weights are one block, ``layers``.
        sequence_output: symbolic ``(batch, length, hidden_size)``; of the first token alone
            ``(batch, 1, hidden_size)``.
        pooled_output: symbolic ``(batch, hidden_size)`` of the pooler, or None.
        from_checkpoint: parameters that came from the checkpoint; 0 is a fresh encoder.
    """

    architecture: Architecture
    backbone: Any
    blocks: Mapping[str, tuple[str, ...]]
    sequence_output: Any
    pooled_output: Any | None
    from_checkpoint: int

    @property
    def hidden_size(self) -> int:
        """Width of the outputs."""
        return self.architecture.hidden_size

    @property
    def vocabulary_size(self) -> int:
        """Token ids are smaller than this."""
        return self.architecture.vocabulary_size

    @property
    def max_length(self) -> int:
        """Tokens that a text may have, special ones included."""
        return self.architecture.positions


def load_encoder(
    checkpoint: Checkpoint,
    *,
    pretrained: bool = True,
    dropout: float | None = None,
    pooler: bool = True,
    first_token_only: bool = False,
    prepare: Any = None,
) -> Encoder:
    """Return the encoder of a checkpoint.

    Args:
        checkpoint: what ``resolve`` returned.
        pretrained: False gives the same architecture with random weights by Keras's seed.
        dropout: rate of every dropout layer, attention included; None takes the checkpoint's.
        pooler: False leaves the architecture's pooler out.
        first_token_only: the last layer computes the first token alone, for a head that reads no
            other: about the work of one layer less.
        prepare: changes the symbolic inputs before they are read; None reads them as they are.

    Raises:
        ConfigError: a weight is missing or misshapen, or its family cannot be loaded.
    """
    where = f"model.checkpoint={checkpoint.source}"
    architecture = read_architecture(checkpoint.config, where)
    if dropout is not None:
        architecture = replace(architecture, hidden_dropout=dropout, attention_dropout=dropout)
    if not pooler:
        architecture = replace(architecture, has_pooler=False)
    names = TensorNames(architecture, checkpoint.tensors, where)
    has_weights = pretrained or bool(checkpoint.tensors)
    if architecture.has_pooler and has_weights and not names.has_pooler:
        architecture = replace(architecture, has_pooler=False)
        log.info("%s: the pooler is not in the checkpoint", checkpoint.source)
    built = replace(architecture, is_random=not pretrained)
    backbone = built.build(first_token_only, prepare)
    loaded = assign_weights(backbone, names) if pretrained else 0
    log.debug(
        "%s: %s of %s parameters are pretrained", checkpoint.source, loaded, backbone.count_params()
    )
    return Encoder(
        architecture=architecture,
        backbone=backbone,
        blocks=_blocks(backbone, architecture),
        sequence_output=backbone.output["sequence_output"],
        pooled_output=backbone.output.get("pooled_output"),
        from_checkpoint=loaded,
    )


def _blocks(backbone: Any, architecture: Architecture) -> dict[str, tuple[str, ...]]:
    layers = architecture.layer_blocks()
    named = {"pooler"}.union(*layers.values())
    weighted = [layer.name for layer in backbone.layers if layer.weights]
    blocks = {"embeddings": tuple(name for name in weighted if name not in named), **layers}
    if architecture.has_pooler:
        blocks["pooler"] = ("pooler",)
    return blocks
