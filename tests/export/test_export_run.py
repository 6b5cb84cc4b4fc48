"""Exports: the tensors are transformers' own, the answers the run's, and nothing half is kept."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import xferlab
from plugins.model.encoder import Encoder
from plugins.transfer.lora import Lora
from tests.support.finished_runs import train, write_rows
from tests.support.sentence_files import write_sentence_files
from tests.support.tiny_checkpoints import ARCHITECTURES, tiny_tensors, write_tiny_checkpoint
from xferlab import Task, TaskSpec
from xferlab.cli.main import main
from xferlab.contracts import Budget, OutputKind, Split
from xferlab.data.tokenizer import load_tokenizer
from xferlab.errors import ConfigError, RunError
from xferlab.export import export_run as exporting
from xferlab.export.formats import FORMATS, Format
from xferlab.export.formats.transformers import config_json
from xferlab.export.model_card import model_card
from xferlab.export.output_folder import refuse_taken
from xferlab.export.parity import compare, generated_texts, read_texts
from xferlab.export.serving_function import serving_function
from xferlab.export.tokenizer import write_tokenizer
from xferlab.inference.merge_lora import merge_lora
from xferlab.io.folders import atomic_folder
from xferlab.models.architectures import read_architecture
from xferlab.models.checkpoint import resolve
from xferlab.models.reading import choose_reading
from xferlab.models.saved_encoder import saved_reading
from xferlab.models.text_vector import TextVector, read_sentence_vector
from xferlab.models.to_transformers import encoder_tensors, head_tensors

PREFIX = {a: "roberta." if "roberta" in a else f"{a}." for a in ARCHITECTURES}
# By transformers' own classes; the dense layers are those on the first token.
DENSE = {
    "albert": "albert.pooler",
    "bert": "bert.pooler.dense",
    "distilbert": "pre_classifier",
    "roberta": "classifier.dense",
    "xlm-roberta": "classifier.dense",
}
SPECS = {
    Task.single_label: TaskSpec(Task.single_label, ("a", "b", "c"), 10, 64),
    Task.multi_label: TaskSpec(Task.multi_label, ("a", "b"), 10, 64),
    Task.regression: TaskSpec(Task.regression, (), 10, 64, output_kind=OutputKind.values),
    Task.token_classification: TaskSpec(Task.token_classification, ("O", "B-x", "I-x"), 10, 64),
}


def built(folder: Path, architecture: str, task: Task = Task.single_label, **options: object):
    """Return a checkpoint's encoder with a fresh head, and its config."""
    write_tiny_checkpoint(folder, architecture, **options)
    model = Encoder(str(folder)).build(SPECS[task])
    return model, read_architecture(resolve(str(folder)).config, "here")


# --- the inverse of loading ----------------------------------------------------------------------


@pytest.mark.parametrize("task", [Task.single_label, Task.token_classification])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_tensor_goes_back_to_its_name_and_bits(tmp_path, architecture, task):
    model, config = built(tmp_path, architecture, task)
    tensors = encoder_tensors(model.network, config)
    heads = head_tensors(model.network, config, task is Task.token_classification)
    own = tiny_tensors(json.loads((tmp_path / "config.json").read_text()))
    own = {PREFIX[architecture] + name: value for name, value in own.items()}
    first = DENSE[architecture]
    output = "classifier"
    if task is Task.single_label and "roberta" in architecture:
        output = "classifier.out_proj"
    expected = {name for name in own if ".pooler" not in name}
    assert set(tensors) == expected
    new = {output} if task is Task.token_classification else {first, output}
    assert set(heads) == {f"{stem}.{word}" for stem in new for word in ("weight", "bias")}
    together = tensors | heads
    if "roberta" in architecture:
        positions, segments = (
            f"roberta.embeddings.{kind}_embeddings.weight" for kind in ("position", "token_type")
        )
        folded = own.pop(positions)[2:] + own.pop(segments)
        np.testing.assert_array_equal(together[positions][2:] + together[segments], folded)
    for name in own.keys() & together.keys():
        np.testing.assert_array_equal(together[name], own[name], err_msg=name)
    head = model.network.get_layer("head")
    np.testing.assert_array_equal(together[f"{output}.weight"], head.kernel.numpy().T)


def test_a_checkpoint_without_a_pooler_has_the_new_dense_layer_in_its_place(tmp_path):
    model, config = built(tmp_path, "bert", pooler=False)
    heads = head_tensors(model.network, config, False)
    dense = model.network.get_layer("head_dense")
    np.testing.assert_array_equal(heads["bert.pooler.dense.weight"], dense.kernel.numpy().T)
    assert dense.activation.__name__ == "tanh"


def test_low_rank_matrices_are_merged_into_the_tensors(tmp_path):
    model, config = built(tmp_path, "distilbert")
    before = encoder_tensors(model.network, config)
    Lora(rank=2, targets=["query"]).apply(model, Budget(1, 1, 1))
    for weight in model.network.weights:
        if "lora" in weight.path:
            weight.assign(np.ones(weight.shape))
    merge_lora(model.network)
    after = encoder_tensors(model.network, config)
    assert before.keys() == after.keys()
    gaps = {name: np.abs(after[name] - before[name]).max() for name in before}
    changed = {name for name, gap in gaps.items() if gap > 0}
    stem = "distilbert.transformer.layer"
    assert changed == {f"{stem}.{i}.attention.q_lin.weight" for i in range(2)}
    assert gaps[f"{stem}.0.attention.q_lin.weight"] == pytest.approx(16.0, rel=1e-5)


def test_the_head_of_distilbert_has_the_relu_of_transformers_class(tmp_path):
    model, _ = built(tmp_path, "distilbert")
    assert model.network.get_layer("pre_classifier").activation.__name__ == "relu"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_config_that_is_written_describes_the_same_encoder(tmp_path, architecture):
    odd = {"num_hidden_layers": 4, "hidden_act": "relu", "layer_norm_eps": 1e-3}
    if architecture == "albert":
        odd |= {"num_hidden_groups": 2, "inner_group_num": 2}
    if architecture == "distilbert":
        odd = {"n_layers": 4, "activation": "gelu_new", "attention_dropout": 0.3}
    write_tiny_checkpoint(tmp_path, architecture, **odd)
    config = read_architecture(resolve(str(tmp_path), weights=False).config, "here")
    assert read_architecture(config.to_config(0), "here") == config


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        (Task.single_label, "single_label_classification"),
        (Task.multi_label, "multi_label_classification"),
        (Task.regression, "regression"),
        (Task.token_classification, None),
    ],
)
def test_labels_class_and_problem_are_in_the_config(tmp_path, task, problem):
    write_tiny_checkpoint(tmp_path, "distilbert")
    config = read_architecture(resolve(str(tmp_path), weights=False).config, "here")
    table = config_json(config, SPECS[task], 0, 0.25)
    kind = "Token" if task is Task.token_classification else "Sequence"
    assert table["architectures"] == [f"DistilBertFor{kind}Classification"]
    assert table.get("problem_type") == problem
    names = SPECS[task].class_names or ("value",)
    assert [table["id2label"][str(table["label2id"][name])] for name in names] == list(names)
    assert table["seq_classif_dropout"] == 0.25


# --- tokenizers, texts ---------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", [Task.single_label, Task.token_classification])
def test_transformers_makes_the_runs_tokens_with_the_tokenizer_that_is_written(
    tmp_path, architecture, task
):
    import transformers

    spec = dataclasses.replace(SPECS[task], max_length=12)
    model, _ = built(tmp_path / "from", architecture, task)
    (tmp_path / "to").mkdir()
    write_tokenizer(model, spec, tmp_path / "to")
    text = "the film , it's not good : a poor plot and a bad cast of that movie"
    overrides = text.split()
    rows = [overrides, overrides[:3]] if task is Task.token_classification else [text, "the film"]
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "to")(
        rows, truncation=True, is_split_into_words=task is Task.token_classification
    )
    ours = model.tokenizer.encode(rows, None, 12)
    assert [list(map(int, ids)) for ids in ours.token_ids] == theirs["input_ids"]
    assert max(map(len, theirs["input_ids"])) == 12
    assert ("token_type_ids" in theirs) == ("segment_ids" in model.network.input)


def test_texts_of_a_file_are_rows_and_a_tab_makes_pairs(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("a good film\nbad\n")
    assert read_texts(path, SPECS[Task.single_label]).texts == ["a good film", "bad"]
    assert read_texts(path, SPECS[Task.token_classification]).texts == [
        ["a", "good", "film"],
        ["bad"],
    ]
    pairs = dataclasses.replace(SPECS[Task.regression], has_pairs=True)
    with pytest.raises(ConfigError, match="line 1 has 0 tabs"):
        read_texts(path, pairs)
    path.write_text("one\ttwo\n")
    assert read_texts(path, pairs).pairs == ["two"]
    with pytest.raises(ConfigError, match="the texts cannot be read: No such file"):
        read_texts(tmp_path / "none.txt", pairs)


def test_served_names_are_the_tokenizers_and_answers_have_names(tmp_path):
    for task, names in {
        Task.multi_label: {"logits", "probabilities"},
        Task.regression: {"values"},
    }.items():
        model, _ = built(tmp_path / task.name, "distilbert", task)
        serve, signature = serving_function(model.network, SPECS[task], "int64")
        assert set(signature) == {"input_ids", "attention_mask"}
        ones = np.ones((1, 4), "int64")
        found = serve({"input_ids": ones, "attention_mask": ones})
        assert set(found) == names
    # several labels: each probability is of its own
    assert not np.allclose(np.sum(found["values"]), 1)


# --- a real run, exported ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with two finished runs, trained elsewhere."""
    home = tmp_path_factory.mktemp("home")
    there = tmp_path_factory.mktemp("there")
    write_rows(there)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFERLAB_CACHE", str(there / "cache"))
        folder = write_tiny_checkpoint(there / "tiny", "distilbert", layers=1)
        write_sentence_files(folder, normalize=True)
        model = ["model=encoder", f"model.checkpoint={folder}", "train.epochs=1"]
        train(there, "plain", *model, "model.pooling=first")
        train(there, "pairs", "model=bag_of_embeddings", "model.width=8", "train.epochs=1")
    for kind in ("plain", "pairs"):
        shutil.move(there / f"run-{kind}", home / kind)
    shutil.rmtree(there)
    return home


@pytest.fixture(scope="module")
def run(home):
    return xferlab.load(home / "plain")


@pytest.mark.parametrize(
    "name",
    [n for n, each in FORMATS.items() if not each.is_rounded and n != "sentence_transformers"],
)
def test_an_export_says_what_the_run_says(home, name, tmp_path, capsys):
    for module in FORMATS[name].modules:
        pytest.importorskip(module)
    folder = tmp_path / "out"
    assert main(["export", str(home / "plain"), "--to", name, "--output", str(folder)]) == 0
    printed = capsys.readouterr().out.splitlines()[-3:]
    number, more = (
        ("1,304", " and texts of random characters") if FORMATS[name].reads_texts else ("1,000", "")
    )
    assert printed[0] == f"compared   {number} generated texts of 32 tokens or less{more}"
    assert printed[2] == f"saved to   {folder}"
    record = json.loads((folder / "export.json").read_text())
    assert record["compared"]["largest_difference"] <= record["compared"]["tolerance"] == 1e-4
    assert (record["format"], record["compared"]["texts"]) == (name, int(number.replace(",", "")))
    metrics = json.loads((home / "plain" / "metrics.json").read_text())
    assert record["weights_sha256"] == metrics["sha256"][f"{metrics['weights']}.safetensors"]
    assert load_tokenizer(folder).encode(["a good film"], None, 32)
    assert "https" not in (card := (folder / "README.md").read_text())
    assert "`pos`" in card
    assert str(home) not in card
    assert os.listdir(tmp_path) == ["out"]


def test_an_export_of_any_network_to_a_format_that_is_a_graph(home, tmp_path, capsys):
    overrides = ["export", str(home / "pairs"), "--output", str(tmp_path / "out"), "--to"]
    assert main([*overrides, "transformers"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        " error: transformers has no class for model=bag_of_embeddings",
        f" where: {home / 'pairs'}: model",
        "   fix: --to keras|litert|onnx|saved_model, or train model=encoder",
    ]
    assert main([*overrides, "keras"]) == 0
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_sentence_encoder_is_exported_with_its_modules_prompt_and_head(runs, tmp_path, capsys):
    plain = xferlab.load(runs["plain"])
    with pytest.raises(ConfigError, match="has no head on the mean of all tokens, normalised"):
        exporting.export_run(plain, "transformers", tmp_path / "out")
    words = ["export", str(runs["plain"]), "--to", "sentence_transformers"]
    folder = tmp_path / "out"
    assert main([*words, "--output", str(folder)]) == 0
    assert "difference" in capsys.readouterr().out
    assert json.loads((folder / "export.json").read_text())["prompts"]["text"] == "it is "
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    assert settings["prompts"][settings["default_prompt_name"]] == "it is "
    assert json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"] == 32
    read = choose_reading(resolve(str(folder)), plain.spec, "auto")
    assert read == saved_reading(runs["plain"] / "model")
    card = (folder / "README.md").read_text()
    assert "library_name: sentence-transformers" in card
    assert "it is " not in card  # the library adds it
    exporting.export_run(plain, "keras", tmp_path / "keras")
    assert '["it is a text"]' in (card := (tmp_path / "keras" / "README.md").read_text())
    assert "It was trained with `it is ` before each text; no tokenizer adds it." in card


def test_a_class_head_keeps_the_modules_of_its_checkpoint(run, tmp_path):
    exporting.export_run(run, "transformers", tmp_path / "out")
    table = json.loads((tmp_path / "out" / "config.json").read_text())
    assert table["architectures"] == ["DistilBertForSequenceClassification"]
    assert read_sentence_vector(tmp_path / "out", "here") == TextVector("mean", True)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("values", "reads no vector that sentence"), ("pairs", "this run reads pairs")],
)
def test_other_runs_are_no_sentence_encoders(runs, tmp_path, kind, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        exporting.export_run(xferlab.load(runs[kind]), "sentence_transformers", tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 3


def test_a_wrong_export_is_told_and_nothing_of_it_is_kept(run, tmp_path, monkeypatch):
    chosen = FORMATS["keras"]
    read = chosen.read

    def wrong(folder, spec):
        predict = read(folder, spec)
        return lambda inputs: predict(inputs) + np.float32(2e-4)

    monkeypatch.setattr(chosen, "read", wrong)
    with pytest.raises(RunError, match=r"by 0\.0002 on generated texts.*more than 0\.0001"):
        exporting.export_run(run, "keras", tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_an_answer_that_is_no_number_is_a_difference(run, tmp_path):
    write_tokenizer(run.model, run.spec, tmp_path)
    rows = Split(["a good film"], None)
    with pytest.raises(RunError, match="by inf on one text"):
        compare(run, lambda inputs: np.full((1, 2), np.nan), tmp_path, rows, "one text")


def test_another_tokenizer_is_a_difference(run, tmp_path):
    write_tokenizer(run.model, run.spec, tmp_path)
    text = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text.replace('"film"', '"flim"'))
    with pytest.raises(RunError, match="its tokenizer makes other tokens of text 2"):
        compare(run, lambda inputs: None, tmp_path, Split(["bad", "a film"], None), "two texts")


def test_generated_texts_are_the_same_each_time_and_of_every_length(run):
    first, again = (generated_texts(run, 50).texts for _ in range(2))
    assert first == again
    lengths = [len(ids) for ids in run.model.tokenizer.encode(first, None, 32).token_ids]
    assert min(lengths) <= 4
    assert max(lengths) == 32


def test_a_package_that_is_missing_is_named_with_how_to_get_it(run, tmp_path, monkeypatch):
    monkeypatch.setattr(FORMATS["onnx"], "modules", ("no_such_module",))
    with pytest.raises(ConfigError) as caught:
        exporting.export_run(run, "onnx", tmp_path / "out")
    assert str(caught.value).splitlines() == [
        " error: --to onnx needs no_such_module, which is not installed",
        " where: --to onnx",
        "   fix: pip install 'xferlab[onnx]'",
    ]


# --- folders -------------------------------------------------------------------------------------


def test_only_an_earlier_export_is_replaced_and_only_with_force(tmp_path):
    earlier = tmp_path / "earlier"
    foreign = tmp_path / "foreign"
    for folder, name in ((earlier, "export.json"), (foreign, "notes.txt")):
        folder.mkdir()
        (folder / name).write_text("{}")
    refuse_taken(tmp_path / "new", force=False)
    refuse_taken(earlier, force=True)
    with pytest.raises(ConfigError, match="there is an export in this folder already"):
        refuse_taken(earlier, force=False)
    for force in (False, True):
        with pytest.raises(ConfigError, match="no empty folder and no earlier export"):
            refuse_taken(foreign, force=force)
    (tmp_path / "link").symlink_to(earlier)
    with pytest.raises(ConfigError, match="no empty folder and no earlier export"):
        refuse_taken(tmp_path / "link", force=True)


def test_what_was_there_stays_until_the_new_folder_is_whole(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").write_text("old")

    def half():
        with atomic_folder(folder) as new:
            (new / "half").write_text("new")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        half()
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(folder) == ["old"]
    with atomic_folder(folder) as new:
        (new / "whole").write_text("new")
        (new / "whole").chmod(0o600)
    assert os.listdir(folder) == ["whole"]
    (tmp_path / "plain").write_text("")
    assert (folder / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_every_format_says_what_it_is():
    assert all(isinstance(kind, Format) and kind.summary for kind in FORMATS.values())


def test_the_card_of_a_transformers_folder_has_the_scores_that_the_hub_reads(run):
    from huggingface_hub import ModelCard

    data = ModelCard(model_card(run)).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-classification")
    assert data.base_model is None  # a folder of this machine
    scores = {(r.dataset_split, r.metric_type): r.metric_value for r in data.eval_results}
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert scores["test", "accuracy"] == metrics["test"]["accuracy"]
    assert {r.dataset_name for r in data.eval_results} == {"plain-train.jsonl"}


def test_the_licence_of_a_model_card_is_that_of_the_preset():
    from xferlab.export.model_card import _licence

    assert _licence("jhu-clsp/mmBERT-base") == "mit"
    assert _licence("bundled:bert") == "apache-2.0"
    assert _licence("jhu-clsp/another") is None
