"""Weights as arrays: views of the variables that no later step changes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from xferlab.training.weights import weight_arrays


def adam(variable: tf.Variable) -> None:
    zeros = [tf.Variable(tf.zeros_like(variable)) for _ in range(2)]
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=zeros[0].handle,
        v=zeros[1].handle,
        beta1_power=0.9,
        beta2_power=0.9,
        lr=0.1,
        beta1=0.9,
        beta2=0.9,
        epsilon=1e-7,
        grad=tf.ones_like(variable),
    )


def scatter(variable: tf.Variable) -> None:
    variable.scatter_sub(tf.IndexedSlices(tf.ones([1, 3]), tf.constant([1])))


UPDATES = {
    "adam": adam,
    "scatter": scatter,
    "subtract": lambda variable: variable.assign_sub(tf.ones_like(variable)),
    "assign": lambda variable: variable.assign(tf.zeros_like(variable)),
}


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_arrays_stay_as_they_are_while_the_weights_change(update):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    (kernel, bias) = network.weights
    (name, array), *_ = weight_arrays(network).items()
    assert name == f"0000 {kernel.path}"
    before = array.copy()
    update(kernel.value)
    np.testing.assert_array_equal(array, before)
    assert not np.array_equal(kernel.numpy(), before)
    np.testing.assert_array_equal(bias.numpy(), np.zeros(3))
