"""Cuts a functional network at its token embeddings and below its last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xferlab.models.frozen_part import nodes_in_order, tensors_above

TOKENS = "token_ids"
EMBEDDED = "embedded"
POOLED = "pooled"


def cut_at_embeddings(network: Any) -> tuple[Any, Any] | None:
    """Return a network's part up to its token embeddings and the part above, which share layers.

    The upper part reads the embeddings as its input ``embedded``. None where the network is no
    functional model with the input ``token_ids``, or its tokens go to more than one layer.
    """
    nodes = nodes_in_order(network)
    if nodes is None or TOKENS not in network.input:
        return None
    tokens = network.input[TOKENS]
    readers = [node for node in nodes if any(each is tokens for each in node.input_tensors)]
    if len(readers) != 1 or len(readers[0].outputs) != 1:
        return None
    return _cut(network, nodes, readers[0].outputs[0], EMBEDDED)


def cut_below_last_layer(network: Any) -> tuple[Any, Any] | None:
    """Return a network's part up to what its last layer with weights reads, and the part above.

    The upper part reads it as its input ``pooled``. None where the network is no functional model
    or that layer has several inputs.
    """
    nodes = nodes_in_order(network)
    if nodes is None:
        return None
    weighted = [node for node in nodes if getattr(node.operation, "weights", ())]
    if not weighted or len(weighted[-1].input_tensors) != 1:
        return None
    return _cut(network, nodes, weighted[-1].input_tensors[0], POOLED)


def last_layer(network: Any) -> Any:
    """Return the last layer with weights; None where the network is no functional model."""
    nodes = nodes_in_order(network)
    weighted = [node for node in nodes or () if getattr(node.operation, "weights", ())]
    return weighted[-1].operation if weighted else None


def _cut(network: Any, nodes: list[Any], boundary: Any, name: str) -> tuple[Any, Any]:
    above = tensors_above(nodes, boundary, network.outputs)
    besides = {key: each for key, each in network.input.items() if id(each) in above}
    lower = _model(network.input, boundary)
    return lower, _model({**besides, name: boundary}, network.output)


def _model(inputs: Mapping[str, Any], outputs: Any) -> Any:
    """Return a functional model; its inputs are called by their keys, or Keras would warn."""
    import keras

    before = {key: each.name for key, each in inputs.items()}
    for key, each in inputs.items():
        each.name = key
    model = keras.Model(dict(inputs), outputs)
    for key, each in inputs.items():
        each.name = before[key]
    return model
