"""Which tensor of a checkpoint is which weight of the encoder; one that is missing is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from xferlab.errors import ConfigError
from xferlab.io.safetensors import Tensor, read_tensor
from xferlab.models.encoder_config import EncoderConfig

_ANCHOR = "embeddings.word_embeddings.weight"
_MODEL = {"xlm-roberta": "roberta"}

_BERT = {
    "self_attention_layer/query": "attention.self.query",
    "self_attention_layer/key": "attention.self.key",
    "self_attention_layer/value": "attention.self.value",
    "self_attention_layer/attention_output": "attention.output.dense",
    "self_attention_layer_norm": "attention.output.LayerNorm",
    "feedforward_intermediate_dense": "intermediate.dense",
    "feedforward_output_dense": "output.dense",
    "feedforward_layer_norm": "output.LayerNorm",
}
_DISTILBERT = {
    "self_attention_layer/query": "attention.q_lin",
    "self_attention_layer/key": "attention.k_lin",
    "self_attention_layer/value": "attention.v_lin",
    "self_attention_layer/attention_output": "attention.out_lin",
    "self_attention_layer_norm": "sa_layer_norm",
    "feedforward_intermediate_dense": "ffn.lin1",
    "feedforward_output_dense": "ffn.lin2",
    "feedforward_layer_norm": "output_layer_norm",
}
_ALBERT = {
    "self_attention_layer/query": "attention.query",
    "self_attention_layer/key": "attention.key",
    "self_attention_layer/value": "attention.value",
    "self_attention_layer/attention_output": "attention.dense",
    "self_attention_layer_norm": "attention.LayerNorm",
    "feedforward_intermediate_dense": "ffn",
    "feedforward_output_dense": "ffn_output",
    "feedforward_layer_norm": "full_layer_layer_norm",
}
_INSIDE = {"albert": _ALBERT, "distilbert": _DISTILBERT}
_LAYER = {
    "albert": "encoder.albert_layer_groups.{group}.albert_layers.{inner}",
    "distilbert": "transformer.layer.{group}",
}
OUTSIDE = {
    "token_embedding": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "segment_embedding": "embeddings.token_type_embeddings",
    "embeddings_layer_norm": "embeddings.LayerNorm",
    "embedding_projection": "encoder.embedding_hidden_mapping_in",
}
# The last word of a tensor's name by that of our weight's; old checkpoints have the second.
ENDINGS = {
    "kernel": ("weight",),
    "bias": ("bias",),
    "embeddings": ("weight",),
    "gamma": ("weight", "gamma"),
    "beta": ("bias", "beta"),
}


def prefix_of(config: EncoderConfig) -> str:
    """Return what stands before the encoder's names in a model with a head, like ``bert.``."""
    return _MODEL.get(config.architecture, config.architecture) + "."


def stem_of(config: EncoderConfig, layer: str, part: str) -> str:
    """Return the name of the tensors of a layer's part, without prefix and last word.

    Args:
        config: whose tensors.
        layer: our name of the layer, like ``transformer_layer_0``.
        part: the path of the part inside it, like ``feedforward_layer_norm``; may be empty.
    """
    if layer == "pooler":
        return "pooler" if config.architecture == "albert" else "pooler.dense"
    if layer in OUTSIDE:
        return OUTSIDE[layer]
    group, inner = divmod(int(layer.rpartition("_")[2]), config.inner_layers)
    stem = _LAYER.get(config.architecture, "encoder.layer.{group}")
    parts = _INSIDE.get(config.architecture, _BERT)
    return f"{stem.format(group=group, inner=inner)}.{parts[part]}"


class TensorNames:
    """The tensors of one checkpoint, asked for by the names of our weights."""

    def __init__(self, config: EncoderConfig, tensors: Mapping[str, Tensor], where: str) -> None:
        self.config, self.where = config, where
        self._tensors = tensors
        self._prefix = self._find_prefix()

    @property
    def has_pooler(self) -> bool:
        """Whether the checkpoint has the pooler of its architecture."""
        return f"{self._prefix}{stem_of(self.config, 'pooler', '')}.weight" in self._tensors

    def tensor(self, layer: str, weight: str) -> Tensor:
        """Return the tensor of a layer's weight.

        Args:
            layer: its name, like ``transformer_layer_0``.
            weight: the path inside it, like ``feedforward_layer_norm/gamma``.

        Raises:
            ConfigError: the checkpoint does not have it.
        """
        part, _, ending = weight.rpartition("/")
        stem = stem_of(self.config, layer, part)
        candidates = [f"{stem}.{word}" for word in ENDINGS[ending]]
        for name in candidates:
            if self._prefix + name in self._tensors:
                return self._tensors[self._prefix + name]
        raise ConfigError(
            f"the checkpoint lacks the tensor '{self._prefix}{candidates[0]}' "
            f"that its {self.config.architecture} encoder needs",
            where=self.where,
            fix="choose another checkpoint, or start without its weights: model.pretrained=false",
        )

    def segment_table(self) -> Tensor | None:
        """Return the table of segments, or None where the checkpoint has none."""
        return self._tensors.get(f"{self._prefix}{OUTSIDE['segment_embedding']}.weight")

    def _find_prefix(self) -> str:
        """Return what stands before the encoder's names: nothing, ``bert.``, or what there is."""
        found = {name.removesuffix(_ANCHOR) for name in self._tensors if name.endswith(_ANCHOR)}
        for prefix in ("", prefix_of(self.config)):
            if prefix in found or not found:
                return prefix
        if len(found) == 1:
            return found.pop()
        raise ConfigError(
            f"the checkpoint holds several encoders: {', '.join(sorted(found))}",
            where=self.where,
            fix="save the one that is wanted in a folder of its own",
        )


def assign_weights(backbone: Any, names: TensorNames) -> int:
    """Give every weight of the encoder its tensor and return how many parameters that were."""
    count = 0
    for layer in backbone.layers:
        for variable in layer.weights:
            weight = variable.path.removeprefix(f"{layer.name}/")
            variable.assign(_value(names, layer.name, weight, tuple(variable.shape)))
            count += math.prod(variable.shape)
    return count


def _value(names: TensorNames, layer: str, weight: str, shape: tuple[int, ...]) -> Any:
    """Return a tensor in the shape of our weight."""
    tensor = names.tensor(layer, weight)
    offset = names.config.position_offset if layer == "position_embedding" else 0
    stored = stored_shape(weight, shape, offset)
    if tensor.shape != stored:
        raise ConfigError(
            f"the checkpoint's tensor for {layer}/{weight} has the shape {tensor.shape}, "
            f"by its config.json it would have {stored}",
            where=names.where,
            fix="choose another checkpoint: its weights are not those of its config.json",
        )
    array = _read(tensor, names)
    if weight.endswith("kernel"):
        array = array.T
    if layer == "position_embedding":
        array = array[offset:] + _folded_segment(names, shape[1])
    return array.reshape(shape)


def stored_shape(weight: str, shape: tuple[int, ...], offset: int) -> tuple[int, ...]:
    """Return PyTorch's shape of the weight: dense kernels ``(out, in)``, heads not split."""
    if weight.endswith("kernel"):
        axes_in = 2 if "attention_output" in weight else 1
        return math.prod(shape[axes_in:]), math.prod(shape[:axes_in])
    if weight.endswith("bias"):
        return (math.prod(shape),)
    return (shape[0] + offset, *shape[1:])


def _folded_segment(names: TensorNames, width: int) -> Any:
    """Return what segment 0 adds to every position, where there are no segment ids (RoBERTa)."""
    table = names.segment_table()
    if names.config.segments or table is None:
        return 0
    return _read(table, names)[0].reshape(width)


def _read(tensor: Tensor, names: TensorNames) -> Any:
    try:
        return read_tensor(tensor)
    except ValueError as error:
        raise ConfigError(
            f"a tensor of {tensor.path.name} cannot be read: {error}",
            where=names.where,
            fix="save the model in float32, float16 or bfloat16",
        ) from error
