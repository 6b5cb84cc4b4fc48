"""How texts are read: by a sentence encoder's own files, by the config, or refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plugins.model.encoder import Encoder, Pooling
from tests.support.sentence_files import NEW_TYPES, write_sentence_files
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab import Task, TaskSpec
from xferlab.cli.main import main
from xferlab.data.tokenizer import load_tokenizer
from xferlab.errors import ConfigError
from xferlab.models.checkpoint import resolve
from xferlab.models.content import content_of_checkpoint
from xferlab.models.prompts import Prompts
from xferlab.models.reading import Reading, choose_reading
from xferlab.models.text_vector import TextVector

ONE = TaskSpec(Task.single_label, ("a", "b"), 10, 24)
PAIRS = TaskSpec(Task.single_label, ("a", "b"), 10, 24, has_pairs=True)
WORDS = TaskSpec(Task.token_classification, ("O", "B-x"), 10, 24)
CLASS = TextVector("first", is_of_class=True)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def folder(tiny, tmp_path) -> Path:
    return shutil.copytree(tiny, tmp_path / "st")


def reading(folder: Path, spec: TaskSpec = ONE, pooling: str = "auto", *prompts) -> Reading:
    return choose_reading(resolve(str(folder)), spec, pooling, *prompts)


def long(length: int) -> TaskSpec:
    return replace(ONE, max_length=length)


def refused(*arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        reading(*arguments)
    assert len(str(caught.value).splitlines()) == 3
    return str(caught.value)


# --- pooling -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pooling", "normalize", "expected"),
    [
        ({"pooling_mode_mean_tokens": True}, True, TextVector("mean", True)),  # MiniLM
        ({"pooling_mode_cls_token": True}, True, TextVector("first", True)),  # BGE
        ({"pooling_mode_lasttoken": True}, False, TextVector("last")),
        ({"pooling_mode": "cls", "include_prompt": True}, False, TextVector("first")),
        ({"pooling_mode": ["mean"]}, True, TextVector("mean", True)),
        ({"word_embedding_dimension": 16}, False, TextVector("mean")),  # the library's default
        (
            {"pooling_mode": "mean", "include_prompt": False},
            False,
            TextVector("mean", False, False, False),
        ),
    ],
)
def test_the_modules_decide(folder, pooling, normalize, expected):
    write_sentence_files(folder, pooling, normalize=normalize)
    found = reading(folder)
    assert found == Reading(expected, own=expected)
    assert Reading.from_record(json.loads(json.dumps(found.record()))) == found
    assert reading(folder, WORDS).vector == CLASS
    assert reading(folder, ONE, "mean").vector == TextVector("mean")
    assert reading(folder, ONE, "first").vector == CLASS


def test_a_run_with_longer_texts_than_the_encoder_was_trained_on_says_so(folder):
    assert "note" not in reading(folder).describe("auto", resolve(str(folder)), long(512))
    write_sentence_files(folder)
    checkpoint = resolve(str(folder))
    assert "note" not in reading(folder).describe("auto", checkpoint, long(24))
    note = reading(folder).describe("auto", checkpoint, long(25))["note"]
    assert note.startswith("data.max_length is 25, and max_seq_length of this sentence encoder is")
    for odd in (None, True, -1, "x", []):
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": odd}))
        assert "note" not in reading(folder).describe("auto", checkpoint, long(512))


def test_types_of_every_version_are_known_and_other_folders_have_their_class(folder):
    assert reading(folder) == Reading(CLASS)
    write_sentence_files(folder, normalize=True, types=NEW_TYPES)
    assert reading(folder).vector == TextVector("mean", True)
    (folder / "modules.json").write_text(
        json.dumps([{"type": NEW_TYPES["Transformer"], "path": ""}])
    )
    assert reading(folder) == Reading(CLASS)  # a cross encoder


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "1_Pooling/config.json",
            {"pooling_mode": "weightedmean"},
            "1_Pooling/config.json pools by weightedmean",
        ),
        (
            "1_Pooling/config.json",
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            "pools by cls and mean",
        ),
        ("1_Pooling/config.json", {"pooling_mode": {"x": 1}}, "pools by {'x': 1}"),
        ("2_Normalize/config.json", {"module_input_name": "token_embeddings"}, "other vectors"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "has do_lower_case, its tokenizer"),
        ("modules.json", {}, "modules.json is no list"),
        ("modules.json", [1], "modules.json is no list of types and folders"),
        ("modules.json", [], "modules.json lists nothing"),
        ("modules.json", [("sentence_transformers.models.Dense", "2_Dense")], "lists Dense"),
        ("modules.json", [("my_code.Pooling", "1_Pooling")], "lists 'my_code.Pooling'"),
        ("modules.json", [("sentence_transformers.models.Pooling", "..")], "names the folder '..'"),
        ("modules.json", [("sentence_transformers.models.Pooling", "/x")], "names the folder '/x'"),
        ("modules.json", [("sentence_transformers.models.Pooling", "x" * 999)], "names the folder"),
    ],
)
def test_what_is_not_computed_is_refused_and_can_be_chosen(folder, name, content, reason):
    write_sentence_files(folder, normalize=True)
    if isinstance(content, list) and content and isinstance(content[0], tuple):
        content = [{"type": kind, "path": path} for kind, path in content]
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / name).write_text(json.dumps(content))
    message = refused(folder)
    assert reason in message
    assert "fix: model.pooling=mean, first or last" in message
    assert reading(folder, ONE, "mean") == Reading(TextVector("mean"))
    with pytest.raises(ConfigError):
        Encoder(str(folder)).check(ONE)


def test_a_pooling_is_refused_before_any_weights_are_read(folder, capsys):
    write_sentence_files(folder, {"pooling_mode": "weightedmean"})
    (folder / "model.safetensors").unlink()
    assert main(["check", "model=encoder", f"model.checkpoint={folder}"]) == 2
    assert "1_Pooling/config.json pools by weightedmean" in capsys.readouterr().err


def test_a_module_without_its_file_is_refused(folder):
    write_sentence_files(folder)
    (folder / "1_Pooling" / "config.json").unlink()
    assert "the folder has no config.json" in refused(folder)
    (folder / "1_Pooling" / "config.json").symlink_to("/etc/hostname")
    assert "'config.json' is a link that leads out of the checkpoint" in refused(folder)


def test_what_decides_is_among_the_inputs_of_a_run(folder):
    write_sentence_files(folder, normalize=True)
    before = content_of_checkpoint(str(folder))
    assert {"checkpoint: modules.json", "checkpoint: 1_Pooling/config.json"} <= set(before)
    write_sentence_files(folder, {"pooling_mode": "cls"}, normalize=True)
    after = content_of_checkpoint(str(folder))
    assert [name for name in before if before[name] != after[name]] == [
        "checkpoint: 1_Pooling/config.json"
    ]


def test_pooled_vectors_are_those_of_the_tokens():
    from xferlab.models.layers import SentencePooling

    sequence = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
    lengths = [4, 2, 0]
    mask = np.arange(4) < np.array(lengths)[:, None]
    expected = {
        "first": sequence[:, 0],
        "last": np.stack([sequence[0, 3], sequence[1, 1], np.zeros(5)]),
        "mean": np.stack([sequence[0].mean(0), sequence[1, :2].mean(0), np.zeros(5)]),
    }
    for pooling, vectors in expected.items():
        found = SentencePooling(pooling)(sequence, mask.astype("int32"))
        np.testing.assert_allclose(found, vectors, atol=1e-6)
        unit = SentencePooling(pooling, normalize=True)(sequence, mask.astype("int32"))
        sizes = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
        np.testing.assert_allclose(unit, vectors / sizes, atol=1e-6)


# --- prompts -------------------------------------------------------------------------------------


def test_a_prompt_is_a_text_a_name_or_the_checkpoints_default(folder):
    assert reading(folder).prompts == Prompts()
    assert reading(folder, ONE, "auto", "the ").prompts == Prompts("the ", "the ")
    settings = {"prompts": {"query": "it is ", "none": ""}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    assert reading(folder).prompts == Prompts("it is ", "it is ")
    assert reading(folder, ONE, "auto", "").prompts == Prompts()
    assert reading(folder, PAIRS, "auto", "none", "query").prompts == Prompts("", "it is ")
    assert reading(folder, PAIRS, "auto", "a ").prompts == Prompts("a ", "a ")
    assert reading(folder, WORDS).prompts == Prompts()
    assert "has no prompt 'qeury'" in (message := refused(folder, ONE, "auto", "qeury"))
    assert "did you mean 'query'?" in message


@pytest.mark.parametrize(
    ("spec", "prompts", "reason"),
    [
        (WORDS, ("a ",), "this task has lists of words"),
        (ONE, (None, "a "), "the data has no pairs of texts"),
    ],
)
def test_a_prompt_before_no_text_is_refused(tiny, spec, prompts, reason):
    assert reason in refused(tiny, spec, "auto", *prompts)


@pytest.mark.parametrize(
    "settings",
    [
        {"prompts": ["x"]},
        {"prompts": {"x": 1}},
        {"default_prompt_name": "x"},
        {"prompts": 3},
        {"prompts": {"x": "\ud800"}},
    ],
)
def test_damaged_prompts_are_refused(folder, settings):
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    assert "config_sentence_transformers.json is damaged" in refused(folder)


def test_a_prompt_that_is_not_pooled_is_refused(folder):
    write_sentence_files(folder, {"pooling_mode": "mean", "include_prompt": False})
    message = refused(folder, ONE, "auto", "a ")
    assert "does not pool a prompt's tokens" in message
    assert reading(folder, ONE, "mean", "a ").prompts.text == "a "


def test_the_tokenizer_puts_prompts_before_both_texts(tiny):
    plain = load_tokenizer(tiny)
    prompted = load_tokenizer(tiny, Prompts("the ", "it is "))
    texts = (["film", ""], ["good", "bad"])
    found = prompted.encode(*texts, 24)
    expected = plain.encode(["the film", "the "], ["it is good", "it is bad"], 24)
    assert [list(ids) for ids in found.token_ids] == [list(ids) for ids in expected.token_ids]
    assert list(prompted.encode(texts[0], None, 24).token_ids[0]) == list(
        plain.encode(["the film"], None, 24).token_ids[0]
    )
    words = [["a", "film"]]
    assert list(prompted.encode(words, None, 24).token_ids[0]) == list(
        plain.encode(words, None, 24).token_ids[0]
    )
    assert prompted.fingerprint != plain.fingerprint
    assert load_tokenizer(tiny, Prompts()).fingerprint == plain.fingerprint


# --- runs ----------------------------------------------------------------------------------------


def test_a_run_stores_how_it_reads_and_an_older_one_has_its_class(folder, tmp_path):
    write_sentence_files(folder, {"pooling_mode_cls_token": True}, normalize=True)
    model = Encoder(str(folder), prompt="the ").build(ONE)
    assert [layer.name for layer in model.network.layers[-4:]] == [
        "sentence_vector",
        "sentence_vector_scale",
        "head_dropout",
        "head",
    ]
    assert list(model.blocks) == ["embeddings", "layer_0", "layer_1", "head"]
    assert model.origin["reading"] == {
        "pooling": f"the first token, normalised (modules.json of {folder})",
        "prompt": "'the ' before each text",
    }
    stored = tmp_path / "model"
    stored.mkdir()
    for name, content in model.files.items():
        (stored / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    again = Encoder("gone", prompt="other ").restore(ONE, stored)
    assert again.tokenizer.fingerprint == model.tokenizer.fingerprint
    again.network.set_weights(model.network.get_weights())
    inputs = {name: np.ones((2, 3), "int32") for name in model.network.input}
    np.testing.assert_array_equal(again.network(inputs), model.network(inputs))

    (stored / "encoder.json").write_text('{"pooler": true}')
    older = Encoder("gone").restore(ONE, stored)
    assert "pooler" in older.blocks
    assert "head_dense" not in older.blocks
    strange = json.loads(model.files["encoder.json"])
    strange["reading"]["vector"]["pooling"] = "median"
    (stored / "encoder.json").write_text(json.dumps(strange))
    with pytest.raises(ConfigError, match=r"reading.vector.pooling is 'median'"):
        Encoder("gone").restore(ONE, stored)
    (stored / "encoder.json").write_text('{"pooler": true}')
    mean = Encoder("gone", pooling=Pooling.mean).restore(ONE, stored)
    assert mean.network.get_layer("sentence_vector").pooling == "mean"
