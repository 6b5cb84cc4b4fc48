"""Writes a BERT as a Hugging Face folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xferlab.models.architectures import Architecture
from xferlab.models.to_transformers import encoder_tensors

DROPOUT = 0.1
"""Rate that the folder is fine-tuned with; pretraining has none."""


def write_checkpoint(
    backbone: Any, architecture: Architecture, head: Mapping[str, Any], folder: Path
) -> None:
    """Write ``config.json`` and ``model.safetensors``, with Hugging Face's names and shapes.

    Args:
        backbone: the encoder that ``architecture.build`` returned.
        architecture: its sizes.
        head: further tensors by name, those of the masked-word decoder.
        folder: where the files go.
    """
    import numpy as np
    from safetensors.numpy import save

    pooler = dense_tensors("bert.pooler.dense", backbone.get_layer("pooler"))
    tensors = encoder_tensors(backbone, architecture) | pooler | dict(head)
    arrays = {name: np.ascontiguousarray(tensors[name], "float32") for name in sorted(tensors)}
    (folder / "model.safetensors").write_bytes(save(arrays, metadata={"format": "pt"}))
    config = json.dumps(checkpoint_config(architecture), indent=2, sort_keys=True)
    (folder / "config.json").write_text(config + "\n")


def checkpoint_config(architecture: Architecture) -> dict[str, Any]:
    """Return the content of ``config.json`` for the encoder."""
    return {
        **architecture.to_config(pad_id=0),
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": DROPOUT,
        "hidden_dropout_prob": DROPOUT,
        "initializer_range": architecture.initializer_range,
        "tie_word_embeddings": True,
    }


def dense_tensors(name: str, layer: Any) -> dict[str, Any]:
    """Return a dense layer's weight, output first, and its bias."""
    return {f"{name}.weight": layer.kernel.numpy().T, f"{name}.bias": layer.bias.numpy()}
