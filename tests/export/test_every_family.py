"""Exports of every family and task: what transformers reads, and what it computes in PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plugins.transfer.lora import Lora
from tests.support.family_checkpoints import FIXTURES, NAMES, SAME_GRAPH, write_family_checkpoint
from tests.support.untrained_run import unbuilt_run, untrained_run
from xferlab import Task, TaskSpec, TextModel
from xferlab.contracts import OutputKind, Split
from xferlab.data.batching import Batch, batch_inputs
from xferlab.data.tokenizer import load_tokenizer
from xferlab.errors import ConfigError, RunError
from xferlab.export.export_run import export_run
from xferlab.export.formats import FORMATS
from xferlab.export.formats.transformers import config_json
from xferlab.export.parity import compare
from xferlab.export.serving_function import TOKENIZER_NAMES
from xferlab.export.tokenizer import write_tokenizer
from xferlab.inference.predictions import probabilities_of
from xferlab.models.architectures import read_architecture
from xferlab.models.saved_encoder import SHAPE, tokenizer_files

EVERY = sorted([*NAMES, *SAME_GRAPH])
OTHER_SIZES = ("deberta-v3", "modernbert-mean")
"""Fixtures of a family that has another one."""
OLDER_KEYS = (
    "rope_theta",
    "rope_scaling",
    "rope_local_base_freq",
    "global_rope_theta",
    "local_rope_theta",
    "global_attn_every_n_layers",
)
"""Of transformers 4; version 5 reads ``rope_parameters`` and ``layer_types``."""
CLASSES = ("O", "B-x", "I-x")
SPECS = {
    "single_label": TaskSpec(Task.single_label, CLASSES, 10, 24),
    "pairs_lora": TaskSpec(Task.single_label, CLASSES, 10, 24, has_pairs=True),
    "multi_label": TaskSpec(Task.multi_label, CLASSES, 10, 24),
    "one_label": TaskSpec(Task.multi_label, ("a",), 10, 24),
    "regression": TaskSpec(Task.regression, (), 10, 24, output_kind=OutputKind.values),
    "token_classification": TaskSpec(Task.token_classification, CLASSES, 10, 24),
}


def fixture_config(name: str) -> dict[str, Any]:
    """Return the ``config.json`` of a family's fixture."""
    config = json.loads((FIXTURES / SAME_GRAPH.get(name, name) / "config.json").read_text())
    return config | ({"model_type": name} if name in SAME_GRAPH else {})


TEXTS = ["a good film!", "it", "the plot of this movie was not bad and the cast is fine " * 4, "x?"]
CHOICES = {"eurobert": ["first", "mean"], "modernbert": ["mean"], "modernbert-mean": ["first"]}
"""Poolings that a class has beside that of the checkpoint."""
WITHOUT_CLASS = [("gemma3", "token_classification"), ("neobert", "token_classification")]
OWN_CODE = "neobert"
"""The family whose class is code of its authors, not of transformers."""
PEER = os.environ.get("XFERLAB_PEER")


@pytest.mark.parametrize("name", [name for name in EVERY if name not in (*OTHER_SIZES, OWN_CODE)])
def test_transformers_reads_the_config_that_is_written(name):
    from transformers import AutoConfig

    architecture = read_architecture(fixture_config(name), name)
    for spec in SPECS.values():
        table = config_json(architecture, spec, 1, 0.25)
        found = AutoConfig.for_model(**table)
        names = dict(enumerate(spec.class_names or ["value"]))
        assert (found.id2label, found.num_labels) == (names, spec.num_outputs)
        assert found.problem_type == spec.task.problem_type
        assert found.architectures == [f"{architecture.class_prefix}For{spec.task.head_class}"]
        for key in table.keys() - {"id2label", *OLDER_KEYS}:
            assert getattr(found, key) == table[key], key


def test_a_class_that_is_code_of_the_authors_is_named_with_its_repository():
    table = config_json(
        read_architecture(fixture_config(OWN_CODE), OWN_CODE), SPECS["single_label"], 0, 0.25
    )
    name = table["architectures"][0]
    assert table["auto_map"][f"AutoModelFor{name.partition('For')[2]}"] == (
        f"chandar-lab/NeoBERT--model.{name}"
    )
    assert table["classifier_dropout"] == 0.25


@pytest.mark.parametrize("name", ["gemma3", "llama", "modernbert", "qwen3"])
def test_the_keys_of_transformers_4_say_the_same(name):
    table = read_architecture(fixture_config(name), name).to_config(1)
    older = {key: value for key, value in table.items() if key != "rope_parameters"}
    if name == "modernbert":
        del older["layer_types"]
    assert read_architecture(older, name) == read_architecture(table, name)


def examples(spec: TaskSpec) -> tuple[list[Any], list[str] | None]:
    """Return texts of different lengths as the task has them, and their pairs."""
    if spec.task.is_per_word:
        return [text.split() for text in TEXTS], None
    return TEXTS, TEXTS[::-1] if spec.has_pairs else None


def export_with_answers(run: Any, folder: Path) -> str:
    """Export a run, write a batch and what the run computes of it beside, and return where."""
    spec = run.spec
    texts, pairs = examples(spec)
    lines = TEXTS if pairs is None else map("\t".join, zip(texts, pairs, strict=True))
    (file := run.folder / "texts.txt").write_text("\n".join(lines))
    export_run(run, "transformers", folder, texts=file)
    encoding = run.model.tokenizer.encode(texts, pairs, spec.max_length)
    batch = Batch(np.arange(len(texts)), max(map(len, encoding.token_ids)))
    inputs = batch_inputs(encoding, batch, run.model.tokenizer.pad_id)
    inputs = {name: inputs[name] for name in run.model.network.input}
    logits = np.asarray(run.model.network(inputs, training=False))
    arrays = {TOKENIZER_NAMES[name]: array for name, array in inputs.items()}
    np.savez(
        folder / "expected.npz",
        logits=logits,
        probabilities=probabilities_of(spec, logits),
        **arrays,
    )
    rows = texts
    if pairs is not None:
        rows = [{"text": a, "text_pair": b} for a, b in zip(texts, pairs, strict=True)]
    table = {"texts": rows, "class_names": spec.class_names or ["value"]}
    (folder / "expected.json").write_text(json.dumps(table))
    return str(folder)


def test_a_text_ends_where_pytorch_finds_its_end(tmp_path):
    """A text that ends with padding's token is another one there: a difference, not a surprise."""
    checkpoint = write_family_checkpoint(tmp_path / "llama", "llama")
    run = untrained_run(tmp_path / "run", checkpoint, SPECS["single_label"])
    texts = Split(["the good film <|end_of_text|>", "a movie"], None)
    plain = Split(["the good film", "a movie"], None)
    chosen = FORMATS["transformers"]
    chosen.refuse(run)
    (folder := tmp_path / "out").mkdir()
    chosen.write(run, folder)
    write_tokenizer(run.model, run.spec, folder)
    predict = chosen.read(folder, run.spec)
    assert compare(run, predict, folder, plain, "texts").largest < 1e-5
    with pytest.raises(RunError, match="differs from the run: by") as error:
        compare(run, predict, folder, texts, "texts")
    assert error.value.where == str(run.folder)


@pytest.mark.parametrize("name", ["bert", "gemma3"])
def test_padding_is_at_the_end_as_in_the_run(name, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = load_tokenizer(write_family_checkpoint(tmp_path / name, name))
    network = SimpleNamespace(input={"token_ids": None, "padding_mask": None})
    model = TextModel(network, tokenizer, {}, OutputKind.logits)
    (folder := tmp_path / "out").mkdir()
    write_tokenizer(model, SPECS["single_label"], folder)
    written = AutoTokenizer.from_pretrained(folder)(TEXTS[:2], padding=True)
    assert list(written) == ["input_ids", "attention_mask"]
    for mask, ids in zip(written["attention_mask"], written["input_ids"], strict=True):
        assert mask == sorted(mask, reverse=True)
        assert set(ids[sum(mask) :]) <= {tokenizer.pad_id}


def refusal(folder: Path, spec: TaskSpec, pooling: str = "auto") -> list[str]:
    """Return the lines of the error for a run whose model is a checkpoint in the folder."""
    files = {**tokenizer_files(folder), SHAPE: b'{"pooler": false}'}
    run = unbuilt_run(folder / f"run-{pooling}", spec, files, pooling)
    with pytest.raises(ConfigError) as caught:
        FORMATS["transformers"].refuse(run)
    return str(caught.value).splitlines()


def test_a_decoder_without_a_token_for_padding_is_refused(tmp_path):
    import transformers

    folder = write_family_checkpoint(tmp_path / "llama", "llama")
    engine = transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer
    transformers.PreTrainedTokenizerFast(tokenizer_object=engine).save_pretrained(folder)
    assert refusal(folder, SPECS["single_label"]) == [
        " error: transformers' class for llama finds a text's end by its padding, and this"
        " tokenizer has no special token for it",
        f" where: {folder / 'run-auto'}: model",
        "   fix: --to keras|litert|onnx|saved_model, or train with a tokenizer that has a"
        " pad_token",
    ]


def test_a_task_without_a_class_is_refused(tmp_path):
    folder = write_family_checkpoint(tmp_path / "gemma3", "gemma3")
    assert refusal(folder, SPECS["token_classification"]) == [
        " error: transformers has no class Gemma3TextForTokenClassification",
        f" where: {folder / 'run-auto'}: model",
        "   fix: --to keras|litert|onnx|saved_model, or train a model of another family",
    ]


@pytest.mark.parametrize("name", [name for name in EVERY if name not in OTHER_SIZES])
def test_a_pooling_that_the_class_lacks_is_refused(name, tmp_path):
    folder = write_family_checkpoint(tmp_path / name, name)
    of_class = {"gemma3": {"last"}, "llama": {"last"}, "qwen3": {"last"}} | {
        "eurobert": {"first", "mean"},
        "modernbert": {"first", "mean"},
    }
    for pooling in {"first", "mean", "last"} - of_class.get(name, {"first"}):
        lines = refusal(folder, SPECS["single_label"], pooling)
        assert len(lines) == 3
        assert "has no head on" in lines[0]
        assert "onnx|saved_model|sentence_transformers, or train with" in lines[2]
    files = {**tokenizer_files(folder), SHAPE: b'{"pooler": false}'}
    for pooling in ("auto", *of_class.get(name, {"first"})):
        run = unbuilt_run(tmp_path / pooling, SPECS["single_label"], files, pooling)
        FORMATS["transformers"].refuse(run)


def export_all(folder: Path, name: str) -> list[str]:
    """Export runs of every task, and of every pooling of its class, below a family's folder."""
    checkpoint = write_family_checkpoint(folder / "checkpoints" / name, name)
    kinds = {
        kind: (spec, "auto") for kind, spec in SPECS.items() if (name, kind) not in WITHOUT_CLASS
    }
    kinds |= {pooling: (SPECS["single_label"], pooling) for pooling in CHOICES.get(name, ())}
    folders = []
    for kind, (spec, pooling) in kinds.items():
        lora = Lora() if kind == "pairs_lora" else None
        run = untrained_run(folder / "runs" / f"{name}-{kind}", checkpoint, spec, lora, pooling)
        folders.append(export_with_answers(run, folder / f"{name}-{kind}"))
    return folders


@pytest.mark.skipif(PEER is None, reason="no Python with PyTorch is named")
def test_pytorch_computes_the_same_and_so_does_its_pipeline(tmp_path):
    folders = [folder for name in EVERY for folder in export_all(tmp_path, name)]
    script = Path(__file__).parents[2] / "tools" / "families" / "open_exports.py"
    done = subprocess.run([PEER, str(script), *folders], capture_output=True, text=True)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == len(folders)
