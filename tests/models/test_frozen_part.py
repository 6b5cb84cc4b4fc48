"""Where a network is cut, for every family, head and strategy; both parts are the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.tiny_checkpoints import ARCHITECTURES, write_tiny_checkpoint
from xferlab import Budget, Task, TaskSpec, TextModel
from xferlab.models.frozen_part import FEATURES, CutNetwork, cut_network, has_dropout
from xferlab.registry import REGISTRY

WIDTH = 16
SPECS = {
    "text": TaskSpec(Task.single_label, ("bad", "good"), 32, 32),
    "word": TaskSpec(Task.token_classification, ("O", "B-X", "I-X"), 32, 32),
}
MASK = np.array([[1, 1, 1, 1, 1, 0, 0, 0], [1] * 8, [1, 1, 0, 0, 0, 0, 0, 0]], "int32")
EVERY_INPUT = {
    "token_ids": np.random.default_rng(0).integers(5, 40, MASK.shape).astype("int32"),
    "segment_ids": np.array([[0, 0, 1, 1, 1, 0, 0, 0]] * 3, "int32"),
    "padding_mask": MASK,
}


@pytest.fixture(autouse=True)
def full_precision():
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: write_tiny_checkpoint(folder / name, name) for name in ARCHITECTURES}


def build(checkpoint, kind: str, pooling: str = "first", name: str = "encoder") -> TextModel:
    fields = {"pooling": pooling} if name == "encoder" else {}
    plugin = REGISTRY.create("model", {"name": name, "checkpoint": str(checkpoint), **fields})
    return plugin.build(SPECS[kind])


def frozen_layers(model: TextModel, strategy: str, phase: int = 0, **fields) -> set[str]:
    """Return the names of the layers that a phase of a strategy freezes."""
    plan = REGISTRY.create("transfer", {"name": strategy, **fields}).apply(model, Budget(9, 5, 45))
    return {layer for block in plan.phases[phase].frozen for layer in model.blocks[block]}


def weighted_layers(network) -> set[str]:
    return {layer.name for layer in network.layers if layer.weights}


def inputs_of(network) -> dict[str, Any]:
    from keras import ops

    names = [name for name in network.input if name != FEATURES]
    return {name: ops.convert_to_tensor(EVERY_INPUT[name]) for name in names}


def check_parts(model: TextModel, cut: CutNetwork, frozen: set[str]) -> None:
    """Check that the parts compute what the network does, and that weights are in one of them."""
    whole = np.asarray(model.network(inputs_of(model.network), training=False))
    features = cut.lower(inputs_of(cut.lower), training=False)
    found = cut.upper({FEATURES: features, **inputs_of(cut.upper)}, training=False)
    if len(found.shape) == 3:
        found = np.asarray(found)[MASK == 1]
        whole = whole[MASK == 1]
    np.testing.assert_array_equal(np.asarray(found), whole)
    lower = weighted_layers(cut.lower)
    upper = weighted_layers(cut.upper)
    assert lower <= frozen
    assert not lower & upper
    assert lower | upper == weighted_layers(model.network)
    assert "head" in upper


@pytest.mark.parametrize(
    ("kind", "pooling", "strategy"),
    [
        ("text", "first", "frozen"),
        ("text", "mean", "frozen"),
        ("word", "first", "frozen"),
        ("text", "first", "head_first"),
        ("text", "mean", "gradual"),
    ],
)
@pytest.mark.parametrize("family", ARCHITECTURES)
def test_a_frozen_encoder_is_cut_below_its_head(checkpoints, family, kind, pooling, strategy):
    model = build(checkpoints[family], kind, pooling)
    frozen = frozen_layers(model, strategy)
    cut = cut_network(model.network, frozen)
    check_parts(model, cut, frozen)
    assert weighted_layers(cut.lower) == frozen
    assert cut.per_token == (kind == "word")
    assert cut.lower.output.shape == ((None, None, WIDTH) if kind == "word" else (None, WIDTH))
    assert FEATURES in cut.upper.input
    assert len(cut.upper.input) == 1  # nothing else is read above the encoder


@pytest.mark.parametrize("kind", ["text", "word"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_top_layers_are_cut_below_them(checkpoints, family, pooling, kind):
    model = build(checkpoints[family], kind, pooling)
    has_pooler = "pooler" in model.blocks
    frozen = frozen_layers(model, "top_layers", blocks=2 if has_pooler else 1)
    cut = cut_network(model.network, frozen)
    check_parts(model, cut, frozen)
    assert "transformer_layer_0" in weighted_layers(cut.lower)
    assert "transformer_layer_1" in weighted_layers(cut.upper)
    assert cut.per_token
    assert cut.lower.output.shape == (None, None, WIDTH)
    assert set(cut.upper.input) == {FEATURES, "padding_mask"}


def test_a_frozen_encoder_below_a_trained_pooler_gives_one_token(checkpoints):
    model = build(checkpoints["bert"], "text")
    cut = cut_network(model.network, frozen_layers(model, "top_layers", blocks=1))
    assert cut.lower.output.shape in ((None, 1, WIDTH), (None, WIDTH))
    assert not cut.per_token
    assert "pooler" in weighted_layers(cut.upper)


def test_gradual_unfreezing_moves_the_cut_down(checkpoints):
    model = build(checkpoints["bert"], "text")
    lower = []
    for phase in range(3):
        frozen = frozen_layers(model, "gradual", phase)
        cut = cut_network(model.network, frozen)
        check_parts(model, cut, frozen)
        lower.append(weighted_layers(cut.lower))
    assert lower[0] > lower[1] > lower[2]
    assert cut_network(model.network, frozen_layers(model, "gradual", 3)) is None  # embeddings
    assert cut_network(model.network, frozen_layers(model, "gradual", 4)) is None  # nothing


def test_albert_layers_share_weights_and_are_one_block(checkpoints):
    model = build(checkpoints["albert"], "text", "mean")
    frozen = frozen_layers(model, "top_layers", blocks=1)
    cut = cut_network(model.network, frozen)
    if cut is not None:  # the projection of the embeddings
        check_parts(model, cut, frozen)
        assert cut.per_token


def test_dropout_between_frozen_layers_is_below_the_cut_and_that_of_the_head_above(checkpoints):
    model = build(checkpoints["bert"], "text")
    cut = cut_network(model.network, frozen_layers(model, "frozen"))
    assert has_dropout(cut.lower)
    assert {layer.name for layer in cut.upper.layers} >= {"head_dropout", "head"}
    assert "head_dropout" not in {layer.name for layer in cut.lower.layers}


def test_without_dropout_there_is_none(tmp_path):
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = build(write_tiny_checkpoint(tmp_path, **rates), "text")
    assert not has_dropout(cut_network(model.network, frozen_layers(model, "frozen")).lower)


def test_a_frozen_layer_above_a_trained_one_is_not_below_the_cut(checkpoints):
    model = build(checkpoints["bert"], "text")
    frozen = frozen_layers(model, "frozen") - {"transformer_layer_0"}
    cut = cut_network(model.network, frozen)
    assert cut is None


def test_embeddings_alone_are_not_worth_a_cut(checkpoints):
    model = build(checkpoints["bert"], "text", name="bag_of_embeddings")
    assert cut_network(model.network, frozen_layers(model, "frozen")) is None


def test_lora_freezes_no_block(checkpoints):
    model = build(checkpoints["bert"], "text")
    assert cut_network(model.network, frozen_layers(model, "lora")) is None


def test_a_subclassed_model_is_not_cut():
    import keras

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2, name="dense")

        def call(self, inputs):
            return self.dense(inputs["token_ids"])

    assert cut_network(Own(), {"dense"}) is None
