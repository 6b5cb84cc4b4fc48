"""Texts that are encoded apart: losses and scores by hand, networks, runs, and what is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from tests.support.finished_runs import train, write_rows
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from tests.support.tiny_experiments import Killed, MemoryCheckpointer, experiment_of, values_of
from xferlab import OutputKind, Split, Task, TaskSpec
from xferlab.cli.main import main
from xferlab.data.batching import Batch, batch_inputs, row_lengths
from xferlab.evaluation.bootstrap import score_with_intervals
from xferlab.evaluation.split_outputs import split_outputs
from xferlab.export.export_run import export_run
from xferlab.functional.similarity import (
    CHUNK,
    contrastive_pairs_loss,
    cosine_loss,
    in_batch_loss,
    ranks_of_pairs,
)
from xferlab.inference.load import load_run
from xferlab.registry import REGISTRY
from xferlab.training.loop import fit

SPEC = TaskSpec(Task.similarity, (), 10, 16, True, output_kind=OutputKind.embeddings)
TEXTS = ["the film was good", "a bad plot", "it"]
OTHERS = ["a movie", "the cast was not very good and this is it", "of"]


@pytest.fixture(autouse=True)
def full_precision():
    import keras

    keras.config.set_dtype_policy("float32")  # an earlier run of the process may have another


def pairs(rows: int = 7, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs, and the matrix of cosines."""
    random = np.random.default_rng(0)
    outputs = random.normal(size=(rows, 2 * width))
    halves = [half / np.linalg.norm(half, axis=1)[:, None] for half in np.split(outputs, 2, 1)]
    return outputs.astype("float32"), halves[0] @ halves[1].T


def test_losses_are_those_of_the_papers():
    outputs, matrix = pairs()
    cosine = np.diag(matrix)
    labels = np.array([0, 1, 1, 0, 1, 0, 1], "float32")
    found = cosine_loss(5.0)(5 * labels, outputs)
    assert float(found) == pytest.approx(((cosine - labels) ** 2).mean(), abs=1e-6)
    distance = 1 - cosine
    apart = np.maximum(0.5 - distance, 0)
    wanted = 0.5 * np.where(labels == 1, distance**2, apart**2).mean()
    assert float(contrastive_pairs_loss(0.5)(labels, outputs)) == pytest.approx(wanted, abs=1e-6)
    logits = 20 * matrix
    wanted = (np.log(np.exp(logits).sum(1)) - np.diag(logits)).mean()
    assert float(in_batch_loss(20.0)(labels, outputs)) == pytest.approx(wanted, abs=1e-5)
    many, _ = pairs(CHUNK + 3)
    parts = [float(in_batch_loss(20.0)(labels, part)) for part in (many[:CHUNK], many[CHUNK:])]
    wanted = (CHUNK * parts[0] + 3 * parts[1]) / (CHUNK + 3)
    assert float(in_batch_loss(20.0)(labels, many)) == pytest.approx(wanted, abs=1e-5)


def test_scores_are_those_of_every_pair():
    outputs, matrix = pairs(CHUNK + 40)
    ranks = 1 + (matrix > np.diag(matrix)[:, None]).sum(1)
    np.testing.assert_array_equal(ranks_of_pairs(outputs), ranks)
    again = outputs[:9] * 3  # equal texts do not count against each other, but against the others
    twice = ranks_of_pairs(np.concatenate([outputs, again]))
    closer = matrix > np.diag(matrix)[:, None]
    np.testing.assert_array_equal(twice[: len(ranks)], ranks + closer[:, :9].sum(1))
    np.testing.assert_array_equal(twice[len(ranks) :], twice[:9])
    zeros = np.zeros(len(outputs))
    retrieval = TaskSpec(Task.retrieval, (), 10, 16, True, output_kind=OutputKind.embeddings)
    mrr = REGISTRY.create("metric", {"name": "mrr", "k": 3}).build(retrieval)(zeros, outputs)
    assert mrr == pytest.approx(np.where(ranks <= 3, 1 / ranks, 0).mean())
    recall = REGISTRY.create("metric", {"name": "recall_at_k", "k": 5}).build(retrieval)
    assert recall(zeros, outputs) == pytest.approx((ranks <= 5).mean())
    labels = np.diag(matrix) ** 3  # of the same order
    spearman = REGISTRY.create("metric", {"name": "spearman"}).build(SPEC)
    assert spearman(labels, outputs) == pytest.approx(1.0)


def test_errors_are_distances_from_the_line_of_labels_by_cosines():
    outputs, matrix = pairs(40)
    labels = (5 * np.diag(matrix) + 1).astype("float32")
    labels[7] -= 3
    examples = Split(["a"] * 40, labels, ["b"] * 40)
    found = split_outputs(SPEC, examples, outputs, outputs)
    errors = SPEC.task.list_errors(found, 3)
    assert errors.rows[0][0] == 8
    assert errors.rows[0][-1] > 2
    assert abs(errors.rows[1][-1]) < 1
    residuals = SPEC.task.analyse(found)["residuals"]
    slope, start = np.polyfit(np.diag(matrix), labels, 1)
    np.testing.assert_allclose(residuals.values, start + slope * np.diag(matrix), atol=1e-5)


def test_vectors_that_tell_nothing_find_nothing():
    retrieval = TaskSpec(Task.retrieval, (), 10, 16, True, output_kind=OutputKind.embeddings)
    metrics = [REGISTRY.create("metric", {"name": name}) for name in ("mrr", "recall_at_k")]
    one = np.ones((40, 6), "float32")
    noise = np.random.default_rng(0).normal(size=one.shape, scale=1e-4)
    for outputs in (one, (one + noise).astype("float32"), np.zeros_like(one)):
        assert ranks_of_pairs(outputs).min() > 30
        assert [m.build(retrieval)(np.zeros(40), outputs) for m in metrics] == [0.0, 0.0]
    one[3] = np.nan
    assert np.isnan([m.build(retrieval)(np.zeros(40), one) for m in metrics]).all()


def test_intervals_of_ranks_hold_the_score_of_all():
    """A resample has fewer different texts: ranks among them alone would be too good."""
    rng = np.random.default_rng(0)
    second = rng.normal(size=(300, 8))
    outputs = np.concatenate([second + rng.normal(size=second.shape), second], 1).astype("float32")
    retrieval = TaskSpec(Task.retrieval, (), 10, 16, True, output_kind=OutputKind.embeddings)
    metrics = {
        name: REGISTRY.create("metric", {"name": name}).build(retrieval)
        for name in ("mrr", "recall_at_k")
    }
    labels = np.zeros(300, "float32")
    found = score_with_intervals(in_batch_loss(20.0), metrics, labels, outputs, samples=300)
    ranks = ranks_of_pairs(outputs)
    hits = (ranks <= 10).astype(float)
    assert found["recall_at_k"].value == pytest.approx(hits.mean())
    for name, score in found.items():
        assert score.low < score.value < score.high, name
    half = (found["recall_at_k"].high - found["recall_at_k"].low) / 2
    assert half == pytest.approx(1.96 * hits.std() / np.sqrt(300), rel=0.15)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_both_texts_are_encoded_as_if_each_were_alone(tmp_path, family):
    import keras

    folder = write_tiny_checkpoint(tmp_path, family, layers=1)
    model = REGISTRY.create("model", {"name": "encoder", "checkpoint": str(folder)}).build(SPEC)
    assert model.blocks["head"] == ()
    encoding = model.tokenizer.encode(TEXTS, OTHERS, 16)
    batch = Batch(np.arange(3), int(row_lengths(encoding).max()))
    arrays = batch_inputs(encoding, batch, model.tokenizer.pad_id)
    found = np.asarray(model.network({n: arrays[n] for n in model.network.input}, training=False))
    one = TaskSpec(Task.single_label, ("a", "b"), 10, 16)
    mean = REGISTRY.create("head", {"name": "mean"})
    plugin = REGISTRY.create("model", {"name": "encoder", "checkpoint": str(folder)})
    alone = plugin.build(one, mean)
    vectors = keras.Model(alone.network.input, alone.network.get_layer("head").input)
    for column, texts in enumerate((TEXTS, OTHERS)):
        for row, text in enumerate(texts):
            ids = alone.tokenizer.encode([text], None, 16).token_ids[0][None]
            given = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1}
            wanted = np.asarray(vectors({n: given[n] for n in vectors.input}, training=False))[0]
            half = found[row, 16 * column : 16 * (column + 1)]
            np.testing.assert_allclose(half, wanted, atol=1e-5)


# --- runs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Return a folder with pairs, a checkpoint, and a run on pairs without labels."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = write_rows(folder)["pairs"]
    for name in ("found", "found-train"):
        table = [{"text": f"{row['text']} {name}", "other": row["other"]} for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, table)) + "\n")
    write_tiny_checkpoint(folder / "bert", layers=1)
    for name in ("train", "validation"):
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "other", "label"])
            writer.writerows((f"{r['text']} {name}", r["other"], i % 6) for i, r in enumerate(rows))
    model = ["model=encoder", f"model.checkpoint={folder / 'bert'}", "train.epochs=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        task = ["data.task=retrieval", "data.pair=other", "model.prompt='it is '"]
        train(folder, "found", *model, *task)
    return folder


def test_a_run_on_pairs_alone_is_scored_exported_and_predicts(there, capsys, monkeypatch):
    monkeypatch.chdir(there)
    scores = json.loads((there / "run-found" / "metrics.json").read_text())
    assert scores["best"]["monitor"] == "val_mrr"
    assert 0 < scores["test"]["mrr"] <= scores["test"]["recall_at_k"] <= 1
    run = load_run(there / "run-found")
    values = run.predict(TEXTS, OTHERS)
    assert [set(row) for row in values] == [{"text", "pair", "similarity"}] * 3
    assert export_run(run, "sentence_transformers", there / "st").largest < 1e-5
    assert not (there / "st" / "head").exists()
    assert main(["export", "run-found", "--to", "keras", "--output", "no"]) == 2
    assert "--to sentence_transformers" in capsys.readouterr().err
    assert main(["evaluate", "run-found", "--samples=5"]) == 0


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_has_the_same_bits(there):
    model = ("model=encoder", f"model.checkpoint={there / 'bert'}", "head=attention")
    overrides = ("data.task=similarity", "data.pair=other", "loss=cosine", "loss.largest=5")
    whole = experiment_of(there, *overrides, model=model)
    fit(whole, [])
    killed = MemoryCheckpointer(5)
    with pytest.raises(Killed):
        fit(experiment_of(there, *overrides, model=model), [], killed)
    resumed = experiment_of(there, *overrides, model=model)
    fit(resumed, [], killed.resumed())
    for one, other in zip(values_of(whole), values_of(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


PAIRS = ["data=files", "data.train=train.csv", "data.pair=other", "data.task=similarity"]


@pytest.mark.parametrize(
    ("overrides", "what", "fix"),
    [
        (["data.pair=null"], "similarity compares two texts", "data.pair=COLUMN"),
        ([], "labels go from 0 to 5", "loss=cosine loss.largest=5"),
        (["loss=contrastive"], "labels go from 0 to 5", "loss.largest=5"),
        (["loss=cosine", "loss.largest=0"], "largest must be above 0", ""),
        (["model=bag_of_embeddings"], "encodes no texts apart", "model=encoder"),
        (["objective=fgm"], "trains on a label of each text", "supervised"),
        (["data.task=retrieval", "metric=[spearman]"], "the data's are none", "mrr"),
        (["loss=in_batch_negatives"], "but the data's are float", "cosine"),
    ],
)
def test_what_does_not_fit_is_refused(there, monkeypatch, capsys, overrides, what, fix):
    monkeypatch.chdir(there)
    assert main(["check", *PAIRS, *overrides]) == 2
    message = capsys.readouterr().err
    assert what in message
    assert fix in message.partition("fix:")[2]
