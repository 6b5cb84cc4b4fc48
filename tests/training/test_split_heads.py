"""Weights of attention layers with an axis of heads, as versions up to 0.2 stored them."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from xferlab.errors import ConfigError
from xferlab.training.weights import load_weights, weight_arrays

HEADS = 2
WIDTH = 8


@pytest.fixture(autouse=True)
def full_precision():
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another


def network(rank: int | None = None):
    import keras

    from xferlab.models.layers import AttentionBias, TransformerLayer

    sequence = keras.Input((None, WIDTH), name="sequence")
    mask = keras.Input((None,), dtype="int32", name="mask")
    layer = TransformerLayer(HEADS, 12, name="transformer_layer_0")
    outputs = layer(sequence, AttentionBias()(mask))
    if rank:
        layer.attention.query.enable_lora(rank, lora_alpha=4.0)
        layer.attention.attention_output.enable_lora(rank, lora_alpha=4.0)
    return keras.Model({"sequence": sequence, "mask": mask}, outputs)


def split(name: str, array: np.ndarray) -> np.ndarray:
    """Return a weight as it was stored, with an axis of heads."""
    if "/self_attention_layer/" not in name or "lora" in name:
        return array
    if "attention_output" in name:
        return array.reshape(HEADS, -1, WIDTH) if array.ndim == 2 else array
    return array.reshape(*array.shape[:-1], HEADS, -1)


def test_kernels_and_biases_are_joined(tmp_path):
    source = network()
    arrays = {name: split(name, array) for name, array in weight_arrays(source).items()}
    assert any(array.ndim == 3 for array in arrays.values())
    save_file(arrays, tmp_path / "old.safetensors")
    target = network()
    load_weights(target, tmp_path / "old.safetensors")
    for found, wanted in zip(target.weights, source.weights, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_low_rank_matrices_on_split_kernels_are_merged(tmp_path):
    """Keras's ``EinsumDense`` is what they were made by."""
    import keras

    target = network(rank=2)
    old = keras.layers.EinsumDense("ab,bcd->acd", (HEADS, WIDTH // HEADS), bias_axes="cd")
    old.build((None, WIDTH))
    old.enable_lora(2, lora_alpha=4.0)
    old.lora_kernel_b.assign(np.random.default_rng(0).normal(size=old.lora_kernel_b.shape))
    arrays = {name: split(name, array) for name, array in weight_arrays(target).items()}
    values = {
        "kernel": old._kernel,
        "bias": old.bias,
        "lora_kernel_a": old.lora_kernel_a,
        "lora_kernel_b": old.lora_kernel_b,
    }
    for name in arrays:
        if "/query/" in name:
            arrays[name] = np.asarray(values[name.rpartition("/")[2]])
        elif "attention_output/lora_kernel_a" in name:
            arrays[name] = arrays[name].reshape(HEADS, WIDTH // HEADS, 2)
    save_file(arrays, tmp_path / "old.safetensors")
    load_weights(target, tmp_path / "old.safetensors")
    query = target.get_layer("transformer_layer_0").attention.query
    x = np.random.default_rng(1).normal(size=(4, WIDTH)).astype("float32")
    wanted = np.asarray(old(x)).reshape(4, WIDTH)
    np.testing.assert_allclose(np.asarray(query(x)), wanted, atol=1e-6)


def test_other_shapes_are_refused(tmp_path):
    source = network()
    arrays = weight_arrays(source)
    name = next(name for name in arrays if name.endswith("intermediate_dense/kernel"))
    arrays[name] = arrays[name].reshape(2, -1, 12)
    save_file(arrays, tmp_path / "old.safetensors")
    with pytest.raises(ConfigError, match="of another network"):
        load_weights(network(), tmp_path / "old.safetensors")
