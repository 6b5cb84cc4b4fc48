"""Heads of the group ``head`` against NumPy, on what PyTorch computed below them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.models.test_families import fixture_checkpoint
from tests.support.family_checkpoints import FIXTURES
from tests.support.finished_runs import train, write_rows
from tests.support.plugin_isolation import isolated_plugins
from tests.support.tiny_checkpoints import write_tiny_checkpoint, write_tokenizer
from tests.support.untrained_run import untrained_run
from xferlab import ConfigError, PluginError, Reads, Task, TaskSpec, register
from xferlab.cli.main import main
from xferlab.export.export_run import export_run
from xferlab.inference.warm_start import source_run, start_from
from xferlab.models.encoder import load_encoder
from xferlab.models.frozen_part import FEATURES, cut_network
from xferlab.models.head import network_of_task
from xferlab.models.plugin_head import reads_of
from xferlab.models.text_vector import TextVector
from xferlab.registry import REGISTRY

ONE = TaskSpec(Task.single_label, ("a", "b", "c"), 10, 24)
WORDS = TaskSpec(Task.token_classification, ("O", "B-x"), 10, 24)
CLASS = TextVector("first", is_of_class=True)
NAMES = {
    "token_ids": "input_ids",
    "padding_mask": "attention_mask",
    "segment_ids": "token_type_ids",
}


@pytest.fixture(autouse=True)
def full_precision():
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another


def head_of(name: str, **fields: Any):
    return REGISTRY.create("head", {"name": name, **fields})


def network(family: str, head: Any, spec: TaskSpec = ONE, **changes: Any):
    """Return a network of a fixture with random weights above its encoder, and what PyTorch has."""
    folder = FIXTURES / family
    reads = reads_of(head, spec)
    checkpoint = fixture_checkpoint(folder, **changes)
    encoder = load_encoder(checkpoint, first_token_only=reads.tokens == "first")
    built, blocks, new = network_of_task(encoder, spec, CLASS, 0.0, head)
    random = np.random.default_rng(0)
    for name in new:
        for weight in built.get_layer(name).weights:
            weight.assign(random.normal(size=weight.shape))
    assert blocks["head"] == new
    with np.load(folder / "expected.npz") as file:
        return built, dict(file)


def compute(built: Any, arrays: dict[str, np.ndarray], padding: int = 0) -> np.ndarray:
    """Return outputs for a batch of PyTorch's, with more padding of any token."""
    inputs = {name: arrays[f"padded/{NAMES[name]}"] for name in built.input}
    filler = {"token_ids": 7, "segment_ids": 0, "padding_mask": 0}
    shape = ((0, 0), (0, padding))
    padded = {n: np.pad(v, shape, constant_values=filler[n]) for n, v in inputs.items()}
    return np.asarray(built(padded, training=False))


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def by_hand(name: str, built: Any, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return what a head computes, text by text, of the tokens that are none of padding."""
    rows = []
    for sequence, mask in zip(
        arrays["padded/sequence"], arrays["padded/attention_mask"], strict=True
    ):
        tokens = sequence[mask == 1].astype("float64")
        if name == "attention":
            hidden = built.get_layer("attention_hidden")
            inner = np.tanh(tokens @ np.asarray(hidden.kernel) + np.asarray(hidden.bias))
            scores = inner @ np.asarray(built.get_layer("attention_score").kernel)[:, 0]
            rows.append(softmax(scores) @ tokens)
        else:
            pools = {
                "first": lambda t: t[0],
                "mean": lambda t: t.mean(0),
                "max": lambda t: t.max(0),
            }
            rows.append(pools[name](tokens))
    last = built.get_layer("head")
    bias = 0.0 if last.bias is None else np.asarray(last.bias)
    return np.stack(rows) @ np.asarray(last.kernel) + bias


@pytest.mark.parametrize("name", ["first", "mean", "max", "attention"])
@pytest.mark.parametrize("family", ["bert", "modernbert", "albert", "qwen3"])
def test_a_head_computes_what_its_paper_says_of_the_tokens_alone(family, name):
    if (family, name) == ("qwen3", "first"):
        pytest.skip("refused: see below")
    built, arrays = network(family, head_of(name))
    found = compute(built, arrays)
    np.testing.assert_allclose(found, by_hand(name, built, arrays), atol=2e-5)
    np.testing.assert_allclose(compute(built, arrays, padding=5), found, atol=2e-6)


def test_a_head_on_the_first_token_has_the_last_layer_compute_it_alone():
    built, _ = network("bert", head_of("first"))
    assert built.get_layer("transformer_layer_1").output.shape[1] == 1
    built, _ = network("bert", head_of("mean"))
    assert built.get_layer("transformer_layer_1").output.shape[1] is None
    built, _ = network("bert", head_of("last_4", layers=2, tokens="first"))
    assert built.get_layer("transformer_layer_1").output.shape[1] == 1


@pytest.mark.parametrize("family", ["bert", "modernbert", "albert"])
def test_the_last_layers_are_those_of_shorter_encoders(family):
    import keras

    head = head_of("last_4", layers=2)
    built, arrays = network(family, head)
    last = built.get_layer("head")
    vectors = compute(keras.Model(built.input, last.input), arrays)
    mask = arrays["padded/attention_mask"][..., None]
    fewer: dict[str, Any] = {"num_hidden_layers": 1}
    if family == "modernbert":
        fewer["layer_types"] = fixture_checkpoint(FIXTURES / family).config["layer_types"][:1]
    shorter = load_encoder(fixture_checkpoint(FIXTURES / family, **fewer))
    one = compute(keras.Model(shorter.backbone.input, shorter.sequence_output), arrays)
    if family == "modernbert":  # transformers normalises the last layer alone
        one = compute(
            keras.Model(shorter.backbone.input, shorter.backbone.get_layer("final_norm").input),
            arrays,
        )
    both = np.concatenate([one, arrays["padded/sequence"]], axis=-1)
    expected = (both * mask).sum(1) / mask.sum(1)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_the_last_layers_tag_words():
    built, arrays = network("bert", head_of("last_4", layers=2), WORDS)
    assert compute(built, arrays).shape == (3, 12, 2)
    assert built.get_layer("head").kernel.shape == (48, 2)


@pytest.mark.parametrize("name", ["mean", "max", "attention", "last_4"])
def test_a_frozen_encoder_below_a_head_is_computed_once(name):
    import keras

    fields = {"layers": 2} if name == "last_4" else {}
    built, arrays = network("bert", head_of(name, **fields))
    frozen = {layer.name for layer in built.layers if "head" not in layer.name}
    cut = cut_network(built, frozen - {"attention_hidden", "attention_score"})
    inputs = {
        key: keras.ops.convert_to_tensor(arrays[f"padded/{NAMES[key]}"]) for key in built.input
    }
    features = cut.lower({key: inputs[key] for key in cut.lower.input})
    besides = {key: inputs[key] for key in cut.upper.input if key != FEATURES}
    found = np.asarray(cut.upper({FEATURES: features, **besides}, training=False))
    np.testing.assert_array_equal(found, compute(built, arrays))
    assert not any("transformer" in layer.name for layer in cut.upper.layers)


def test_several_dropout_masks_are_one_training_step_with_their_mean_loss():
    import keras
    from keras import ops

    head = head_of("multi_sample_dropout", samples=3, dropout=0.5)
    masks: list[Any] = []

    class Step:
        seed = keras.random.SeedGenerator(1)

        def pool(self):
            return ops.ones((4, 6))

        def forward(self, *, pooled):
            masks.append(np.asarray(pooled))
            return pooled[:, :2]

        def loss(self, outputs):
            return ops.mean(ops.square(outputs))

    loss, outputs = head.objective().build(ONE)(Step())
    losses = [np.square(mask[:, :2]).mean() for mask in masks]
    assert len(masks) == 3
    assert len({mask.tobytes() for mask in masks}) == 3
    assert set(np.unique(masks)) == {0.0, 2.0}
    assert float(loss) == pytest.approx(np.mean(losses))
    np.testing.assert_allclose(outputs, np.mean(masks, 0)[:, :2])
    own, arrays = network("bert", head)
    assert compute(own, arrays).shape == (3, 3)
    assert own.get_layer("pooler").output.shape == (None, 24)


# --- runs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Return a folder with rows, and a run of one layer below a head."""
    folder = tmp_path_factory.mktemp("heads")
    write_rows(folder)
    write_tiny_checkpoint(folder / "bert", layers=1)
    model = ["model=encoder", f"model.checkpoint={folder / 'bert'}", "train.epochs=1"]
    train(folder, "plain", *model, "head=max", "transfer=layer_decay", "train.recompute=true")
    return folder


def export(run: Path, name: str, folder: Path) -> int:
    return main(["export", str(run), "--to", name, "--output", str(folder)])


def test_a_run_with_a_head_predicts_and_is_exported_where_the_head_is_known(there, capsys):
    run = there / "run-plain"
    assert export(run, "sentence_transformers", there / "sentences") == 0
    table = json.loads((there / "sentences" / "1_Pooling" / "config.json").read_text())
    assert table["pooling_mode_max_tokens"]
    assert export(run, "saved_model", there / "saved") == 0
    capsys.readouterr()
    assert export(run, "transformers", there / "no") == 2
    message = capsys.readouterr().err
    assert "transformers' class for bert has no head on the maximum over all tokens" in message
    assert "train with head=auto" in message


@pytest.mark.slow
def test_a_head_that_changes_training_alone_is_exported_to_transformers(there, tmp_path):
    head = {"name": "multi_sample_dropout"}
    run = untrained_run(tmp_path / "run", there / "bert", ONE, head=head)
    comparison = export_run(run, "transformers", tmp_path / "out")
    assert comparison.largest < 1e-5
    words = untrained_run(tmp_path / "words", there / "bert", WORDS, head={**head, "samples": 2})
    assert export_run(words, "transformers", tmp_path / "out-words").largest < 1e-5


def test_an_earlier_run_starts_another_head(there, capsys, monkeypatch):
    monkeypatch.chdir(there)
    run = source_run("run-plain")
    head = head_of("attention")
    model = start_from(run, run.spec, keep_head=False, head=head)
    assert model.blocks["head"] == ("attention_hidden", "attention_score", "head")
    kernel = "transformer_layer_0"
    for new, old in zip(
        model.network.get_layer(kernel).weights,
        run.model.network.get_layer(kernel).weights,
        strict=True,
    ):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    with pytest.raises(ConfigError, match="the earlier run has head=max, and this one head=auto"):
        start_from(run, run.spec, keep_head=True)
    data = ["data=files", "data.train=plain.jsonl", "model=from_run", "model.run=run-plain"]
    assert main(["check", *data, "head=last_4"]) == 2
    assert "head=last_4 reads 4 layers, and this encoder has 1" in capsys.readouterr().err
    assert main(["check", *data, "head=last_4", "head.layers=1"]) == 0


BERT = ["model=bert"]
TAGS = ["data=files", "data.train=tags.jsonl"]


@pytest.mark.parametrize(
    ("overrides", "what", "where", "fix"),
    [
        (
            [*TAGS, *BERT, "head=mean"],
            "token_classification needs one for each",
            "head=mean",
            "last_4",
        ),
        (
            [*BERT, "head=last_4"],
            "head=last_4 reads 4 layers, and this encoder has 3",
            "head",
            "=3",
        ),
        (
            [*BERT, "head=max", "model.pooling=mean"],
            "head=max takes its place",
            "model.pooling",
            "one",
        ),
        (
            ["model=bag_of_embeddings", "head=max"],
            "a head of its own alone",
            "head=max",
            "head=auto",
        ),
        (
            [*BERT, "head=multi_sample_dropout", "objective=r_drop"],
            "has a training loss of its own",
            "objective",
            "head=auto",
        ),
        (
            [*BERT, "head=multi_sample_dropout", "head.samples=1"],
            "samples must be at least 2",
            "head",
            "describe",
        ),
        ([*BERT, "head=maxx"], "maxx", "head", "max"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(
    tmp_path, monkeypatch, capsys, overrides, what, where, fix
):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path)
    assert main(["check", *overrides]) == 2
    message = capsys.readouterr().err
    assert what in message
    assert f"where: {where}" in message
    assert fix in message.partition("fix:")[2]


def test_a_decoder_is_not_read_by_its_first_token(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FIXTURES / "qwen3", tmp_path / "qwen3")
    size = write_tokenizer(tmp_path / "qwen3", "bert")
    config = json.loads((tmp_path / "qwen3" / "config.json").read_text())
    (tmp_path / "qwen3" / "config.json").write_text(json.dumps(config | {"vocab_size": size}))
    assert main(["check", "model=encoder", "model.checkpoint=./qwen3", "head=first"]) == 2
    assert "qwen3 is a decoder, and its first token has read no other" in capsys.readouterr().err


class Broken:
    """A head that breaks its contract."""

    is_per_word: ClassVar[bool] = False

    def build(self, encoder, spec):
        return encoder.sequences


class Odd(Broken):
    """A head that says something strange."""

    def reads(self, spec):
        return "all"


def test_a_broken_head_is_named():
    with isolated_plugins():
        for cls in (Broken, Odd):
            register("head", cls.__name__.lower())(dataclass(frozen=True)(cls))
        with pytest.raises(PluginError, match="head=broken cannot be built: AttributeError"):
            network("bert", head_of("broken"))
        with pytest.raises(PluginError, match="head=odd says that it reads 'all'"):
            network("bert", head_of("odd"))
    with pytest.raises(ValueError, match="tokens must be one of"):
        Reads("last")
    with pytest.raises(ValueError, match="layers must be at least 1"):
        Reads(layers=0)
