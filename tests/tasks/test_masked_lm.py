"""Masked language modelling: the loss is PyTorch's, the masks are a function of seed and step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.models.test_families import fixture_checkpoint
from tests.support.finished_runs import train, write_rows
from tests.support.tiny_checkpoints import write_tiny_checkpoint, write_tokenizer
from tests.support.tiny_experiments import (
    Killed,
    MemoryCheckpointer,
    experiment_of,
    values_of,
    write_examples,
)
from xferlab import Task, TaskSpec, load
from xferlab.cli.main import main
from xferlab.export.masked_lm_files import masked_lm_tensors
from xferlab.inference.warm_start import source_run, start_from
from xferlab.models.encoder import load_encoder
from xferlab.models.head import assign_pretrained_head, network_of_task
from xferlab.models.masked_lm import LAYER, input_change
from xferlab.models.text_vector import TextVector
from xferlab.models.to_transformers import encoder_tensors
from xferlab.training.loop import fit

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "masked_lm"
SPEC = TaskSpec(Task.masked_lm, (), 10, 16)
CLASS = TextVector("first", is_of_class=True)
MASKS = SimpleNamespace(mask_id=4, special_ids=[0, 2, 3, 4], vocabulary_size=40)


@pytest.fixture(autouse=True)
def full_precision():
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another


@pytest.mark.parametrize(
    "family", ["albert", "bert", "distilbert", "electra", "modernbert", "mpnet", "roberta"]
)
def test_the_loss_of_a_masked_batch_is_that_of_pytorch(family):
    import keras

    checkpoint = fixture_checkpoint(FIXTURES / family)
    encoder = load_encoder(checkpoint, pooler=False, prepare=input_change(SPEC, MASKS))
    network, blocks, _ = network_of_task(encoder, SPEC, CLASS, 0.1)
    assert blocks["head"] == ("head",)
    assert assign_pretrained_head(network, encoder.architecture, checkpoint, SPEC.task) == ("head",)
    masked, targets = network.get_layer(LAYER).output
    others = {n: each for n, each in network.input.items() if n != "token_ids"}
    above = keras.Model([masked, targets, others], network.output)
    with np.load(FIXTURES / family / "expected.npz") as file:
        expected = dict(file)
    given = {"padding_mask": expected["padding_mask"], "segment_ids": 0 * expected["padding_mask"]}
    arrays = [expected["token_ids"], expected["targets"], {n: given[n] for n in others}]
    outputs = np.asarray(above(arrays, training=False), "float64")
    loss = Task.masked_lm.loss(SPEC)(np.zeros(3), outputs)
    assert float(loss) == pytest.approx(float(expected["loss"]), abs=1e-5)
    np.testing.assert_array_equal(outputs[:, 1], (expected["targets"] >= 0).sum(1))
    assert outputs[:, 2].sum() == expected["right"]


@pytest.mark.parametrize("family", ["albert", "bert", "distilbert", "electra", "modernbert"])
def test_an_export_has_the_tensors_that_pytorch_wrote(family):
    checkpoint = fixture_checkpoint(FIXTURES / family)
    encoder = load_encoder(checkpoint, pooler=False, prepare=input_change(SPEC, MASKS))
    network, _, _ = network_of_task(encoder, SPEC, CLASS, 0.1)
    assign_pretrained_head(network, encoder.architecture, checkpoint, SPEC.task)
    found = encoder_tensors(network, encoder.architecture)
    found |= masked_lm_tensors(network, encoder.architecture)
    wanted = load_file(FIXTURES / family / "model.safetensors")
    assert set(found) <= set(wanted)
    tied = {name for name in set(wanted) - set(found) if "decoder" in name or "lm_head" in name}
    assert set(wanted) - set(found) == tied
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name])


def masking(fraction: float = 0.15):
    from xferlab.models.layers import MaskTokens

    return MaskTokens(fraction, MASKS.mask_id, MASKS.special_ids, MASKS.vocabulary_size)


@pytest.mark.parametrize("training", [True, False])
def test_masks_are_those_of_the_paper(training):
    ids = np.random.default_rng(0).integers(0, 40, (400, 50)).astype("int32")
    mask = np.ones_like(ids)
    mask[:, 40:] = 0
    masked, targets = map(np.asarray, masking()(ids, mask, training=training))
    is_text = (mask == 1) & ~np.isin(ids, MASKS.special_ids)
    chosen = targets >= 0
    assert not chosen[~is_text].any()
    np.testing.assert_array_equal(targets[chosen], ids[chosen])
    np.testing.assert_array_equal(masked[~chosen], ids[~chosen])
    assert chosen[is_text].mean() == pytest.approx(0.15, abs=0.01)
    is_mask = masked[chosen] == MASKS.mask_id
    is_same = masked[chosen] == ids[chosen]
    assert is_mask.mean() == pytest.approx(0.8 + 0.1 / 40, abs=0.02)
    assert is_same.mean() == pytest.approx(0.1 + 0.1 / 40, abs=0.02)
    replaced = masked[chosen][~is_mask & ~is_same]
    assert len(np.unique(replaced)) > 30
    by_place = chosen[:, :40].mean(0)
    assert by_place.max() < 2.2 * by_place.mean()


def test_masks_of_a_score_depend_on_the_text_alone_and_those_of_training_on_the_step():
    layer = masking(0.3)
    ids = np.random.default_rng(1).integers(5, 40, (6, 9)).astype("int32")
    ones = np.ones_like(ids)
    before = [np.asarray(each) for each in layer(ids, ones)]
    padded = np.pad(ids[2:4], ((0, 0), (0, 5)), constant_values=1)
    mask = np.pad(ones[2:4], ((0, 0), (0, 5)))
    for one, other in zip(before, layer(padded, mask), strict=True):
        np.testing.assert_array_equal(one[2:4], np.asarray(other)[:, :9])
    assert len({row.tobytes() for row in before[1] >= 0}) > 1
    first, second = (np.asarray(layer(ids, ones, training=True)[1]) for _ in range(2))
    assert (first != second).any()


# --- runs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Return a folder with rows, a checkpoint and a run on texts without labels."""
    folder = tmp_path_factory.mktemp("masked")
    rows = write_rows(folder)["plain"]
    for name in ("texts", "texts-train"):
        table = [{"text": f"{row['text']} {name}"} for row in rows[:32]]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, table)) + "\n")
    write_tiny_checkpoint(folder / "bert", layers=1, pooler=False)
    model = ["model=encoder", f"model.checkpoint={folder / 'bert'}", "train.epochs=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        masks = ["data.task=masked_lm", "head=masked_lm", "head.fraction=0.3"]
        train(folder, "texts", *model, *masks)
    return folder


def test_a_run_on_texts_alone_is_scored_and_predicts(there, capsys, monkeypatch):
    monkeypatch.chdir(there)
    run = there / "run-texts"
    scores = json.loads((run / "metrics.json").read_text())
    test = scores["test"]
    assert test["perplexity"] == pytest.approx(np.exp(test["loss"]), rel=1e-5)
    assert 0 <= test["masked_accuracy"] <= 1
    assert scores["best"]["monitor"] == "val_perplexity"
    assert main(["evaluate", str(run), "--samples=20"]) == 0
    assert main(["predict", str(run), "the good film was not bad at all"]) == 0
    assert "masked" in capsys.readouterr().out
    assert main(["export", str(run), "--to", "keras", "--output", str(there / "no")]) == 2
    message = capsys.readouterr().err
    assert "a run of masked_lm is not exported to keras" in message
    assert "   fix: --to transformers" in message


def test_an_export_is_a_checkpoint_with_the_same_scores(there, capsys, monkeypatch):
    monkeypatch.chdir(there)
    out = there / "exported"
    assert main(["export", "run-texts", "--to", "transformers", "--output", str(out)]) == 0
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]
    assert config["mlm_probability"] == 0.3
    assert "id2label" not in config
    assert json.loads((out / "export.json").read_text())["compared"]["largest_difference"] < 1e-4
    card = (out / "README.md").read_text()
    assert "pipeline_tag: fill-mask" in card
    assert 'pipeline("fill-mask", model=' in card
    assert main(["check", *TEXTS, "model=encoder", f"model.checkpoint={out}"]) == 0


def test_the_encoder_goes_on_to_a_task_with_labels(there):
    run = source_run(str(there / "run-texts"))
    spec = TaskSpec(Task.single_label, ("a", "b"), 10, 24)
    model = start_from(run, spec, keep_head=False)
    assert list(model.blocks) == ["embeddings", "layer_0", "head"]
    for name in (*model.blocks["embeddings"], *model.blocks["layer_0"]):
        pairs = zip(
            model.network.get_layer(name).weights,
            run.model.network.get_layer(name).weights,
            strict=True,
        )
        for new, old in pairs:
            np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
    texts = ["the good film", "it was bad"]
    tokens = run.model.tokenizer.encode(texts, None, 24)
    assert [list(t) for t in model.tokenizer.encode(texts, None, 24).token_ids] == [
        list(t) for t in tokens.token_ids
    ]
    assert load(there / "run-texts").predict(texts)[0]["text"] == texts[0]


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_has_the_same_bits(there, tmp_path):
    write_examples(tmp_path)
    model = ("model=encoder", f"model.checkpoint={there / 'bert'}")
    overrides = ("data.task=masked_lm", "train.gradient_accumulation_steps=2")
    whole = experiment_of(tmp_path, *overrides, model=model)
    fit(whole, [])
    first = experiment_of(tmp_path, *overrides, model=model)
    killed = MemoryCheckpointer(6)
    with pytest.raises(Killed):
        fit(first, [], killed)
    resumed = experiment_of(tmp_path, *overrides, model=model)
    fit(resumed, [], killed.resumed())
    for one, other in zip(values_of(whole), values_of(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    weights = whole.model.network.get_layer("head").weights
    assert all(np.isfinite(np.asarray(weight)).all() for weight in weights)


TEXTS = ["data=files", "data.train=texts.jsonl", "data.task=masked_lm"]


@pytest.mark.parametrize(
    ("overrides", "what", "fix"),
    [
        (
            ["model=bag_of_embeddings"],
            "model=bag_of_embeddings predicts no masked tokens",
            "encoder",
        ),
        (["model=encoder", "model.checkpoint=./qwen3"], "model of qwen3 is not computed", "bert"),
        (["head=mean"], "head=mean is of labels, and data.task is masked_lm", "head=auto"),
        (["head=masked_lm", "head.fraction=1.5"], "fraction must be above 0 and below 1", ""),
        (["objective=r_drop"], "objective=r_drop trains on a label of each text", "supe"),
        (["loss=mean_squared_error"], "accepts float labels, but the data's are none", "loss=auto"),
        (["metric=[accuracy]"], "but the data's are none", "masked_accuracy"),
        (["data.pair=text2"], "text2", ""),
    ],
)
def test_what_does_not_fit_is_refused(there, monkeypatch, capsys, overrides, what, fix):
    monkeypatch.chdir(there)
    if "./qwen3" in overrides[-1] and not (there / "qwen3").exists():
        shutil.copytree(FIXTURES.parent / "families" / "qwen3", there / "qwen3")
        size = write_tokenizer(there / "qwen3", "bert")
        config = json.loads((there / "qwen3" / "config.json").read_text())
        (there / "qwen3" / "config.json").write_text(json.dumps(config | {"vocab_size": size}))
    assert main(["check", *TEXTS, *overrides]) == 2
    message = capsys.readouterr().err
    assert what in message
    assert fix in message.partition("fix:")[2]


def test_labels_are_not_masked(there, monkeypatch, capsys):
    monkeypatch.chdir(there)
    assert main(["check", "data=files", "data.train=plain.jsonl", "head=masked_lm"]) == 2
    assert "head=masked_lm is of masked tokens" in capsys.readouterr().err
