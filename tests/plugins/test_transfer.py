"""Which blocks learn, when and how fast."""

from itertools import pairwise

import pytest

from tests.support.tiny_checkpoints import tiny_encoder
from xferlab import Budget, ConfigError, Phase, TextModel
from xferlab.registry import REGISTRY

BLOCKS = ("embeddings", "layer_0", "layer_1", "layer_2", "head")


def plan(name: str, epochs: int = 5, **fields):
    """Apply a strategy to a model of five blocks that is never built."""
    model = TextModel(network=None, tokenizer=None, blocks={name: () for name in BLOCKS})
    budget = Budget(epochs=epochs, steps_per_epoch=10, total_steps=10 * epochs)
    return REGISTRY.create("transfer", {"name": name, **fields}).apply(model, budget)


def test_full_freezes_nothing():
    assert plan("full").phases == (Phase(5),)


def test_frozen_leaves_the_head():
    assert plan("frozen").phases == (Phase(5, frozen=BLOCKS[:-1]),)


def test_head_first_then_everything():
    assert plan("head_first", head_epochs=2).phases == (Phase(2, frozen=BLOCKS[:-1]), Phase(3))


def test_head_first_needs_epochs_for_the_rest():
    with pytest.raises(ValueError, match="leaves none of the run's 2 epochs"):
        plan("head_first", epochs=2, head_epochs=2)


def test_top_layers_are_the_last_blocks():
    assert plan("top_layers", blocks=2).phases == (Phase(5, frozen=("embeddings", "layer_0")),)
    assert plan("top_layers", blocks=4).phases == plan("full").phases


def test_more_top_layers_than_there_are():
    with pytest.raises(ValueError, match="only 4 blocks below its head: embeddings, layer_0"):
        plan("top_layers", blocks=5)


def test_gradual_thaws_one_block_an_epoch():
    frozen = [phase.frozen for phase in plan("gradual", epochs=6).phases]
    assert frozen == [BLOCKS[:4], BLOCKS[:3], BLOCKS[:2], BLOCKS[:1], ()]


@pytest.mark.parametrize("epochs", range(1, 9))
@pytest.mark.parametrize("fields", [{}, {"every": 2}, {"blocks": 3}, {"every": 2, "blocks": 2}])
def test_gradual_fills_the_run(epochs, fields):
    phases = plan("gradual", epochs=epochs, **fields).phases
    assert sum(phase.epochs for phase in phases) == epochs
    assert phases[0].frozen == BLOCKS[:4]
    assert all(set(b.frozen) < set(a.frozen) for a, b in pairwise(phases))


def test_gradual_thaws_several_blocks_every_so_often():
    phases = plan("gradual", epochs=7, blocks=2).phases
    assert phases == (Phase(1, BLOCKS[:4]), Phase(1, BLOCKS[:2]), Phase(5))


def test_layer_decay_is_a_power_of_the_depth():
    expected = {"head": 1, "layer_2": 0.5, "layer_1": 0.25, "layer_0": 0.125, "embeddings": 0.0625}
    assert plan("layer_decay", decay=0.5).rates == pytest.approx(expected)
    assert plan("gradual", decay=0.5).rates == pytest.approx(expected)
    assert plan("gradual").rates == {}


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("head_first", {"head_epochs": 0}, "head_epochs must be >= 1"),
        ("top_layers", {"blocks": 0}, "transfer=frozen is 0"),
        ("gradual", {"every": 0}, "every must be >= 1"),
        ("gradual", {"blocks": 0}, "blocks must be >= 1"),
        ("gradual", {"decay": 0}, "decay must be above 0"),
        ("layer_decay", {"decay": 1.1}, "decay must be above 0 and at most 1"),
        ("lora", {"rank": 0}, "rank must be >= 1"),
        ("lora", {"alpha": 0}, "alpha must be > 0"),
        ("lora", {"targets": []}, "targets must name at least one layer"),
    ],
)
def test_impossible_values_are_refused(name, fields, message):
    with pytest.raises(ConfigError, match=message):
        REGISTRY.create("transfer", {"name": name, **fields})


@pytest.fixture
def encoder() -> TextModel:
    """A BERT of two small layers, with a head."""
    import keras

    keras.config.set_dtype_policy("float32")  # another test may have left a run's
    keras.utils.set_random_seed(0)
    backbone = tiny_encoder().build()
    head = keras.layers.Dense(3, name="head")(backbone.output["pooled_output"])
    blocks = {
        "embeddings": (
            "token_embedding",
            "position_embedding",
            "segment_embedding",
            "embeddings_layer_norm",
        ),
        "layer_0": ("transformer_layer_0",),
        "layer_1": ("transformer_layer_1",),
        "pooler": ("pooler",),
        "head": ("head",),
    }
    return TextModel(keras.Model(backbone.input, head), tokenizer=None, blocks=blocks)


def batch():
    import numpy as np

    random = np.random.default_rng(0)
    shape = (4, 6)
    return {
        "token_ids": random.integers(0, 30, shape),
        "segment_ids": np.zeros(shape, int),
        "padding_mask": np.ones(shape, int),
    }


def lora(model: TextModel, **fields):
    return REGISTRY.create("transfer", {"name": "lora", **fields}).apply(model, Budget(2, 5, 10))


def test_lora_starts_from_the_pretrained_model(encoder):
    import numpy as np

    before = np.asarray(encoder.network(batch()))
    assert lora(encoder).phases == (Phase(2),)
    np.testing.assert_array_equal(before, np.asarray(encoder.network(batch())))


def test_lora_adds_rank_times_the_edges_of_each_weight(encoder):
    lora(encoder, rank=4, targets=["query", "feedforward_*"])
    sizes = {v.path: v.shape for v in encoder.network.trainable_variables}
    parts = [path for path in sizes if "lora" not in path]
    assert parts == ["head/kernel", "head/bias"]
    query = "transformer_layer_1/self_attention_layer/query/lora_kernel_"
    assert (sizes[query + "a"], sizes[query + "b"]) == ((8, 4), (4, 8))
    assert len(sizes) == 2 + 2 * 2 * 3  # the head; a and b, of two blocks, in three layers


def test_lora_trains_and_leaves_the_pretrained_weights(encoder):
    import numpy as np

    network = encoder.network
    before = {v.path: v.numpy().copy() for v in network.variables}
    lora(encoder)
    network.compile("sgd", "mse")
    network.fit(batch(), np.ones((4, 3)), epochs=2, verbose=0)
    moved = {v.path for v in network.variables if v.path in before} - {
        v.path
        for v in network.variables
        if v.path in before and np.array_equal(v.numpy(), before[v.path])
    }
    assert moved == {"head/kernel", "head/bias"}
    changed = [v for v in network.trainable_variables if v.path.endswith("lora_kernel_b")]
    assert len(changed) == 4
    assert all(np.abs(v.numpy()).max() > 0 for v in changed)


def test_lora_target_that_matches_nothing(encoder):
    message = "'quarry' matches no layer of the model; .*feedforward_intermediate_dense.*query"
    with pytest.raises(ValueError, match=message):
        lora(encoder, targets=["query", "quarry"])


def test_lora_never_touches_the_head(encoder):
    lora(encoder, targets=["*"])
    assert not encoder.network.get_layer("head").lora_enabled


def test_lora_adds_a_times_b_scaled_by_alpha_over_rank(encoder):
    import numpy as np

    lora(encoder, rank=2, alpha=6, targets=["pooler"])
    layer = encoder.network.get_layer("pooler")
    a = np.ones((8, 2))
    b = np.arange(16.0).reshape(2, 8)
    before = np.asarray(layer.kernel)
    layer.lora_kernel_a.assign(a)
    layer.lora_kernel_b.assign(b)
    layer.activation = None
    x = np.eye(8, dtype="float32")
    found = np.asarray(layer(x)) - np.asarray(layer.bias)
    np.testing.assert_allclose(found, before + 6 / 2 * (a @ b), rtol=1e-6)
