"""Cuts a functional network where its frozen part ends, so that the part is computed only once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

FEATURES = "features"
"""Name of the input of the upper part."""
MASK = "padding_mask"
"""Name of the network's input that has no token in it."""


@dataclass(frozen=True)
class CutNetwork:
    """A network in two parts that share its layers.

    Attributes:
        lower: from the network's inputs to the features; all of its weights are frozen.
        upper: from the input ``features``, and those of the network that it reads besides, to the
            network's outputs.
        per_token: whether the features are (batch, length, width), not (batch, width) or
            (batch, 1, width).
    """

    lower: Any
    upper: Any
    per_token: bool


def cut_network(network: Any, frozen: Collection[str]) -> CutNetwork | None:
    """Return a network cut above its frozen layers.

    The lower part ends with the last frozen weights, and with what is computed from them without
    weights and without random numbers. Dropout below the last frozen weights is part of it. What is
    computed from the padding mask alone is part of both, with its frozen weights.

    Args:
        network: functional ``keras.Model``.
        frozen: names of the layers whose weights are not trained.

    Returns:
        None where nothing is gained or known: the network is no functional model, its inputs are
        changed at random in each step, no frozen layer has a kernel, or more than one array leaves
        the frozen part.
    """
    import keras

    nodes = nodes_in_order(network)
    if nodes is None or any(getattr(n.operation, "is_augmentation", False) for n in nodes):
        return None
    below = _nodes_of_lower_part(nodes, frozen)
    if not any(weight.name == "kernel" for node in below for weight in _weights(node.operation)):
        return None
    weighted = _outputs_with_weights(below) - _outputs_of_the_mask(network, below)
    leaving = _leaving(below, nodes, weighted)
    while len(leaving) > 1:
        found = {id(each) for each in leaving}
        last = next(n for n in reversed(below) if any(id(each) in found for each in n.outputs))
        if _weights(last.operation):
            break
        below.remove(last)  # the upper part computes it again, from what others read as well
        leaving = _leaving(below, nodes, weighted)
    if len(leaving) != 1:
        return None
    (boundary,) = leaving
    above = tensors_above(nodes, boundary, network.outputs)
    besides = {name: each for name, each in network.input.items() if id(each) in above}
    boundary.name = FEATURES  # Keras warns of an input whose key is not its name
    return CutNetwork(
        lower=keras.Model(network.input, boundary),
        upper=keras.Model({FEATURES: boundary, **besides}, network.output),
        per_token=len(boundary.shape) == 3 and boundary.shape[1] is None,
    )


def has_dropout(network: Any) -> bool:
    """Return whether a network sets values to 0 at random while it is trained."""
    import keras

    layers = network._flatten_layers()
    return any(isinstance(layer, keras.layers.Dropout) and layer.rate > 0 for layer in layers)


def nodes_in_order(network: Any) -> list[Any] | None:
    """Return the nodes of a functional network from its inputs to its outputs, without the inputs'.

    None for another network, or one whose inputs have no names.
    """
    import keras

    is_functional = isinstance(network, keras.Model) and hasattr(network, "_nodes_by_depth")
    if not is_functional or not isinstance(network.input, dict):
        return None
    depths = sorted(network._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in network._nodes_by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def _weights(operation: Any) -> list[Any]:
    return list(getattr(operation, "weights", ()))


def _nodes_of_lower_part(nodes: list[Any], frozen: Collection[str]) -> list[Any]:
    """Return the nodes that are computed from inputs and frozen weights alone."""
    fixed: list[Any] = []
    made_elsewhere = {id(each) for node in nodes for each in node.outputs}
    for node in nodes:
        is_fixed = not _weights(node.operation) or node.operation.name in frozen
        if is_fixed and all(id(each) not in made_elsewhere for each in node.input_tensors):
            fixed.append(node)
            made_elsewhere -= {id(each) for each in node.outputs}
    needed: set[int] = set()  # by frozen weights
    below = []
    for node in reversed(fixed):
        is_random = bool(getattr(node.operation, "variables", ())) and not _weights(node.operation)
        is_needed = any(id(each) in needed for each in node.outputs)
        if _weights(node.operation) or is_needed:
            needed |= {id(each) for each in node.input_tensors}
            below.append(node)
        elif not is_random:
            below.append(node)
    return _without_gaps(list(reversed(below)), nodes)


def _without_gaps(below: list[Any], nodes: list[Any]) -> list[Any]:
    """Return the nodes of ``below`` whose inputs are inputs of the network or made in ``below``."""
    others = {id(each) for node in nodes if node not in below for each in node.outputs}
    whole = []
    for node in below:
        if any(id(each) in others for each in node.input_tensors):
            others |= {id(each) for each in node.outputs}
        else:
            whole.append(node)
    return whole


def _leaving(below: list[Any], nodes: list[Any], weighted: set[int]) -> list[Any]:
    """Return the tensors of the lower part that depend on a weight and are read above it."""
    read = {id(each) for node in nodes if node not in below for each in node.input_tensors}
    made = [each for node in below for each in node.outputs]
    return [each for each in made if id(each) in read and id(each) in weighted]


def _outputs_with_weights(below: list[Any]) -> set[int]:
    """Return the ids of the tensors that depend on a weight."""
    found: set[int] = set()
    for node in below:
        if _weights(node.operation) or any(id(each) in found for each in node.input_tensors):
            found |= {id(each) for each in node.outputs}
    return found


def _outputs_of_the_mask(network: Any, below: list[Any]) -> set[int]:
    """Return the ids of the tensors that depend on no token, as a bias by relative position.

    They are small, and the upper part computes them again.
    """
    found = {id(network.input.get(MASK))}
    for node in below:
        if node.input_tensors and all(id(each) in found for each in node.input_tensors):
            found |= {id(each) for each in node.outputs}
    return found


def tensors_above(nodes: list[Any], boundary: Any, outputs: list[Any]) -> set[int]:
    """Return the ids of the tensors that the outputs are computed from, down to the boundary."""
    needed = {id(each) for each in outputs}
    for node in reversed(nodes):
        makes = {id(each) for each in node.outputs}
        if makes & needed and id(boundary) not in makes:
            needed |= {id(each) for each in node.input_tensors}
    return needed
