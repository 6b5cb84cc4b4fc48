"""A run whose batch does not fit into memory goes on in slices, and says so."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.main import main

# TensorFlow reports a MemoryError of a Python function as it does one of its own allocator, which
# would try for ten seconds: no machine has 2**48 numbers for one tensor.
GREEDY = """
from dataclasses import dataclass

from xferlab import TaskSpec, TextModel, register


@register("model", "greedy")
@dataclass(frozen=True)
class Greedy:
    \"\"\"A bag of embeddings that asks for more memory than there is where a batch is large.

    Attributes:
        rows: rows of a batch that fit.
        allocates: whether the memory is really asked for.
    \"\"\"

    rows: int = 4
    allocates: bool = False

    def build(self, spec: TaskSpec) -> TextModel:
        import keras
        import numpy as np
        import tensorflow as tf

        from plugins_of_the_box import bag

        model = bag(spec)
        rows, allocates = self.rows, self.allocates

        def need(given):
            if given > rows:
                raise MemoryError("no memory for the batch")
            return np.float32(0)

        class Greed(keras.layers.Layer):
            def call(self, logits, training=False):
                if not training:
                    return logits
                batch = tf.shape(logits)[0]
                if allocates:
                    return logits + 0.0 * tf.reduce_sum(tf.zeros(tf.where(batch > rows, 2**48, 1)))
                return logits + tf.ensure_shape(tf.numpy_function(need, [batch], tf.float32), [])

        network = keras.Model(model.network.input, Greed(name="greed")(model.network.output))
        return TextModel(network, model.tokenizer, model.blocks, model.output_kind, {}, model.files)
"""
TINY = ["debug=tiny", "model=greedy", "optimizer.lr=1e-2", "train.epochs=1", "train.batch_size=16"]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Work in an empty folder with the greedy model in it."""
    folder = tmp_path / "plugins" / "model"
    folder.mkdir(parents=True)
    box = (
        "from xferlab.registry import REGISTRY\n\n\n"
        "def bag(spec):\n"
        "    return REGISTRY.create('model', {'name': 'bag_of_embeddings', 'dropout': 0.0})"
        ".build(spec)\n"
    )
    (tmp_path / "plugins_of_the_box.py").write_text(box)
    (folder / "greedy.py").write_text(GREEDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with isolated_plugins():
        yield tmp_path


def history(folder: str) -> list[dict[str, float]]:
    with (Path(folder) / "history.csv").open() as stream:
        return [
            {key: float(value) for key, value in row.items() if key != "seconds"}
            for row in csv.DictReader(stream)
        ]


def test_a_run_without_memory_for_a_batch_computes_slices_with_the_same_result(workspace, capsys):
    assert main([*TINY, "model.rows=16", "hydra.run.dir=whole"]) == 0
    assert main([*TINY, "model.rows=8", "hydra.run.dir=split"]) == 0
    log = (workspace / "split" / "train.log").read_text()
    assert "from here on each batch of 16 examples is computed in 2 slices" in log
    assert json.loads((workspace / "split" / "run.json").read_text())["micro_batches"] == 2
    assert json.loads((workspace / "whole" / "run.json").read_text())["micro_batches"] == 1
    assert json.loads((workspace / "split" / "status.json").read_text())["status"] == "finished"
    for whole, split in zip(history("whole"), history("split"), strict=True):
        assert split == pytest.approx(whole, rel=1e-4)


def test_who_does_not_want_slices_gets_the_error(workspace, capsys):
    overrides = [*TINY, "train.split_on_oom=false", "hydra.run.dir=refused"]
    assert main(overrides) == 1
    assert "out of memory" in capsys.readouterr().err
    assert json.loads((workspace / "refused" / "status.json").read_text())["status"] == "failed"
    assert (workspace / "refused" / "error.txt").exists()


@pytest.mark.slow
def test_a_run_that_tensorflow_has_no_memory_for_computes_slices(workspace):
    assert main([*TINY, "model.rows=8", "model.allocates=true", "hydra.run.dir=split"]) == 0
    assert json.loads((workspace / "split" / "run.json").read_text())["micro_batches"] == 2


@pytest.mark.slow
def test_a_run_for_which_one_row_is_too_much_ends_with_the_error(workspace, capsys):
    overrides = [*TINY, "model.rows=0", "train.batch_size=2", "hydra.run.dir=none"]
    assert main(overrides) == 1
    error = capsys.readouterr().err
    assert "computed in 2 slices" in error
    assert "computed in 4 slices" not in error
    assert "out of memory" in error


@pytest.mark.slow
def test_an_objective_is_computed_in_slices_or_says_that_it_cannot_be(workspace, capsys):
    fgm = [*TINY, "model.rows=8", "model.allocates=true", "objective=fgm"]
    assert main([*fgm, "hydra.run.dir=split"]) == 0
    assert main([*TINY, "model.rows=16", "objective=fgm", "hydra.run.dir=whole"]) == 0
    for whole, split in zip(history("whole"), history("split"), strict=True):
        assert split == pytest.approx(whole, rel=1e-4)
    assert json.loads((workspace / "split" / "run.json").read_text())["micro_batches"] == 2
    capsys.readouterr()
    assert (
        main(
            [*TINY, "model.rows=8", "model.allocates=true", "objective=mixup", "hydra.run.dir=none"]
        )
        == 1
    )
    error = capsys.readouterr().err
    assert "out of memory: objective=mixup computes with all examples of a batch at once" in error
    assert "fix: train.batch_size=8, or a smaller model" in error
