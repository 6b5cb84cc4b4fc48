"""Every family computes, learns and is written as PyTorch's own class does.

``tests/fixtures/families`` holds tiny checkpoints that transformers made, and what PyTorch computed
with them (``tools/families/make_fixtures.py``). A family is a folder there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.support.family_checkpoints import FIXTURES, NAMES, SAME_GRAPH
from xferlab.errors import ConfigError
from xferlab.io.safetensors import read_header
from xferlab.io.tensors import read_weight
from xferlab.models.architectures import FAMILIES, read_architecture
from xferlab.models.checkpoint import Checkpoint, _header, _weight_files
from xferlab.models.encoder import Encoder, load_encoder
from xferlab.models.frozen_part import cut_network
from xferlab.models.head import SENTENCE_VECTOR, attach_head
from xferlab.models.limits import variables_for
from xferlab.models.network_parts import cut_at_embeddings, cut_below_last_layer
from xferlab.models.reading import reading_without_modules
from xferlab.models.saved_encoder import saved_reading
from xferlab.models.to_transformers import encoder_tensors, head_tensors
from xferlab.models.weight_names import TensorNames, assign_head
from xferlab.step_contracts import Needs

CASES = ("padded", "unpadded", "pairs", "longest")
LABELS = np.array([2, 0, 1])
RATE = 0.05


def fixture_checkpoint(folder: Path, **changes: Any) -> Checkpoint:
    """Return the checkpoint in a folder, which has no tokenizer; with other keys of its config."""
    config = json.loads((folder / "config.json").read_text()) | changes
    tensors = read_header(folder / "model.safetensors")
    return Checkpoint(folder.name, folder, None, {}, config["model_type"], 0, config, tensors)


@dataclass(frozen=True)
class Family:
    """A fixture and the network of its checkpoint.

    Attributes:
        checkpoint: of PyTorch.
        expected: what PyTorch computed, by name.
        encoder: its encoder.
        network: its encoder and its head.
        blocks: of the network.
    """

    checkpoint: Checkpoint
    expected: Mapping[str, np.ndarray]
    encoder: Encoder
    network: Any
    blocks: Mapping[str, tuple[str, ...]]

    @property
    def is_folded(self) -> bool:
        """Whether the row of the only segment is part of the positions here."""
        return self.encoder.architecture.has_constant_segment

    def inputs(self, case: str, names: Any = None) -> dict[str, Any]:
        import tensorflow as tf

        stored = {
            "token_ids": "input_ids",
            "padding_mask": "attention_mask",
            "segment_ids": "token_type_ids",
        }
        names = names or self.network.input
        return {name: tf.constant(self.expected[f"{case}/{stored[name]}"]) for name in names}

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the network's weights by the names of transformers."""
        architecture = self.encoder.architecture
        return encoder_tensors(self.network, architecture) | head_tensors(
            self.network, architecture, False
        )


def build(checkpoint: Checkpoint, expected: Mapping[str, np.ndarray], **options: Any) -> Family:
    encoder = load_encoder(checkpoint, **options)
    vector = reading_without_modules(encoder.architecture, "auto").vector
    network, blocks, _ = attach_head(
        encoder, len(LABELS), is_per_word=False, vector=vector, dropout=0.0
    )
    names = TensorNames(encoder.architecture, checkpoint.tensors, checkpoint.source)
    assign_head(network, names, is_per_word=False)
    return Family(checkpoint, expected, encoder, network, blocks)


@pytest.fixture(scope="module", params=NAMES)
def family(request: pytest.FixtureRequest) -> Family:
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another
    folder = FIXTURES / request.param
    with np.load(folder / "expected.npz") as file:
        return build(fixture_checkpoint(folder), dict(file))


@pytest.fixture
def weights(family: Family) -> Iterator[list[Any]]:
    """Give a test the network's weights, and set them back after it."""
    before = [weight.numpy() for weight in family.network.weights]
    yield family.network.weights
    for weight, value in zip(family.network.weights, before, strict=True):
        weight.assign(value)


def loss_and_gradients(family: Family, case: str) -> tuple[float, list[Any]]:
    import tensorflow as tf

    variables = [weight.value for weight in family.network.weights]
    with tf.GradientTape() as tape:
        logits = family.network(family.inputs(case), training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits)
        loss = tf.reduce_mean(losses)
    found = tape.gradient(loss, variables, unconnected_gradients="zero")
    return float(loss), [tf.convert_to_tensor(each) for each in found]


# --- the numbers of PyTorch ----------------------------------------------------------------------


def test_outputs_are_those_of_pytorch(family):
    import keras

    outputs = {"sequence": family.encoder.sequence_output, "logits": family.network.output}
    both = keras.Model(family.network.input, outputs)
    for case in CASES:
        found = both(family.inputs(case), training=False)
        real = family.expected[f"{case}/attention_mask"] == 1
        sequence = np.asarray(found["sequence"])[real]
        np.testing.assert_allclose(
            sequence, family.expected[f"{case}/sequence"][real], atol=1e-5, err_msg=case
        )
        np.testing.assert_allclose(
            found["logits"], family.expected[f"{case}/logits"], atol=1e-5, err_msg=case
        )


def test_gradients_are_those_of_pytorch(family, weights):
    _, gradients = loss_and_gradients(family, "padded")
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.assign(gradient)
    found = family.tensors()
    stored = {n: g for n, g in family.expected.items() if n.startswith("gradient/")}
    for name, expected in stored.items():
        if family.is_folded and "token_type" in name:
            continue
        np.testing.assert_allclose(
            found[name.removeprefix("gradient/")], expected, atol=1e-4, err_msg=name
        )


@pytest.mark.parametrize("steps", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_steps_have_the_losses_of_pytorch(family, weights, steps):
    found = []
    for step in range(steps):
        loss, gradients = loss_and_gradients(family, ("padded", "pairs")[step % 2])
        found.append(loss)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.assign_sub(RATE * gradient)
            if family.is_folded and "position" in weight.path:  # PyTorch moves both tables
                weight.assign_sub(RATE * gradient.numpy().sum(0, keepdims=True))
    np.testing.assert_allclose(found, family.expected["losses"][:steps], atol=1e-3)
    assert abs(found[0] - found[-2]) > 0.01  # it learns something


# --- one token, half precision, parts ------------------------------------------------------------


def test_the_first_token_alone_is_the_same_and_half_precision_is_near(family):
    import keras

    vector = reading_without_modules(family.encoder.architecture, "auto").vector
    first = vector.reads_first_token(is_per_word=False)
    expected = family.expected["padded/logits"]
    if first:
        alone = build(family.checkpoint, family.expected, first_token_only=True)
        assert alone.encoder.sequence_output.shape[1] == 1
        logits = alone.network(family.inputs("padded"), training=False)
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = build(family.checkpoint, family.expected, first_token_only=first)
        logits = half.network(family.inputs("padded"), training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert half.encoder.sequence_output.dtype == "bfloat16"
    assert np.isfinite(logits).all()


def test_blocks_are_the_layers_with_weights_and_the_parts_that_lora_can_have(family):
    names = [name for block in family.blocks.values() for name in block]
    assert sorted(names) == sorted(x.name for x in family.network.layers if x.weights)
    assert next(iter(family.blocks)) == "embeddings"
    assert list(family.blocks)[-1] == "head"
    layer = family.network.get_layer("transformer_layer_0")
    inner = {each.name for each in layer._flatten_layers() if hasattr(each, "enable_lora")}
    assert inner >= {
        "query",
        "key",
        "value",
        "attention_output",
        "feedforward_intermediate_dense",
        "feedforward_output_dense",
    }


@pytest.mark.parametrize("trained", [1, 2])
def test_a_frozen_part_is_cut_off(family, trained):
    *frozen, last = list(family.blocks)[:-trained]
    layers = {name for block in (*frozen, last) for name in family.blocks[block]}
    if not frozen:
        pytest.skip("all layers share their weights")
    network = build(family.checkpoint, family.expected).network  # a network is cut once
    cut = cut_network(network, layers)
    assert cut is not None
    features = cut.lower(family.inputs("padded", cut.lower.input), training=False)
    others = [name for name in cut.upper.input if name != "features"]
    inputs = family.inputs("padded", others) if others else {}
    found = cut.upper({"features": features, **inputs}, training=False)
    np.testing.assert_allclose(found, family.expected["padded/logits"], atol=1e-5)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [cut_at_embeddings, cut_below_last_layer])
def test_an_objective_gets_the_network_in_two_parts(family, cut):
    network = build(family.checkpoint, family.expected).network  # a cut leaves nodes in its layers
    parts = cut(network)
    assert parts is not None
    lower, upper = parts
    every = family.inputs("padded", network.input)
    name = "embedded" if cut is cut_at_embeddings else "pooled"
    given = {**every, name: lower(every, training=False)}
    assert len(given[name].shape) == (3 if cut is cut_at_embeddings else 2)
    found = upper({each: given[each] for each in upper.input}, training=False)
    np.testing.assert_allclose(found, network(every, training=False), atol=1e-6)


def test_shifted_weights_compute_what_assigned_ones_do(family, weights):
    import tensorflow as tf

    from xferlab.backend.objective_step import NetworkParts, ObjectiveStep

    network = family.network
    every = family.inputs("padded", network.input)
    kernels = [weight for weight in network.trainable_weights if len(weight.shape) > 1]
    rng = np.random.default_rng(0)
    shifts = [0.02 * rng.normal(size=weight.shape).astype("float32") for weight in kernels]
    seeds = [(seed, seed.numpy()) for seed in network.non_trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        needs = Needs(shifted_weights=True)
        step = ObjectiveStep(
            network,
            NetworkParts(),
            needs,
            tape,
            every,
            labels=None,
            arrays={},
            example_weights=None,
            seed=None,
            progress=0.0,
            loss=lambda *_: None,
            scale_loss=None,
        )
        with step.shifted(list(zip(kernels, shifts, strict=True))):
            shifted = step.forward()
    raw = [weight.value for weight in kernels]
    by_shift = tape.gradient(shifted, raw, unconnected_gradients="zero")
    after = [seed.numpy() for seed, _ in seeds]
    for seed, value in seeds:
        seed.assign(value)
    for weight, shift in zip(kernels, shifts, strict=True):
        weight.assign_add(shift)
    with tf.GradientTape() as tape:
        assigned = network(every, training=True)
    np.testing.assert_allclose(shifted, assigned, atol=1e-5)
    np.testing.assert_array_equal(after, [seed.numpy() for seed, _ in seeds])
    by_assignment = tape.gradient(assigned, raw, unconnected_gradients="zero")
    for found, wanted in zip(by_shift, by_assignment, strict=True):
        wanted = tf.convert_to_tensor(wanted)
        tolerance = 1e-4 * max(float(tf.reduce_max(abs(wanted))), 1e-3)
        np.testing.assert_allclose(tf.convert_to_tensor(found), wanted, atol=tolerance)


def test_what_is_exported_is_the_checkpoint(family):
    found = family.tensors()
    stored = {name: read_weight(t) for name, t in family.checkpoint.tensors.items()}
    if family.is_folded:
        prefix = f"{family.encoder.architecture.weight_prefix}embeddings."
        positions = f"{prefix}position_embeddings.weight"
        segments = f"{prefix}token_type_embeddings.weight"
        offset = family.encoder.architecture.position_offset
        both = stored.pop(positions)[offset:] + stored.pop(segments)
        sums = found.pop(positions)[offset:] + found.pop(segments)
        np.testing.assert_array_equal(sums, both)
    assert found.keys() == stored.keys()
    for name, array in stored.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_shards_of_bfloat16_without_the_class_are_read_to_the_bit(family, tmp_path):
    """As a checkpoint of the encoder alone has them, with a tied or unused tensor beside."""
    architecture = family.encoder.architecture
    stored = {name: read_weight(t) for name, t in family.checkpoint.tensors.items()}
    names = [name for name in stored if name.startswith(architecture.weight_prefix)]
    short = {name.removeprefix(architecture.weight_prefix): stored[name] for name in names}
    short["lm_head.weight"] = next(iter(short.values()))
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in short.items()}
    places = {name: f"model-0000{i % 2 + 1}-of-00002.safetensors" for i, name in enumerate(half)}
    for file in set(places.values()):
        save_file({n: half[n] for n in half if places[n] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    tensors = {}
    for path in _weight_files(tmp_path, "here"):
        tensors |= _header(path, "here")
    checkpoint = replace(family.checkpoint, tensors=tensors)
    found = load_encoder(checkpoint, pooler=architecture.has_pooler).backbone
    for weight, original in zip(found.weights, family.encoder.backbone.weights, strict=True):
        expected = original.numpy().astype(ml_dtypes.bfloat16).astype("float32")
        is_sum = family.is_folded and "position" in weight.path  # each of two tables is rounded
        tolerance = 0.02 if is_sum else 0.0
        np.testing.assert_allclose(weight.numpy(), expected, atol=tolerance, err_msg=weight.path)


def test_the_names_of_weights_are_known_from_the_header(family):
    checkpoint = family.checkpoint
    names = TensorNames(family.encoder.architecture, checkpoint.tensors, "here").weight_paths()
    own = {weight.path for weight in family.encoder.backbone.weights}
    assert set(names) - {"pooler/kernel", "pooler/bias"} == own - {"pooler/kernel", "pooler/bias"}
    known = variables_for(checkpoint, SimpleNamespace(task=SimpleNamespace(masks_tokens=False)))
    assert {weight.path for weight in family.network.weights} <= set(known)


def test_the_config_that_is_written_describes_the_same_encoder(family):
    architecture = family.encoder.architecture
    pad_id = family.checkpoint.config.get("pad_token_id") or 0
    written = architecture.to_config(pad_id)
    assert read_architecture(written, "here").to_config(pad_id) == written
    assert read_architecture(written | {"pad_token_id": pad_id}, "here") == read_architecture(
        family.checkpoint.config, "here"
    )


def test_the_graph_is_built_again_from_its_own_config(family):
    backbone = family.encoder.backbone
    again = type(backbone).from_config(backbone.get_config())
    again.set_weights(backbone.get_weights())
    inputs = family.inputs("padded")
    np.testing.assert_array_equal(
        again(inputs)["sequence_output"], backbone(inputs)["sequence_output"]
    )


@pytest.mark.parametrize(
    ("kinds", "every"), [("fsfs", 2), ("fsss", 4), ("ffff", 1), ("sfsf", None), ("fssf", 3)]
)
def test_the_key_of_transformers_4_for_kinds_of_layers_is_right_or_null(kinds, every):
    names = {"f": "full_attention", "s": "sliding_attention"}
    listed = {"num_hidden_layers": 4, "layer_types": [names[kind] for kind in kinds]}
    config = fixture_checkpoint(FIXTURES / "modernbert", **listed).config
    written = read_architecture(config, "here").to_config(0)
    assert written["global_attn_every_n_layers"] == every
    assert written["layer_types"] == listed["layer_types"]


@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
@pytest.mark.parametrize("name", ["bert", "eurobert", "llama", "modernbert"])
def test_other_poolings_are_of_the_tokens(name, pooling):
    import keras

    keras.config.set_dtype_policy("float32")
    encoder = load_encoder(fixture_checkpoint(FIXTURES / name))
    vector = reading_without_modules(encoder.architecture, pooling).vector
    network, _, new_layers = attach_head(encoder, 3, is_per_word=False, vector=vector, dropout=0.0)
    of_class = {"bert": ["first"], "llama": ["last"]}.get(name, ["first", "mean"])
    assert vector.is_of_class == (pooling in of_class)
    assert (SENTENCE_VECTOR in [layer.name for layer in network.layers]) != vector.is_of_class
    has_dense = name in ("eurobert", "modernbert") and pooling != "last"
    assert ("head_dense" in new_layers) == has_dense
    with np.load(FIXTURES / name / "expected.npz") as file:
        inputs = {
            "token_ids": file["padded/input_ids"],
            "padding_mask": file["padded/attention_mask"],
            "segment_ids": np.zeros_like(file["padded/input_ids"]),
        }
    inputs = {key: inputs[key] for key in network.input}
    padding = inputs["padding_mask"] == 0
    whole = network(inputs)
    changed = inputs | {"token_ids": np.where(padding, 9, inputs["token_ids"])}
    np.testing.assert_allclose(network(changed), whole, atol=1e-6)


def test_a_run_stores_how_its_class_pools(family, tmp_path):
    reading = reading_without_modules(family.encoder.architecture, "auto")
    shape = {"pooler": False, "reading": reading.record()}
    (tmp_path / "encoder.json").write_text(json.dumps(shape))
    assert saved_reading(tmp_path) == reading
    assert str(reading.vector)


def test_a_written_config_has_the_pooling_of_the_run():
    encoder = read_architecture(fixture_checkpoint(FIXTURES / "modernbert").config, "here")
    mean = encoder.with_pooling("mean")
    assert (encoder.class_pooling, mean.class_pooling) == ("first", "mean")
    assert mean.to_config(0)["classifier_pooling"] == "mean"
    assert encoder.with_pooling("last") is None


def test_every_family_has_a_fixture():
    proved = {read_architecture(fixture_checkpoint(FIXTURES / n).config, n) for n in NAMES}
    assert {each.model_type for each in proved} | set(SAME_GRAPH) == set(FAMILIES)


@pytest.mark.parametrize(("name", "other"), SAME_GRAPH.items())
def test_a_family_of_the_same_graph_has_the_same_names_and_numbers(name, other):
    checkpoint = fixture_checkpoint(FIXTURES / other, model_type=name)
    with np.load(FIXTURES / other / "expected.npz") as file:
        alias = build(checkpoint, dict(file))
    assert type(alias.encoder.architecture) is FAMILIES[name]
    logits = alias.network(alias.inputs("padded"), training=False)
    np.testing.assert_allclose(logits, alias.expected["padded/logits"], atol=1e-5)
    assert set(alias.tensors()) == set(checkpoint.tensors)


def test_the_tensors_of_a_tagger_are_those_of_transformers_class(family):
    expected = json.loads((FIXTURES / family.checkpoint.source / "tagger.json").read_text())
    architecture = family.encoder.architecture
    has_class = "TokenClassification" in architecture.head_classes
    assert (architecture.class_name("TokenClassification") if has_class else None) == expected[
        "class"
    ]
    if not has_class:
        return
    vector = reading_without_modules(architecture, "auto").vector
    network, _, _ = attach_head(family.encoder, 3, is_per_word=True, vector=vector, dropout=0.0)
    found = encoder_tensors(network, architecture) | head_tensors(network, architecture, True)
    shapes = {name: list(array.shape) for name, array in found.items()}
    assert shapes == expected["tensors"]


def test_deberta_loads_with_its_sentencepiece_file_alone(tmp_path):
    import sentencepiece

    from xferlab.data.tokenizer import load_tokenizer
    from xferlab.models.checkpoint import resolve

    ends = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the film was good", "it is a bad film"] * 50),
        model_prefix=str(tmp_path / "spm"),
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=2,
        **ends,
        **{f"{name}_piece": f"[{name}]" for name in ("pad", "unk")},
        bos_piece="[CLS]",
        eos_piece="[SEP]",
    )
    (tmp_path / "spm.vocab").unlink()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(FIXTURES / "deberta-v3" / name, tmp_path)
    folder = resolve(str(tmp_path)).folder
    encoding = load_tokenizer(folder).encode(["the film"], ["was good"], 12)
    (ids,) = (list(map(int, row)) for row in encoding.token_ids)
    assert ids[0] == 1
    assert (ids.count(2), ids[-1]) == (2, 2)  # after each text
    assert 3 not in ids


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        (
            "bert",
            {"position_embedding_type": "relative_key"},
            "its position_embedding_type is 'relative_key'",
        ),
        ("mpnet", {"relative_attention_num_buckets": 16}, "num_buckets is 16, and only 32 is"),
        ("deberta-v3", {"conv_kernel_size": 3}, "its conv_kernel_size is 3, and only 0 is"),
        ("deberta-v3", {"relative_attention": False}, "its relative_attention is False"),
        ("deberta-v3", {"pos_att_type": "p2p"}, "its pos_att_type is 'p2p'"),
        ("deberta-v3", {"norm_rel_ebd": "rms"}, "its norm_rel_ebd is 'rms'"),
        ("deberta-v3", {"embedding_size": 12}, "its embedding_size is 12, and only 24 is"),
        ("modernbert", {"layer_types": ["full_attention"]}, "its layer_types is not a list of 2"),
        ("modernbert", {"classifier_pooling": "max"}, "its classifier_pooling is 'max'"),
        ("modernbert", {"attention_bias": 1}, "its attention_bias is 1"),
        ("eurobert", {"rope_parameters": {"rope_type": "yarn"}}, "its rotary positions are 'yarn'"),
        ("eurobert", {"partial_rotary_factor": 0.5}, "its partial_rotary_factor is 0.5"),
        ("llama", {"num_key_value_heads": 3}, "3 heads of keys do not divide 4"),
        ("llama", {"head_dim": 5}, "a head's width of 5 is odd"),
        ("qwen3", {"use_sliding_window": True}, "its use_sliding_window is True"),
        ("gemma3", {"attn_logit_softcapping": 50.0}, "its attn_logit_softcapping is 50.0"),
        ("gemma3", {"use_bidirectional_attention": True}, "its use_bidirectional_attention is"),
    ],
)
def test_other_mathematics_is_refused(name, change, reason):
    config = fixture_checkpoint(FIXTURES / name, **change).config
    with pytest.raises(ConfigError) as caught:
        read_architecture(config, "here")
    assert reason in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


ODD = (None, True, -1, 0, 7, 10**12, 0.5, float("nan"), "x", "", [], ["x"], {}, {"x": 1})


@pytest.mark.parametrize("name", NAMES)
def test_any_value_of_any_key_is_read_or_refused_in_three_lines(name):
    config = dict(fixture_checkpoint(FIXTURES / name).config)
    more = ("head_dim", "layer_types", "rope_scaling", "rope_theta", "position_buckets")
    refusals = []
    for key in {*config, *more} - {"model_type"}:
        for value in ODD:
            try:
                read_architecture(config | {key: value}, "here")
            except ConfigError as error:
                refusals.append(str(error).splitlines())
            except Exception as error:
                raise AssertionError(f"{key}: {value!r}") from error
    assert {len(lines) for lines in refusals} == {3}
