"""Batches for ``fit``, and forward passes of many batches."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    vectors = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(30, 8)(ids))
    return keras.Model({"token_ids": ids}, keras.layers.Dense(3)(vectors))


def inputs_of(count: int):
    random = np.random.default_rng(0)
    for number in range(count):
        yield number, {"token_ids": random.integers(0, 30, (4, 5 + number), dtype="int32")}


def test_dataset_has_no_thread_that_outlives_its_last_batch(network):
    from xferlab.backend.graphs import batch_dataset

    def batch_of(number: int):
        return next(inputs_of(1))[1], np.zeros(4, "int32")

    dataset = batch_dataset(batch_of, 1, network, ["token_ids"])
    assert dataset.options().autotune.enabled is False


def test_a_dataset_gives_each_batch_in_order_as_the_network_takes_it(network):
    from xferlab.backend.graphs import batch_dataset

    made = [inputs | {"more": np.float64(i)} for i, inputs in inputs_of(5)]
    labels = [np.arange(4, dtype="int32") + i for i in range(5)]
    dataset = batch_dataset(lambda i: (made[i], labels[i]), 5, network, ["token_ids"])
    for _ in range(2):  # it can be read again
        found = list(dataset)
        assert len(found) == 5
        for i, (inputs, given) in enumerate(found):
            assert inputs.keys() == {"token_ids", "more"}
            np.testing.assert_array_equal(inputs["token_ids"], made[i]["token_ids"])
            assert inputs["token_ids"].dtype == "int32"
            assert float(inputs["more"]) == i
            np.testing.assert_array_equal(given, labels[i])


def test_a_batch_of_another_shape_is_an_error(network):
    import tensorflow as tf

    from xferlab.backend.graphs import batch_dataset

    def batch_of(number: int):
        return {"token_ids": np.zeros((4, 5), "int32")}, np.zeros((4, 1 + number), "float32")

    dataset = batch_dataset(batch_of, 2, network, ["token_ids"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="a batch has an array of shape"):
        list(dataset)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_batches_computed_at_once_are_in_order_and_equal_to_single_ones(network, count):
    from xferlab.backend.graphs import compile_forward, compute_batches

    forward = compile_forward(network, ["token_ids"])
    found = list(compute_batches(forward, inputs_of(count)))
    assert [number for number, _ in found] == list(range(count))
    for (_, outputs), (_, inputs) in zip(found, inputs_of(count), strict=True):
        np.testing.assert_array_equal(outputs, np.asarray(forward(inputs)))


def test_the_error_of_a_batch_reaches_the_caller(network):
    from xferlab.backend.graphs import compute_batches

    def forward(inputs):
        if inputs["token_ids"].shape[1] == 8:
            raise MemoryError("of one batch")
        return np.zeros(1)

    with pytest.raises(MemoryError, match="of one batch"):
        list(compute_batches(forward, inputs_of(6)))


def test_a_large_batch_is_computed_alone(monkeypatch):
    import threading

    from xferlab.backend import graphs

    monkeypatch.setattr(graphs, "LARGE", 4 * 8)
    running: list[int] = []
    together: list[list[int]] = []
    lock = threading.Lock()

    def forward(inputs):
        length = inputs["token_ids"].shape[1]
        with lock:
            running.append(length)
            together.append(list(running))
        threading.Event().wait(0.02)
        with lock:
            running.remove(length)
        return np.full(1, length)

    lengths = [8, 7, 6, 9, 9, 5, 8]
    batches = [(n, {"token_ids": np.zeros((4, length))}) for n, length in enumerate(lengths)]
    found = list(graphs.compute_batches(forward, iter(batches)))
    assert [(n, int(out[0])) for n, out in found] == list(enumerate(lengths))
    assert all(len(each) == 1 for each in together if 9 in each)
    assert any(len(each) == 2 for each in together)
