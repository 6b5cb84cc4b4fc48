"""Writes a keras-hub BERT as a Hugging Face folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Tensor = Any


def write_checkpoint(backbone: Any, head: dict[str, Tensor], folder: Path) -> None:
    """Writes ``config.json`` and ``model.safetensors``, with Hugging Face's names and shapes.

    Args:
        backbone: The `keras_hub.models.BertBackbone`.
        head: Further tensors by name, those of the masked-word decoder.
        folder: Where the files go.
    """
    import numpy as np
    from safetensors.numpy import save

    tensors = {**dict(_backbone_tensors(backbone)), **head}
    arrays = {name: np.ascontiguousarray(tensors[name], "float32") for name in sorted(tensors)}
    (folder / "model.safetensors").write_bytes(save(arrays, metadata={"format": "pt"}))
    config = json.dumps(checkpoint_config(backbone), indent=2, sort_keys=True)
    (folder / "config.json").write_text(config + "\n")


def checkpoint_config(backbone: Any) -> dict[str, Any]:
    """Gives the content of ``config.json`` for the backbone."""
    return {
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": backbone.hidden_dim,
        "initializer_range": 0.02,
        "intermediate_size": backbone.intermediate_dim,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": backbone.max_sequence_length,
        "model_type": "bert",
        "num_attention_heads": backbone.num_heads,
        "num_hidden_layers": backbone.num_layers,
        "pad_token_id": 0,
        "tie_word_embeddings": True,
        "type_vocab_size": backbone.num_segments,
        "vocab_size": backbone.vocabulary_size,
    }


def _backbone_tensors(backbone: Any) -> Iterator[tuple[str, Tensor]]:
    embeddings = {
        "word_embeddings": backbone.token_embedding.embeddings,
        "position_embeddings": backbone.position_embedding.position_embeddings,
        "token_type_embeddings": backbone.segment_embedding.embeddings,
    }
    for name, variable in embeddings.items():
        yield f"bert.embeddings.{name}.weight", variable.numpy()
    yield from _norm("bert.embeddings.LayerNorm", backbone.embeddings_layer_norm)
    for index, block in enumerate(backbone.transformer_layers):
        prefix = f"bert.encoder.layer.{index}"
        attention = block._self_attention_layer  # keras-hub's own converter reads the same name
        first = block._feedforward_intermediate_dense
        second = block._feedforward_output_dense
        yield from dense_tensors(f"{prefix}.attention.self.query", attention.query_dense)
        yield from dense_tensors(f"{prefix}.attention.self.key", attention.key_dense)
        yield from dense_tensors(f"{prefix}.attention.self.value", attention.value_dense)
        yield from dense_tensors(f"{prefix}.attention.output.dense", attention.output_dense, rows=2)
        yield from _norm(f"{prefix}.attention.output.LayerNorm", block._self_attention_layer_norm)
        yield from dense_tensors(f"{prefix}.intermediate.dense", first)
        yield from dense_tensors(f"{prefix}.output.dense", second)
        yield from _norm(f"{prefix}.output.LayerNorm", block._feedforward_layer_norm)
    yield from dense_tensors("bert.pooler.dense", backbone.pooled_dense)


def dense_tensors(name: str, layer: Any, rows: int = 1) -> Iterator[tuple[str, Tensor]]:
    """Yields a dense layer's weight, output first, and bias; its first `rows` axes are inputs."""
    import math

    kernel = layer.kernel.numpy()
    kernel = kernel.reshape(math.prod(kernel.shape[:rows]), -1)
    yield f"{name}.weight", kernel.T
    yield f"{name}.bias", layer.bias.numpy().reshape(-1)


def _norm(name: str, layer: Any) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", layer.gamma.numpy()
    yield f"{name}.bias", layer.beta.numpy()
