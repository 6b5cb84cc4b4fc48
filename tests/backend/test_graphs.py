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

    def batches():
        yield next(inputs_of(1))[1], np.zeros(4, "int32")

    dataset = batch_dataset(batches, network, ["token_ids"])
    assert dataset.options().autotune.enabled is False


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
