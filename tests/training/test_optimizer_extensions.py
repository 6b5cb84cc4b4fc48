"""The framework's optimizer step: Keras's own result, with rates by block and an exact norm."""

from __future__ import annotations

import numpy as np
import pytest

from xferlab import TextModel
from xferlab.training.optimizer_extensions import extend_optimizer

ROWS = 11
STEPS = 50


@pytest.fixture(autouse=True)
def full_precision():
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another


def network():
    import keras

    keras.utils.set_random_seed(3)
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    x = keras.layers.Embedding(ROWS, 6, name="embedding")(ids)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.Dense(6, "tanh", name="dense")(x)
    outputs = keras.layers.Dense(3, name="head")(keras.layers.GlobalAveragePooling1D()(x))
    return keras.Model({"token_ids": ids}, outputs)


def data():
    random = np.random.default_rng(0)
    ids = random.integers(0, ROWS, (8, 5), dtype="int32")
    return {"token_ids": ids}, random.integers(0, 3, 8)


def with_dense_gradients(optimizer):
    """Make Keras's own step right for repeated tokens: it squares one row for each token."""
    import tensorflow as tf

    apply = optimizer.apply
    optimizer.apply = lambda gradients, variables: apply(
        [tf.convert_to_tensor(each) for each in gradients], variables
    )


def trained(optimizer, *, extended: bool, steps: int = STEPS, rates=None):
    import keras

    model = network()
    optimizer.build(model.trainable_variables)
    if extended:
        blocks = {"embeddings": ("embedding", "norm"), "layer_0": ("dense",), "head": ("head",)}
        extend_optimizer(optimizer, TextModel(model, None, blocks), rates or {})
    else:
        with_dense_gradients(optimizer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    inputs, labels = data()
    for _ in range(steps):
        model.train_on_batch(inputs, labels)
    return [weight.numpy() for weight in model.weights]


def optimizer(name: str, **fields):
    import keras

    built = getattr(keras.optimizers, name)(**{"learning_rate": 2e-3, **fields})
    if built.weight_decay:
        built.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return built


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("AdamW", {"weight_decay": 0.1}),
        ("Adam", {}),
        ("Adam", {"weight_decay": 0.1, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
        ("Adam", {"amsgrad": True}),
        ("AdamW", {"weight_decay": 0.1, "gradient_accumulation_steps": 3}),
        ("SGD", {"momentum": 0.9, "weight_decay": 0.01}),
        ("Lion", {"learning_rate": 1e-3, "weight_decay": 0.01}),
    ],
    ids=str,
)
def test_fifty_steps_are_those_of_keras(name, fields):
    ours = trained(optimizer(name, **fields), extended=True)
    keras_own = trained(optimizer(name, **fields), extended=False)
    start = network().weights
    assert any(
        np.abs(weight - first).max() > 0.01 for weight, first in zip(ours, start, strict=True)
    )
    for found, wanted in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_rate_of_half_is_a_learning_rate_of_half_for_its_block_alone():
    fields = {"weight_decay": 0.5}
    halved = trained(
        optimizer("AdamW", **fields), extended=True, steps=1, rates={"layer_0": 0.5, "head": 1.0}
    )
    full = trained(optimizer("AdamW", **fields), extended=True, steps=1)
    slow = trained(optimizer("AdamW", **fields, learning_rate=1e-3), extended=True, steps=1)
    for found, whole, half, weight in zip(halved, full, slow, network().weights, strict=True):
        wanted = half if weight.path.startswith("dense") else whole
        np.testing.assert_array_equal(found, wanted)


def test_the_norm_is_that_of_gradients_summed_over_repeated_tokens():
    import tensorflow as tf

    from xferlab.backend.optimizer_kernels import clip_by_global_norm

    rows = tf.constant([[3.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    table = tf.IndexedSlices(rows, tf.constant([4, 4, 0]), tf.constant([5, 2]))
    kernel = tf.constant([[1.0, 2.0]])
    dense = np.zeros((5, 2), "float32")
    dense[4] = [4.0, 0.0]
    dense[0] = [0.0, 2.0]
    norm = float(np.sqrt((dense**2).sum() + 5))  # sqrt(16 + 4 + 5) = 5
    clipped = clip_by_global_norm([table, None, kernel], 0.5)
    np.testing.assert_allclose(clipped[0], dense * 0.5 / norm, rtol=1e-6)
    assert clipped[1] is None
    np.testing.assert_allclose(clipped[2], np.array([[1.0, 2.0]]) * 0.5 / norm, rtol=1e-6)
    for limit in (9.0, None):
        np.testing.assert_allclose(clip_by_global_norm([table], limit)[0], dense)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_shows_in_all(bad):
    import tensorflow as tf

    from xferlab.backend.optimizer_kernels import clip_by_global_norm

    clipped = clip_by_global_norm([tf.constant([bad]), tf.constant([1.0])], 1.0)
    assert all(np.isnan(each).all() for each in clipped)
