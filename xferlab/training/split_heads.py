"""Attention weights of runs of version 0.2 and before, whose kernels had an axis of heads.

A kernel was (width, heads, width / heads) or (heads, width / heads, width), a bias
(heads, width / heads); both are a matrix and a vector with the same values now. LoRA's matrices on
such a kernel have no such form, so they are merged into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LAYER = "/self_attention_layer/"
LORA_A = "lora_kernel_a"
LORA_B = "lora_kernel_b"
Shapes = Mapping[str, tuple[int, ...]]


def has_split_heads(name: str, stored: Shapes, wanted: Shapes) -> bool:
    """Return whether a stored weight, or the LoRA matrix beside it, has an axis of heads.

    Args:
        name: of the weight.
        stored: shapes in the file, by name.
        wanted: shapes in the network, by name.
    """
    if LAYER not in name or name not in stored or name not in wanted:
        return False
    stem, _, last = name.rpartition("/")
    beside = f"{stem}/{LORA_A}" if last == LORA_B else name  # B alone has no axis of heads
    found = [each for each in stored if each.endswith(beside.partition(" ")[2])]
    return any(len(stored[each]) == len(wanted[name]) + 1 for each in found)


def join_heads(arrays: dict[str, np.ndarray], network: Any, variables: Mapping[str, Any]) -> None:
    """Give attention weights the present shape, in place.

    Args:
        arrays: weights by name.
        network: the ``keras.Model`` that they are loaded into.
        variables: its variables by the same names.
    """
    import numpy as np

    name_of = {id(variable): name for name, variable in variables.items()}
    for layer in network._flatten_layers():
        a = arrays.get(name_of.get(id(getattr(layer, LORA_A, None)), ""))
        if a is None or a.ndim != 3:
            continue
        name_a = name_of[id(layer.lora_kernel_a)]
        name_b = name_of[id(layer.lora_kernel_b)]
        kernel = name_of[id(layer._kernel)]
        addition = np.tensordot(a, arrays[name_b], 1) * (layer.lora_alpha / layer.lora_rank)
        arrays[kernel] = arrays[kernel] + addition
        for name in (name_a, name_b):
            arrays[name] = np.zeros(variables[name].shape, "float32")
    for name, variable in variables.items():
        if LAYER in name:
            arrays[name] = arrays[name].reshape(variable.shape)
