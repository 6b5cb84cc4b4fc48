"""Encoders: the numbers of the checkpoint, for every architecture, or three lines: why not."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny_checkpoints import (
    ARCHITECTURES,
    tiny_config,
    tiny_tensors,
    write_tiny_checkpoint,
    write_weights,
)
from xferlab.errors import ConfigError
from xferlab.models.checkpoint import resolve
from xferlab.models.encoder import Encoder, load_encoder

# float32 sums of 16 to 32 terms in another order, two layers deep
ROUND_OFF = 2e-5

TOKENS = np.array([[2, 7, 9, 30, 3, 1, 1, 1], [2, 5, 6, 7, 8, 9, 11, 3]], np.int32)
MASK = np.array([[1, 1, 1, 1, 1, 0, 0, 0], [1] * 8], np.int32)
SEGMENTS = np.array([[0, 0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]], np.int32)


def inputs_of(encoder: Encoder) -> dict[str, np.ndarray]:
    all_inputs = {"token_ids": TOKENS, "padding_mask": MASK, "segment_ids": SEGMENTS}
    return {name: all_inputs[name] for name in encoder.backbone.input}


def outputs_of(encoder: Encoder) -> dict[str, np.ndarray]:
    outputs = encoder.backbone(inputs_of(encoder), training=False)
    return {name: value.numpy() for name, value in outputs.items()}


# --- the same computation in numpy, from PyTorch's tensors by PyTorch's names ---------------------


def norm(t: dict, name: str, x: np.ndarray, epsilon: float) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon)
    return x * t[f"{name}.weight"] + t[f"{name}.bias"]


def dense(t: dict, name: str, x: np.ndarray) -> np.ndarray:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_new(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def attend(t: dict, names: list[str], x: np.ndarray, mask: np.ndarray, heads: int) -> np.ndarray:
    batch, length, width = x.shape
    q, k, v = (dense(t, name, x).reshape(batch, length, heads, -1).swapaxes(1, 2) for name in names)
    scores = q @ k.swapaxes(2, 3) / math.sqrt(width // heads)
    scores = np.where(mask[:, None, None, :] == 1, scores, -1e30)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = scores / scores.sum(-1, keepdims=True) @ v
    return mixed.swapaxes(1, 2).reshape(batch, length, width)


NAMES = {
    "bert": "attention.self.query attention.self.key attention.self.value attention.output.dense "
    "attention.output.LayerNorm intermediate.dense output.dense output.LayerNorm",
    "distilbert": "attention.q_lin attention.k_lin attention.v_lin attention.out_lin "
    "sa_layer_norm ffn.lin1 ffn.lin2 output_layer_norm",
    "albert": "attention.query attention.key attention.value attention.dense "
    "attention.LayerNorm ffn ffn_output full_layer_layer_norm",
}


def reference(config: dict, tensors: dict) -> dict[str, np.ndarray]:
    """Return what transformers' model of the config computes, in float64."""
    kind = config["model_type"]
    t = {name: x.astype(np.float64) for name, x in tensors.items()}
    epsilon = config.get("layer_norm_eps", 1e-12)
    first = config["pad_token_id"] + 1 if "roberta" in kind else 0
    positions = t["embeddings.position_embeddings.weight"][first:][: TOKENS.shape[1]]
    x = t["embeddings.word_embeddings.weight"][TOKENS] + positions
    if kind != "distilbert":
        segments = np.zeros_like(SEGMENTS) if "roberta" in kind else SEGMENTS
        x = x + t["embeddings.token_type_embeddings.weight"][segments]
    x = norm(t, "embeddings.LayerNorm", x, epsilon)
    if kind == "albert":
        x = dense(t, "encoder.embedding_hidden_mapping_in", x)
    act = {"gelu": gelu, "gelu_new": gelu_new, "relu": lambda x: np.maximum(x, 0)}
    act = act[config.get("hidden_act", config.get("activation"))]
    for stem in stems(config):
        names = [stem + part for part in NAMES.get(kind, NAMES["bert"]).split()]
        heads = config.get("num_attention_heads", 2)
        x = norm(t, names[4], x + dense(t, names[3], attend(t, names[:3], x, MASK, heads)), epsilon)
        x = norm(t, names[7], x + dense(t, names[6], act(dense(t, names[5], x))), epsilon)
    outputs = {"sequence_output": x}
    pooler = {"albert": "pooler", "bert": "pooler.dense"}.get(kind, "")
    if f"{pooler}.weight" in t:
        outputs["pooled_output"] = np.tanh(dense(t, pooler, x[:, 0]))
    return outputs


def stems(config: dict) -> list[str]:
    """Return what stands before a layer's parts, for each time a layer is applied."""
    if config["model_type"] == "distilbert":
        return [f"transformer.layer.{index}." for index in range(config["n_layers"])]
    layers = config["num_hidden_layers"]
    if config["model_type"] != "albert":
        return [f"encoder.layer.{index}." for index in range(layers)]
    groups = config["num_hidden_groups"]
    return [
        f"encoder.albert_layer_groups.{int(index / (layers / groups))}.albert_layers.{inner}."
        for index in range(layers)
        for inner in range(config["inner_group_num"])
    ]


def assert_equal_to_reference(folder: Path, tolerance: float = ROUND_OFF, **changes) -> Encoder:
    config = json.loads((folder / "config.json").read_text())
    encoder = load_encoder(resolve(str(folder)))
    outputs = outputs_of(encoder)
    expected = reference(config, tiny_tensors(config, **changes))
    assert outputs.keys() == expected.keys()
    real = MASK.astype(bool)
    np.testing.assert_allclose(
        outputs["sequence_output"][real], expected["sequence_output"][real], atol=tolerance
    )
    if "pooled_output" in expected:
        np.testing.assert_allclose(
            outputs["pooled_output"], expected["pooled_output"], atol=tolerance
        )
    return encoder


# --- architectures -------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_outputs_are_those_of_the_checkpoint(tmp_path, architecture):
    folder = write_tiny_checkpoint(tmp_path, architecture)
    encoder = assert_equal_to_reference(folder)
    assert encoder.from_checkpoint == encoder.backbone.count_params()
    assert (encoder.hidden_size, encoder.max_length) == (16, 64)
    assert (encoder.pooled_output is not None) == (architecture in ("albert", "bert"))


def test_relu_epsilon_and_heads_of_the_config_are_used(tmp_path):
    assert_equal_to_reference(
        write_tiny_checkpoint(
            tmp_path, hidden_act="relu", layer_norm_eps=0.3, num_attention_heads=4
        )
    )


def test_tanh_gelu_is_used_where_the_config_says_so(tmp_path):
    assert_equal_to_reference(write_tiny_checkpoint(tmp_path, hidden_act="gelu_new"))


def test_albert_groups_and_inner_layers_are_applied_in_the_order_of_transformers(tmp_path):
    folder = write_tiny_checkpoint(
        tmp_path, "albert", num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2
    )
    encoder = assert_equal_to_reference(folder)
    assert encoder.blocks["layers"] == tuple(f"transformer_layer_{index}" for index in range(4))


def test_roberta_with_a_segment_table_of_two_rows_uses_the_first(tmp_path):
    assert_equal_to_reference(write_tiny_checkpoint(tmp_path, "roberta", type_vocab_size=2))


@pytest.mark.parametrize(
    ("architecture", "prefix"),
    [
        ("bert", "bert."),
        ("distilbert", "distilbert."),
        ("roberta", "roberta."),
        ("xlm-roberta", "roberta."),
        ("albert", "albert."),
        ("bert", "model.encoder."),
    ],
)
def test_a_checkpoint_saved_with_a_head_loads(tmp_path, architecture, prefix):
    assert_equal_to_reference(write_tiny_checkpoint(tmp_path, architecture, prefix=prefix))


def test_shards_and_old_names_of_normalisations_load(tmp_path):
    assert_equal_to_reference(write_tiny_checkpoint(tmp_path, shards=3, old_norms=True))


@pytest.mark.parametrize(("dtype", "tolerance"), [("F16", 0.02), ("BF16", 0.1)])
def test_half_precision_files_load(tmp_path, dtype, tolerance):
    # the tolerances are a few steps of the type: 11 and 8 bits of precision
    encoder = assert_equal_to_reference(write_tiny_checkpoint(tmp_path, dtype=dtype), tolerance)
    assert {str(weight.dtype) for weight in encoder.backbone.weights} == {"float32"}


def test_bfloat16_is_read_bit_by_bit(tmp_path):
    folder = write_tiny_checkpoint(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    exact = {name: np.round(x * 4) / 4 for name, x in tiny_tensors(config).items()}
    write_weights(folder, exact, dtype="BF16")
    table = load_encoder(resolve(str(folder))).backbone.get_layer("token_embedding")
    np.testing.assert_array_equal(
        table.embeddings.numpy(), exact["embeddings.word_embeddings.weight"]
    )


# --- blocks, pooler, fresh weights ---------------------------------------------------------------


def test_blocks_name_every_layer_with_weights_once_from_input_to_output(tmp_path):
    encoder = load_encoder(resolve(str(write_tiny_checkpoint(tmp_path))))
    assert list(encoder.blocks) == ["embeddings", "layer_0", "layer_1", "pooler"]
    named = [name for names in encoder.blocks.values() for name in names]
    assert sorted(named) == sorted(x.name for x in encoder.backbone.layers if x.weights)


def test_without_a_pooler_in_the_checkpoint_there_is_none_and_the_log_says_so(tmp_path, caplog):
    folder = write_tiny_checkpoint(tmp_path, prefix="bert.", pooler=False)
    with caplog.at_level(logging.INFO):
        encoder = assert_equal_to_reference(folder, pooler=False)
    assert encoder.pooled_output is None
    assert "pooler" not in encoder.blocks
    assert "the pooler is not in the checkpoint" in caplog.text


def test_fresh_weights_are_a_function_of_the_seed(tmp_path):
    import keras

    folder = write_tiny_checkpoint(tmp_path, pooler=False)
    (folder / "model.safetensors").unlink()
    sampled = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        encoder = load_encoder(resolve(str(folder), weights=False), pretrained=False)
        sampled.append(encoder.backbone.get_layer("token_embedding").embeddings.numpy())
    assert encoder.from_checkpoint == 0
    np.testing.assert_array_equal(sampled[0], sampled[1])
    assert np.abs(sampled[0] - sampled[2]).max() > 0.01
    assert np.abs(sampled[0]).max() <= 0.04  # cut off at two standard deviations of 0.02


def test_fresh_weights_have_the_architecture_of_the_pretrained_ones(tmp_path):
    folder = str(write_tiny_checkpoint(tmp_path, pooler=False))
    fresh = load_encoder(resolve(folder, weights=False), pretrained=False)
    trained = load_encoder(resolve(folder))
    assert [w.path for w in fresh.backbone.weights] == [w.path for w in trained.backbone.weights]


@pytest.mark.filterwarnings("ignore:__array__")  # Keras' own, while it saves
def test_a_saved_model_computes_the_same_after_loading(tmp_path):
    import keras

    encoder = load_encoder(resolve(str(write_tiny_checkpoint(tmp_path, hidden_act="gelu_new"))))
    encoder.backbone.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    again = loaded(inputs_of(encoder))["sequence_output"].numpy()
    np.testing.assert_array_equal(again, outputs_of(encoder)["sequence_output"])


# --- dropout -------------------------------------------------------------------------------------


def rates_of(encoder: Encoder) -> tuple[float, float, float]:
    """Return the rates after the embeddings, on the attention and after the feed-forward part."""
    layer = encoder.backbone.get_layer("transformer_layer_0")
    embeddings = encoder.backbone.get_layer("embeddings_dropout")
    return embeddings.rate, layer.attention.dropout, layer.feedforward_dropped.rate


@pytest.mark.parametrize(("hidden", "attention"), [(0.2, 0.3), (0.2, 0.0), (0.0, 0.3), (0.0, 0.0)])
def test_both_rates_of_the_config_are_used(tmp_path, hidden, attention):
    rates = {"hidden_dropout_prob": hidden, "attention_probs_dropout_prob": attention}
    encoder = load_encoder(resolve(str(write_tiny_checkpoint(tmp_path, **rates))))
    assert rates_of(encoder) == (hidden, attention, hidden)
    first, second = (
        encoder.backbone(inputs_of(encoder), training=True)["sequence_output"].numpy()
        for _ in range(2)
    )
    assert (np.abs(first - second).max() > 0) == (hidden + attention > 0)


def test_the_dropout_argument_replaces_both_rates(tmp_path):
    encoder = load_encoder(resolve(str(write_tiny_checkpoint(tmp_path))), dropout=0.4)
    assert rates_of(encoder) == (0.4, 0.4, 0.4)


# --- refusals ------------------------------------------------------------------------------------


def refusal(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_encoder(resolve(str(folder)))
    return str(caught.value).replace(str(folder), "FOLDER").splitlines()


def rewrite(folder: Path, change) -> Path:
    config = json.loads((folder / "config.json").read_text())
    tensors = tiny_tensors(config)
    change(tensors)
    write_weights(folder, tensors)
    return folder


def test_a_missing_tensor_is_named(tmp_path):
    folder = rewrite(
        write_tiny_checkpoint(tmp_path), lambda t: t.pop("encoder.layer.1.output.LayerNorm.bias")
    )
    assert refusal(folder) == [
        " error: the checkpoint lacks the tensor 'encoder.layer.1.output.LayerNorm.bias' "
        "that its bert encoder needs",
        " where: model.checkpoint=FOLDER",
        "   fix: choose another checkpoint, or start without its weights: model.pretrained=false",
    ]


def test_a_file_without_any_encoder_names_the_first_tensor(tmp_path):
    folder = rewrite(write_tiny_checkpoint(tmp_path), lambda t: t.clear())
    assert "lacks the tensor 'embeddings.word_embeddings.weight'" in refusal(folder)[0]


def test_a_transposed_tensor_is_refused_although_its_size_fits(tmp_path):
    def transpose(tensors):
        name = "encoder.layer.0.output.dense.weight"
        tensors[name] = tensors[name].T.copy()

    assert refusal(rewrite(write_tiny_checkpoint(tmp_path), transpose)) == [
        " error: the checkpoint's tensor for transformer_layer_0/feedforward_output_dense/kernel "
        "has the shape (32, 16), by its config.json it would have (16, 32)",
        " where: model.checkpoint=FOLDER",
        "   fix: choose another checkpoint: its weights are not those of its config.json",
    ]


def test_a_checkpoint_of_two_encoders_is_refused(tmp_path):
    folder = write_tiny_checkpoint(tmp_path)
    tensors = tiny_tensors(tiny_config("bert", 92))
    twice = {f"{side}.{name}": x for side in ("query", "passage") for name, x in tensors.items()}
    write_weights(folder, twice)
    assert refusal(folder) == [
        " error: the checkpoint holds several encoders: passage., query.",
        " where: model.checkpoint=FOLDER",
        "   fix: save the one that is wanted in a folder of its own",
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hidden_act": "snake"}, "its activation 'snake' is not one of gelu,"),
        (
            {"position_embedding_type": "relative_key"},
            "its position_embedding_type is 'relative_key'",
        ),
        ({"is_decoder": True}, "it is a decoder"),
        ({"hidden_size": None}, "it has no size 'hidden_size'"),
        ({"vocab_size": -3}, "its vocab_size is -3"),
        ({"num_attention_heads": 3}, "3 heads do not divide 16"),
    ],
)
def test_a_config_that_would_be_computed_wrongly_is_refused(tmp_path, change, reason):
    folder = write_tiny_checkpoint(tmp_path)
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    lines = refusal(folder)
    assert lines[0].startswith(f" error: the checkpoint's config.json cannot be built: {reason}")
    assert lines[2] == "   fix: choose another checkpoint, or correct its config.json"
