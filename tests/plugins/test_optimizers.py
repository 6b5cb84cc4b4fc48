"""What one step does, and what weight decay spares."""

import numpy as np
import pytest

from tests.support.tiny_checkpoints import tiny_encoder
from xferlab import ConfigError
from xferlab.registry import REGISTRY

NAMES = REGISTRY.names("optimizer")


def build(name: str, rate: float, **fields):
    return REGISTRY.create("optimizer", {"name": name, **fields}).build(rate)


def after(optimizer, start, gradients) -> np.ndarray:
    """Return a weight after a step along each gradient."""
    import keras

    weight = keras.Variable(np.array(start, "float32"), name="kernel")
    optimizer.build([weight])
    for gradient in gradients:
        optimizer.apply([np.array(gradient, "float32")], [weight])
    return weight.numpy()


@pytest.mark.parametrize("name", NAMES)
def test_decay_is_apart_from_the_gradient(name):
    """Without a gradient, a weight loses rate * decay of itself and nothing else."""
    found = after(build(name, 0.1, weight_decay=0.5), [[2.0, -4.0]], [[[0.0, 0.0]]])
    np.testing.assert_allclose(found, [[1.9, -3.8]], rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_no_decay_spares_full_names_only(name):
    """A layer that happens to be called betamax is not a LayerNorm's beta."""
    import keras

    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(3, name="betamax", bias_initializer="ones")(inputs)
    hidden = keras.layers.LayerNormalization(name="norm", beta_initializer="ones")(hidden)
    outputs = keras.layers.Dense(2, name="spared", use_bias=False)(hidden)
    network = keras.Model(inputs, outputs)
    weights = network.trainable_variables
    optimizer = build(
        name, 0.1, weight_decay=0.5, no_decay=["bias", "gamma", "beta", "spared", "nor"]
    )
    optimizer.build(weights)
    before = {w.path: w.numpy().copy() for w in weights}
    optimizer.apply([np.zeros(w.shape, "float32") for w in weights], weights)
    decayed = {w.path for w in weights if not np.array_equal(w.numpy(), before[w.path])}
    assert decayed == {"betamax/kernel"}


def test_the_default_spares_biases_and_normalisation_of_an_encoder():
    network = tiny_encoder().build()
    weights = network.trainable_variables
    for weight in weights:
        weight.assign(np.ones(weight.shape))
    optimizer = build("adamw", 0.1)
    optimizer.build(weights)
    optimizer.apply([np.zeros(w.shape, "float32") for w in weights], weights)
    decayed = {w.name for w in weights if w.numpy().min() < 1}
    spared = {w.name for w in weights if w.numpy().min() == 1}
    assert (decayed, spared) == ({"kernel", "embeddings"}, {"bias", "gamma", "beta"})


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_walks_downhill_in_a_graph(name):
    import keras
    import tensorflow as tf

    optimizer = build(name, 0.05)
    weight = keras.Variable(np.full((2, 2), 3.0, "float32"))
    optimizer.build([weight])

    @tf.function
    def step():
        optimizer.apply([2 * (weight.value - 1)], [weight])

    for _ in range(60):
        step()
    assert np.all(np.abs(weight.numpy() - 1) < 1.5)


def test_sgd_keeps_momentum():
    found = after(build("sgd", 0.1, momentum=0.5), [1.0], [[1.0], [0.0]])
    assert found == pytest.approx([1 - 0.1 - 0.05])


def test_nesterov_looks_ahead():
    found = after(build("sgd", 0.1, momentum=0.5, nesterov=True), [1.0], [[1.0]])
    assert found == pytest.approx([1 - 0.1 - 0.05])


@pytest.mark.parametrize("name", ["adam", "adamw", "lion"])
def test_the_first_step_has_the_size_of_the_rate(name):
    found = after(build(name, 0.1, weight_decay=0), [1.0, 1.0], [[3.0, -0.01]])
    np.testing.assert_allclose(found, [0.9, 1.1], rtol=1e-5)


def test_adam_with_decay_is_adamw():
    steps = [[1.0, -2.0], [0.5, 3.0]]
    fields = {"weight_decay": 0.3}
    np.testing.assert_array_equal(
        after(build("adam", 0.1, **fields), [1.0, 2.0], steps),
        after(build("adamw", 0.1, **fields), [1.0, 2.0], steps),
    )


def test_lamb_steps_in_proportion_to_the_weight():
    small = 1 - after(build("lamb", 0.1, weight_decay=0), [[1.0]], [[[1.0]]])
    large = 50 - after(build("lamb", 0.1, weight_decay=0), [[50.0]], [[[1.0]]])
    assert large == pytest.approx(50 * small, rel=1e-4)


def test_adafactor_steps_in_proportion_to_the_weight():
    found = after(build("adafactor", 0.1), [[4.0, 4.0], [4.0, 4.0]], [np.ones((2, 2))])
    np.testing.assert_allclose(found, np.full((2, 2), 3.6), rtol=1e-5)


def test_adafactor_survives_a_row_and_a_column_without_gradient():
    found = after(build("adafactor", 0.1), np.ones((2, 2)), [[[1.0, 0.0], [0.0, 0.0]]] * 3)
    assert np.isfinite(found).all()
    assert found[1, 1] == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lr": 0}, "lr must be > 0"),
        ({"lr": "nan"}, "lr must be > 0"),
        ({"weight_decay": -1}, "weight_decay must be >= 0"),
    ],
)
def test_impossible_rates_are_refused(name, fields, message):
    with pytest.raises(ConfigError, match=message):
        REGISTRY.create("optimizer", {"name": name, **fields})


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("adamw", {"beta_1": 1}, r"beta_1 must be in \[0, 1\)"),
        ("adamw", {"epsilon": 0}, "epsilon must be > 0"),
        ("adam", {"beta_2": -0.1}, "beta_2 must be in"),
        ("adam", {"epsilon": -1}, "epsilon must be > 0"),
        ("lamb", {"epsilon": 0}, "epsilon must be > 0"),
        ("sgd", {"momentum": 1}, "momentum must be in"),
        ("sgd", {"momentum": 0, "nesterov": True}, "nesterov looks ahead"),
        ("lion", {"beta_1": 0}, "beta_1 must be above 0"),
        ("adafactor", {"decay_exponent": 0}, "decay_exponent must be < 0"),
        ("adafactor", {"clip": 0}, "clip must be > 0"),
    ],
)
def test_impossible_fields_are_refused(name, fields, message):
    with pytest.raises(ConfigError, match=message):
        REGISTRY.create("optimizer", {"name": name, **fields})
