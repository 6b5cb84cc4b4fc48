"""Several transfer strategies at once, each against a loop written by hand."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from plugins.transfer.bitfit import BitFit
from plugins.transfer.frozen import Frozen
from plugins.transfer.full import Full
from plugins.transfer.gradual import Gradual
from plugins.transfer.head_first import HeadFirst
from plugins.transfer.layer_decay import LayerDecay
from plugins.transfer.lora import Lora
from plugins.transfer.patterns import Patterns
from plugins.transfer.reinit_top import ReinitTop
from plugins.transfer.top_layers import TopLayers
from xferlab import Budget, ConfigError, Phase, TextModel, TransferPlan, VariableGroup
from xferlab.training.optimizer_extensions import extend_optimizer
from xferlab.training.phase_network import freeze
from xferlab.training.transfer_stack import apply_transfer, check_transfer, combine

BLOCKS = {
    "embeddings": ("embedding", "norm"),
    "layer_0": ("dense",),
    "layer_1": ("dense_top", "norm_top"),
    "head": ("head",),
}
BUDGET = Budget(epochs=4, steps_per_epoch=10, total_steps=40)
RATE = 0.1
DECAY = 0.05
STEPS = 10


@pytest.fixture(autouse=True)
def full_precision():
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another


def text_model() -> TextModel:
    import keras

    keras.utils.set_random_seed(3)
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    x = keras.layers.Embedding(11, 6, name="embedding")(ids)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.Dense(6, "tanh", name="dense")(x)
    x = keras.layers.Dense(6, "tanh", name="dense_top", bias_initializer="ones")(x)
    x = keras.layers.LayerNormalization(name="norm_top")(x)
    outputs = keras.layers.Dense(3, name="head")(keras.layers.GlobalAveragePooling1D()(x))
    return TextModel(keras.Model({"token_ids": ids}, outputs), None, BLOCKS)


def data():
    random = np.random.default_rng(0)
    return random.integers(0, 11, (8, 5), dtype="int32"), random.integers(0, 3, 8)


def trained_by_framework(model: TextModel, plan: TransferPlan, phases=(0,)) -> None:
    """Train some steps in each of the phases, as a run does."""
    import keras

    optimizer = keras.optimizers.SGD(RATE, weight_decay=DECAY)
    always = set.intersection(*(set(phase.frozen) for phase in plan.phases))
    freeze(model, plan, Phase(0, tuple(always)))
    optimizer.build(model.network.trainable_variables)
    extend_optimizer(optimizer, model, plan.rates, plan.groups)
    ids, labels = data()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for index in phases:
        freeze(model, plan, plan.phases[index])
        model.network.compile(optimizer, loss, jit_compile=False)
        for _ in range(STEPS):
            model.network.train_on_batch({"token_ids": ids}, labels)


def trained_by_hand(model: TextModel, rate_of, decay_of=lambda path: 1.0, phases=(0,)) -> None:
    """Train by gradient descent with decoupled weight decay; a rate of 0 leaves a weight alone."""
    import tensorflow as tf

    ids, labels = data()
    model.network.trainable = True
    for phase in phases:
        for _ in range(STEPS):
            with tf.GradientTape() as tape:
                logits = model.network({"token_ids": ids}, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses)
            variables = model.network.weights
            raw = [variable.value for variable in variables]
            for variable, gradient in zip(variables, tape.gradient(loss, raw), strict=True):
                path = variable.path
                rate = RATE * rate_of(path, phase)
                if rate:
                    value = variable.numpy() * (1 - rate * DECAY * decay_of(path))
                    variable.assign(value - rate * np.asarray(tf.convert_to_tensor(gradient)))


def compare(found: TextModel, expected: TextModel) -> None:
    for one, other in zip(found.network.weights, expected.network.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=2e-6, err_msg=one.path)


def block_of(path: str) -> str:
    layer = path.partition("/")[0]
    return next(block for block, layers in BLOCKS.items() if layer in layers)


DEPTH = {"head": 0, "layer_1": 1, "layer_0": 2, "embeddings": 3}


# --- against loops by hand -----------------------------------------------------------------------


def test_patterns_below_decaying_rates():
    model = text_model()
    strategies = {
        "layer_decay": LayerDecay(0.5),
        "patterns": Patterns(
            [
                {"match": "embedding/*", "frozen": True},
                {"match": "norm*/beta", "rate": 4, "decay": 0},
                {"match": "*/bias", "rate": 3.0},
                {"match": "*top/*", "rate": 2.0, "decay": 0.5},
            ]
        ),
    }
    plan = apply_transfer(strategies, model, BUDGET)
    assert plan.fixed == ("embedding/embeddings",)
    trained_by_framework(model, plan)

    def rate_of(path, _):
        rate, _ = multipliers(path)
        return 0.5 ** DEPTH[block_of(path)] * rate

    by_hand = text_model()
    trained_by_hand(by_hand, rate_of, lambda path: multipliers(path)[1])
    compare(model, by_hand)


def multipliers(path: str) -> tuple[float, float]:
    """Return rate and decay of the groups above."""
    if path.startswith("embedding/"):
        return 0.0, 0.0
    if path.startswith("norm") and path.endswith("beta"):
        return 4.0, 0.0
    if path.endswith("bias"):
        return 3.0, 1.0
    return (2.0, 0.5) if "top/" in path else (1.0, 1.0)


def test_biases_alone_with_decaying_rates():
    model = text_model()
    strategies = {"bitfit": BitFit(), "layer_decay": LayerDecay(0.5)}
    trained_by_framework(model, apply_transfer(strategies, model, BUDGET))

    def rate_of(path, _):
        is_trained = path.startswith("head/") or path.endswith(("bias", "beta"))
        return is_trained * 0.5 ** DEPTH[block_of(path)]

    by_hand = text_model()
    trained_by_hand(by_hand, rate_of)
    compare(model, by_hand)


def test_fresh_top_layers_matrices_and_phases():
    """The matrices begin with the second phase, and nothing ever moves what is below them."""
    model = text_model()
    strategies = {
        "head_first": HeadFirst(1),
        "reinit_top": ReinitTop(1),
        "layer_decay": LayerDecay(0.5),
        "lora": Lora(rank=2, targets=["dense*"]),
    }
    before = {v.path: v.numpy() for v in model.network.weights}
    plan = apply_transfer(strategies, model, BUDGET)
    assert [phase.epochs for phase in plan.phases] == [1, 3]
    fresh = {path for path in before if path in plan.fixed and block_of(path) == "layer_1"}
    assert fresh == {"dense_top/kernel", "dense_top/bias", "norm_top/gamma", "norm_top/beta"}
    by_hand = text_model()
    for name in ("dense", "dense_top"):
        by_hand.network.get_layer(name).enable_lora(2, lora_alpha=16.0)
    for one, other in zip(by_hand.network.weights, model.network.weights, strict=True):
        one.assign(other)
    values = {v.path: v.numpy() for v in model.network.weights}
    assert not np.allclose(values["dense_top/kernel"], before["dense_top/kernel"])
    np.testing.assert_array_equal(values["dense/kernel"], before["dense/kernel"])
    trained_by_framework(model, plan, phases=(0, 1))

    def rate_of(path, phase):
        if path.startswith("head/"):
            return 1.0
        return ("lora_" in path and phase == 1) * 0.5 ** DEPTH[block_of(path)]

    trained_by_hand(by_hand, rate_of, phases=(0, 1))
    compare(model, by_hand)


def test_fresh_layers_have_the_values_of_their_initializers():
    model = text_model()
    dense = model.network.get_layer("dense_top")
    dense.bias.assign(np.full(6, 7.0))
    norm = model.network.get_layer("norm_top")
    norm.gamma.assign(np.full(6, 7.0))
    before = {v.path: v.numpy() for v in model.network.weights}
    apply_transfer({"reinit_top": ReinitTop(1)}, model, BUDGET)
    after = {v.path: v.numpy() for v in model.network.weights}
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {"dense_top/kernel", "dense_top/bias", "norm_top/gamma"}
    np.testing.assert_array_equal(after["dense_top/bias"], np.ones(6))
    np.testing.assert_array_equal(after["norm_top/gamma"], np.ones(6))


# --- plans ---------------------------------------------------------------------------------------


def test_one_strategy_has_its_own_plan():
    plan = TransferPlan((Phase(1, ("a",)), Phase(3)), {"a": 0.5})
    assert combine({"": plan}, 4) is plan


def test_phases_end_where_one_of_any_does():
    model = TextModel(None, None, BLOCKS)
    plans = {
        "gradual": Gradual(every=1).apply(model, BUDGET),
        "head_first": HeadFirst(2).apply(model, BUDGET),
    }
    phases = combine(plans, 4).phases
    body = ("embeddings", "layer_0", "layer_1")
    assert phases == (Phase(1, body), Phase(1, body), Phase(1, ("embeddings",)), Phase(1))


@pytest.mark.parametrize(
    ("strategies", "reason"),
    [
        ({"full": Full(), "frozen": Frozen()}, "full trains every block, and others freeze"),
        (
            {"frozen": Frozen(), "layer_decay": LayerDecay()},
            "layer_decay sets rates of blocks that frozen freezes throughout",
        ),
        ({"frozen": Frozen(), "lora": Lora()}, "lora trains matrices in blocks that are frozen"),
        ({"bitfit": BitFit(), "frozen": Frozen()}, "bitfit trains biases in blocks that are"),
        ({"lora": Lora(), "bitfit": BitFit()}, "lora and bitfit each choose the weights"),
        (
            {"frozen": Frozen(), "reinit_top": ReinitTop(1)},
            "reinit_top gives 'layer_1' fresh weights that are never trained",
        ),
    ],
)
def test_a_conflict_is_named_before_there_is_a_network(strategies, reason):
    model = TextModel(None, None, BLOCKS)
    with pytest.raises(ConfigError) as caught:
        check_transfer(strategies, model, BUDGET)
    what, where, fix = str(caught.value).splitlines()
    assert f"these transfer strategies contradict each other: {reason}" in what
    assert where == f" where: transfer=[{','.join(strategies)}]"
    assert fix == "   fix: leave one of them out, or let the other train those blocks"


@pytest.mark.parametrize(
    "strategies",
    [
        {"reinit_top": ReinitTop(), "layer_decay": LayerDecay(), "lora": Lora()},
        {"gradual": Gradual(), "layer_decay": LayerDecay()},
        {"full": Full(), "layer_decay": LayerDecay()},
        {"top_layers": TopLayers(1), "lora": Lora()},
        {"frozen": Frozen()},
    ],
)
def test_what_fits_together_is_accepted(strategies):
    plan = check_transfer(strategies, TextModel(None, None, BLOCKS), BUDGET)
    assert sum(phase.epochs for phase in plan.phases) == BUDGET.epochs


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (TransferPlan((Phase(3),)), "the phases of the transfer strategy are [3] epochs long and"),
        (TransferPlan((Phase(4, ("layer_9",)),)), "names a block 'layer_9' that the model does"),
        (TransferPlan((Phase(4),), {"tail": 2.0}), "names a block 'tail' that the model does not"),
        (
            TransferPlan((Phase(4),), groups=(VariableGroup("x", ("dense/scale",)),)),
            "names a variable 'dense/scale' that the network does not have",
        ),
        (TransferPlan((Phase(4),), fixed=("x",)), "names a variable 'x' that the network does not"),
        (TransferPlan((Phase(4, tuple(BLOCKS)),)), "nothing is trained"),
    ],
)
def test_a_plan_that_breaks_its_contract_is_refused(plan, reason):
    strategy = SimpleNamespace(apply=lambda model, budget: plan)
    for transfer in (strategy, {"layer_decay": LayerDecay(), "mine": strategy}):
        with pytest.raises(ConfigError) as caught:
            apply_transfer(transfer, text_model(), BUDGET)
        assert reason in str(caught.value)
        assert len(str(caught.value).splitlines()) == 3


def test_the_strategy_that_does_not_fit_the_model_is_named():
    with pytest.raises(ConfigError) as caught:
        check_transfer(
            {"layer_decay": LayerDecay(), "reinit_top": ReinitTop(2)},
            TextModel(None, None, BLOCKS),
            BUDGET,
        )
    assert caught.value.where == "transfer.reinit_top"
    assert "layers is 2, which leaves no pretrained one of the model's 2 blocks" in str(
        caught.value
    )


# --- patterns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"match": "layer_9*"}], "groups[0]: 'layer_9*' matches no trained variable, like '"),
        ([{"match": "*/biass"}], "'*/biass' matches no trained variable, like 'head/bias'"),
        (
            [{"match": "*", "rate": 2.0}, {"match": "dense/*"}],
            "groups[1]: 'dense/*' matches only variables of earlier groups",
        ),
        ([{"match": "*", "frozen": True}], "they leave no variable that is trained"),
    ],
)
def test_a_group_without_a_variable_is_an_error(groups, message):
    with pytest.raises(ConfigError) as caught:
        apply_transfer(Patterns(groups), text_model(), BUDGET)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({}, "groups[0] has no 'match'"),
        ({"match": 3}, "groups[0] has no 'match'"),
        ({"match": "*", "lr": 2.0}, "groups[0] has 'lr'; it may have match, rate, decay and"),
        ({"match": "*", "rate": 0}, "a rate of 0 costs time; frozen: true does not"),
        ({"match": "*", "rate": True}, "rate must be a number of at least 0, got True"),
        ({"match": "*", "decay": -1.0}, "decay must be a number of at least 0, got -1.0"),
        ({"match": "*", "rate": float("nan")}, "rate must be a number of at least 0, got nan"),
        ({"match": "*", "frozen": "yes"}, "frozen must be true or false, got yes"),
    ],
)
def test_values_that_make_no_sense_are_refused(group, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Patterns([group])


def test_a_network_without_biases_is_no_case_for_bitfit():
    import keras

    ids = keras.Input((3,), name="token_ids")
    x = keras.layers.Dense(4, use_bias=False, name="dense")(ids)
    network = keras.Model({"token_ids": ids}, keras.layers.Dense(2, name="head")(x))
    model = TextModel(network, None, {"layer_0": ("dense",), "head": ("head",)})
    with pytest.raises(ConfigError, match="has no biases below its head"):
        apply_transfer(BitFit(), model, BUDGET)
    with pytest.raises(ConfigError, match="'query' matches no layer with a bias; there are: dense"):
        apply_transfer(BitFit(targets=["query"]), text_model(), BUDGET)
