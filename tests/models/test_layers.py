"""Layers of encoders: held against Keras's own, NumPy and the full layer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xferlab.backend.random import dropout

WIDTH = 8
LENGTH = 5
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], "int32")


@pytest.fixture(autouse=True)
def full_precision():
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another


def layer(**fields):
    from xferlab.models.layers import TransformerLayer, gelu

    built = TransformerLayer(2, 12, activation=gelu, **fields)
    built.build((None, None, WIDTH))
    for index, weight in enumerate(built.weights):
        random = np.random.default_rng(index)
        mean = 1.0 if weight.name == "gamma" else 0.0
        weight.assign(random.normal(mean, 0.3, weight.shape))
    return built


def inputs():
    from xferlab.models.layers import AttentionBias

    sequence = np.random.default_rng(9).normal(size=(3, LENGTH, WIDTH)).astype("float32")
    return sequence, AttentionBias()(MASK)


def by_keras(parts, sequence: np.ndarray) -> np.ndarray:
    """Return the outputs of Keras's multi-head attention and a feed-forward part."""
    import keras

    heads = parts.attention.heads
    attention = keras.layers.MultiHeadAttention(heads, WIDTH // heads)
    attention.build(sequence.shape, sequence.shape)
    for weight, ours in zip(attention.weights, parts.attention.weights, strict=True):
        weight.assign(ours.numpy().reshape(weight.shape))
    x = attention(sequence, sequence, attention_mask=MASK[:, None, :].astype(bool))
    x = parts.attention_norm(x + sequence)
    inner = keras.activations.gelu(
        x @ parts.intermediate.kernel + parts.intermediate.bias, approximate=False
    )
    return np.asarray(parts.feedforward_norm(parts.output_dense(inner) + x))


def test_the_layer_is_keras_attention_and_a_feed_forward_part():
    parts = layer()
    sequence, bias = inputs()
    found = np.asarray(parts(sequence, bias))
    np.testing.assert_allclose(found, by_keras(parts, sequence), atol=2e-6)


def test_padding_changes_no_other_token():
    parts = layer()
    sequence, bias = inputs()
    changed = np.where(MASK[..., None] == 1, sequence, 7.0)
    found = np.asarray(parts(changed, bias))[MASK == 1]
    np.testing.assert_allclose(found, np.asarray(parts(sequence, bias))[MASK == 1], atol=1e-6)


def test_the_first_token_alone_has_the_full_layers_outputs_and_gradients():
    import tensorflow as tf

    parts = layer()
    sequence, bias = inputs()
    sequence = tf.constant(sequence)
    weights = [weight.value for weight in parts.weights]

    def outputs_and_gradients(first_token_only: bool):
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            first = parts(sequence, bias, first_token_only=first_token_only)[:, 0]
            loss = tf.reduce_sum(tf.sin(first))
        return first, tape.gradient(loss, [sequence, *weights])

    full, full_gradients = outputs_and_gradients(first_token_only=False)
    alone, gradients = outputs_and_gradients(first_token_only=True)
    np.testing.assert_allclose(alone, full, atol=1e-6)
    assert parts(sequence, bias, first_token_only=True).shape == (3, 1, WIDTH)
    for found, wanted in zip(gradients, full_gradients, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["gelu", "gelu_while_training"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_gelu_and_its_gradient_are_those_of_the_definition(dtype, name):
    import tensorflow as tf

    from xferlab.models import layers

    gelu = getattr(layers, name)
    values = tf.cast(np.linspace(-6, 6, 401), dtype)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = gelu(values)
    slope = tape.gradient(outputs, values)
    x = np.asarray(tf.cast(values, "float64"))
    normal = 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    atol = {"float32": 1e-6, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    np.testing.assert_allclose(tf.cast(outputs, "float64"), x * normal, atol=atol)
    np.testing.assert_allclose(tf.cast(slope, "float64"), normal + x * density, atol=atol)
    assert outputs.dtype == slope.dtype == dtype


def test_dropout_keeps_the_mean_and_repeats_with_its_seed():
    ones = np.ones((501, 401), "float32")
    first = dropout(ones, 0.1, np.array([5, 0])).numpy()
    assert set(np.unique(first)) == {0.0, np.float32(65536 / (65536 - 6554))}
    standard_error = math.sqrt(0.1 * 0.9 / ones.size)
    assert abs((first == 0).mean() - 0.1) < 5 * standard_error
    np.testing.assert_array_equal(dropout(ones, 0.1, np.array([5, 0])), first)


@pytest.mark.parametrize("other", [(5, 1), (6, 0)], ids=["next count", "another key"])
def test_masks_of_other_seeds_are_independent(other):
    ones = np.ones((300, 300), "float32")
    first = dropout(ones, 0.5, np.array([5, 0])).numpy().ravel() == 0
    second = dropout(ones, 0.5, np.array(other)).numpy().ravel() == 0
    shifted = [np.corrcoef(np.roll(first, shift), second)[0, 1] for shift in (0, 1, 4, 8, 300)]
    assert np.abs(shifted).max() < 5 / math.sqrt(ones.size)


def test_both_dropouts_are_applied_while_training_alone():
    sequence, bias = inputs()
    plain = np.asarray(layer()(sequence, bias))
    for rates in ({"hidden_dropout": 0.5}, {"attention_dropout": 0.5}):
        dropped = layer(**rates)
        np.testing.assert_array_equal(np.asarray(dropped(sequence, bias)), plain)
        assert not np.allclose(np.asarray(dropped(sequence, bias, training=True)), plain)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_normalisation_and_its_gradients_are_those_of_keras(dtype):
    import keras
    import tensorflow as tf

    from xferlab.models.layers import LayerNormalization

    random = np.random.default_rng(0)
    x = tf.constant(random.normal(1, 3, (4, 5, WIDTH)), "float32")
    upstream = tf.constant(random.normal(size=(4, 5, WIDTH)), "float32")

    def outputs_and_gradients(kind):
        norm = kind(epsilon=1e-3, dtype=dtype)
        norm.build(x.shape)
        for weight, mean in zip(norm.weights, (1.0, 0.0), strict=True):
            weight.assign(np.random.default_rng(3).normal(mean, 0.5, weight.shape))
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = tf.cast(norm(x), "float32")
        variables = [x, *(weight.value for weight in norm.weights)]
        return outputs, tape.gradient(outputs, variables, output_gradients=upstream)

    found, gradients = outputs_and_gradients(LayerNormalization)
    wanted, keras_gradients = outputs_and_gradients(keras.layers.LayerNormalization)
    tolerance = 2e-5 if dtype == "float32" else 5e-2
    np.testing.assert_allclose(found, wanted, atol=tolerance)
    for ours, theirs in zip(gradients, keras_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance)
