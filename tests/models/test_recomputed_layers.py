"""Layers that are computed again for the gradient have the same gradients, masks included."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.test_families import FIXTURES, LABELS, fixture_checkpoint
from xferlab.cli.main import main
from xferlab.models.encoder import load_encoder
from xferlab.models.head import attach_head
from xferlab.models.reading import reading_without_modules
from xferlab.models.recomputed_layers import recompute_layers


def gradients(name: str, *, recomputed: bool, policy: str, in_graph: bool = False):
    """Return the loss, the gradients, and the generators' states after a second step."""
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    try:
        encoder = load_encoder(fixture_checkpoint(FIXTURES / name), dropout=0.3)
        vector = reading_without_modules(encoder.architecture, "auto").vector
        network, _, _ = attach_head(encoder, 3, is_per_word=False, vector=vector, dropout=0.1)
    finally:
        keras.config.set_dtype_policy("float32")
    if recomputed:
        recompute_layers(network)
    with np.load(FIXTURES / name / "expected.npz") as file:
        stored = {
            "token_ids": file["padded/input_ids"],
            "padding_mask": file["padded/attention_mask"],
        }
    stored["segment_ids"] = np.zeros_like(stored["token_ids"])
    inputs = {key: tf.constant(stored[key]) for key in network.input}
    weights = [weight.value for weight in network.trainable_weights]

    def step():
        with tf.GradientTape() as tape:
            logits = tf.cast(network(inputs, training=True), "float32")
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits))
        found = tape.gradient(loss, weights, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    run = tf.function(step) if in_graph else step
    run()
    loss, found = run()
    states = [v.numpy() for v in network.non_trainable_variables]
    return float(loss), [np.asarray(each, "float32") for each in found], states


@pytest.mark.parametrize(
    ("name", "policy"), [("mpnet", "float32"), ("modernbert", "mixed_bfloat16")]
)
def test_gradients_and_masks_are_the_same_bits_of_the_same_kernels(name, policy):
    plain, again = (gradients(name, recomputed=each, policy=policy) for each in (False, True))
    assert again[0] == plain[0]
    for found, expected in zip(again[1] + again[2], plain[1] + plain[2], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_graph_that_fuses_other_kernels_differs_by_rounding():
    plain, again = (
        gradients("mpnet", recomputed=each, policy="float32", in_graph=True)
        for each in (False, True)
    )
    for found, expected in zip(again[1], plain[1], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for found, expected in zip(again[2], plain[2], strict=True):
        np.testing.assert_array_equal(found, expected)  # each mask is sampled once


def test_a_network_without_layers_is_refused_before_its_data(capsys):
    assert main(["check", "model=bag_of_embeddings", "train.recompute=true"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        " error: this network has no transformer layers that could be computed again",
        " where: train.recompute=true",
        "   fix: train.recompute=false, or model=encoder",
    ]
