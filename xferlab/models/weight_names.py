"""Which tensor of a checkpoint is which weight of the encoder; one that is missing is an error."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from xferlab.errors import ConfigError
from xferlab.io.tensors import Tensor, read_weight
from xferlab.models.architectures import Architecture

if TYPE_CHECKING:
    import numpy as np

ENDINGS = {
    "kernel": ("weight",),
    "bias": ("bias",),
    "embeddings": ("weight",),
    "gamma": ("weight", "gamma"),
    "beta": ("bias", "beta"),
}
"""The last word of a tensor's name by that of the Keras weight; old checkpoints have the second."""


class TensorNames:
    """The tensors of one checkpoint, found by the names of the Keras weights.

    Args:
        architecture: the encoder that they are of.
        tensors: by name.
        where: the ``where`` line of the errors.
    """

    def __init__(
        self, architecture: Architecture, tensors: Mapping[str, Tensor], where: str
    ) -> None:
        self.architecture = architecture
        self.where = where
        self._tensors = tensors
        self._prefix = self._find_prefix()

    @property
    def has_pooler(self) -> bool:
        """Whether the checkpoint has the pooler of its architecture."""
        return self.find("pooler") is not None

    def find(self, layer: str) -> Tensor | None:
        """Return the ``weight`` of a layer, or None where the checkpoint has none."""
        return self._tensors.get(f"{self._prefix}{self.architecture.tensor_stem(layer)}.weight")

    def tensor(self, layer: str, weight: str) -> Tensor:
        """Return the tensor of a layer's weight.

        Args:
            layer: its name, like ``transformer_layer_0``.
            weight: the path inside it, like ``feedforward_layer_norm/gamma``.

        Raises:
            ConfigError: the checkpoint does not have it.
        """
        part, _, ending = weight.rpartition("/")
        return self.named(f"{self._prefix}{self.architecture.tensor_stem(layer, part)}", ending)

    def named(self, stem: str, ending: str) -> Tensor:
        """Return a tensor by the whole of its stem and the last word of the Keras weight's path.

        Raises:
            ConfigError: the checkpoint does not have it.
        """
        names = [f"{stem}.{word}" for word in ENDINGS[ending]]
        for name in names:
            if name in self._tensors:
                return self._tensors[name]
        raise ConfigError(
            f"the checkpoint lacks the tensor '{names[0]}' "
            f"that its {self.architecture.model_type} encoder needs",
            where=self.where,
            fix="choose another checkpoint, or start without its weights: model.pretrained=false",
        )

    def weight_paths(self) -> Iterator[str]:
        """Yield the paths of the encoder's Keras weights, pooler included; nothing is built."""
        architecture = self.architecture
        layers = [f"transformer_layer_{i}" for i in range(architecture.distinct_layers)]
        parts = [(layer, part) for layer in layers for part in architecture.layer_tensors]
        outer = [(layer, "") for layer in (*architecture.embedding_tensors, "pooler")]
        if architecture.has_constant_segment:
            outer.remove(("segment_embedding", ""))
        for layer, part in (*outer, *parts):
            stem = f"{self._prefix}{architecture.tensor_stem(layer, part)}"
            path = f"{layer}/{part}" if part else layer
            for ending in endings_of(path):
                if any(f"{stem}.{word}" in self._tensors for word in ENDINGS[ending]):
                    yield f"{path}/{ending}"

    def _find_prefix(self) -> str:
        """Return the prefix of the encoder's names: empty, ``bert.``, or the one in the file."""
        anchor = f"{self.architecture.tensor_stem('token_embedding')}.weight"
        found = {name.removesuffix(anchor) for name in self._tensors if name.endswith(anchor)}
        for prefix in ("", self.architecture.weight_prefix):
            if prefix in found or not found:
                return prefix
        if len(found) == 1:
            return found.pop()
        raise ConfigError(
            f"the checkpoint holds several encoders: {', '.join(sorted(found))}",
            where=self.where,
            fix="save the one that is wanted in a folder of its own",
        )


TABLES = ("embedding", "embeddings", "attention_bias")
"""Endings of the names of layers that are a table."""


def endings_of(path: str) -> tuple[str, ...]:
    """Return the last words that the weights of a layer with this path may have."""
    name = path.rpartition("/")[2]
    if name.endswith("_norm"):
        return "gamma", "beta"
    return ("embeddings",) if name.endswith(TABLES) else ("kernel", "bias")


def assign_weights(backbone: Any, names: TensorNames) -> int:
    """Give every weight of the encoder its tensor and return how many parameters that were."""
    count = 0
    for layer in backbone.layers:
        for variable in layer.weights:
            weight = variable.path.removeprefix(f"{layer.name}/")
            variable.assign(_value(names, layer.name, weight, tuple(variable.shape)))
            count += math.prod(variable.shape)
    return count


def assign_head(
    network: Any, names: TensorNames, is_per_word: bool, layers: Collection[str] | None = None
) -> None:
    """Give every weight of a network's head, and of its pooler, its tensor.

    Args:
        network: the network.
        names: the checkpoint's tensors.
        is_per_word: whether there is an output for each token.
        layers: of the head; None for all.

    Raises:
        ConfigError: a tensor is missing or misshapen.
    """
    stems = names.architecture.head_layers(is_per_word)
    for layer in network.layers:
        is_wanted = layer.name in (stems if layers is None else layers)
        for variable in layer.weights if is_wanted else ():
            ending = variable.path.rpartition("/")[2]
            tensor = names.named(stems[layer.name], ending)
            shape = tuple(variable.shape)
            stored = stored_shape(ending, shape)
            array = _read_in_shape(tensor, names, f"{layer.name}/{ending}", stored)
            variable.assign(array.T if ending == "kernel" else array)


def assign_part(
    layer: Any, names: TensorNames, stem: str, variables: Mapping[str, Any] | None = None
) -> None:
    """Give the weights of a layer the tensors of a stem.

    Args:
        layer: its weights are assigned, unless ``variables`` are others.
        names: the checkpoint's tensors.
        stem: of the tensors' names.
        variables: by the last word of the Keras weight's path.

    Raises:
        ConfigError: a tensor is missing or misshapen.
    """
    own = {variable.path.rpartition("/")[2]: variable for variable in layer.weights}
    for ending, variable in (own if variables is None else variables).items():
        shape = stored_shape(ending, tuple(variable.shape))
        array = _read_in_shape(names.named(stem, ending), names, f"{stem}/{ending}", shape)
        variable.assign(array.T if ending == "kernel" else array)


def _value(names: TensorNames, layer: str, weight: str, shape: tuple[int, ...]) -> Any:
    """Return a tensor in the shape of the Keras weight."""
    part, _, ending = weight.rpartition("/")
    offset = names.architecture.position_offset if layer == "position_embedding" else 0
    rows, *others = stored_shape(ending, shape)
    chosen, count = names.architecture.tensor_rows(part, rows)
    stored = (count + offset, *others)
    array = _read_in_shape(names.tensor(layer, weight), names, f"{layer}/{weight}", stored)
    array = array[offset:][chosen]
    if layer == "position_embedding":
        return array + _constant_segment(names, shape[1])
    return array.T if ending == "kernel" else array


def _read_in_shape(
    tensor: Tensor, names: TensorNames, weight: str, shape: tuple[int, ...]
) -> np.ndarray:
    """Return a tensor as an array, or raise ConfigError if it has another shape than ``shape``."""
    if tensor.shape != shape:
        raise ConfigError(
            f"the checkpoint's tensor for {weight} has the shape {tensor.shape}, "
            f"by its config.json it would have {shape}",
            where=names.where,
            fix="choose another checkpoint: its weights are not those of its config.json",
        )
    try:
        return read_weight(tensor)
    except ValueError as error:
        raise ConfigError(
            f"a tensor of {tensor.path.name} cannot be read: {error}",
            where=names.where,
            fix="save the model in float32, float16 or bfloat16",
        ) from error


def stored_shape(ending: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return PyTorch's shape of a weight: dense kernels are ``(out, in)``."""
    return shape[::-1] if ending == "kernel" else shape


def _constant_segment(names: TensorNames, width: int) -> Any:
    """Return what segment 0 adds to every position, in a family without segment ids."""
    table = names.find("segment_embedding") if names.architecture.has_constant_segment else None
    if table is None:
        return 0
    return _read_in_shape(table, names, "segment_embedding", (table.shape[0], width))[0]
