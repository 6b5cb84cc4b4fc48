"""Training from Python: the run of the command line, and nothing of it left in the process."""

from __future__ import annotations

import json
import logging
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xferlab
from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.main import main
from xferlab.runs.score import read_score

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
BAG = ("model=bag_of_embeddings", "optimizer.lr=1e-2", "train.epochs=1")
TEXTS = ["a fine film", "not worth it", "a good plot", "a bad plot"] * 8
LABELS = ["good", "bad"] * 16


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with isolated_plugins():
        yield tmp_path


def test_the_page_is_run_and_leaves_no_trace(workspace):
    import keras

    train = xferlab.train  # its imports take random numbers: rich's does
    handler = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(handler)
    handlers = list(root.handlers)
    keras.config.set_dtype_policy("mixed_bfloat16")
    states = (random.getstate(), np.random.get_state()[1].tolist(), list(sys.argv))
    try:
        names: dict = {"train": train}
        exec(SHOWN[0], names)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert root.handlers == handlers
    finally:
        root.removeHandler(handler)
        keras.config.set_dtype_policy("float32")
    assert (random.getstate(), np.random.get_state()[1].tolist(), list(sys.argv)) == states
    run = names["run"]
    predicted = run.predict(names["new"])
    assert list(predicted.columns) == ["text", "label", "p_bad", "p_good"]
    assert list(predicted.label) == run.predict(["a fine plot", "not good"]).labels
    shown = run._repr_html_()
    assert all(f"<th>{name}</th>" in shown for name in ("epoch", "val_accuracy", "validation"))
    log = (run.folder / "train.log").read_text()
    assert log.count("epoch 1/2") == 1


def test_it_is_the_run_of_the_command_line(workspace):
    run = xferlab.train(*BAG, data=(TEXTS, LABELS))
    command = run.record["command"]
    assert command[1:3] == ["-m", "xferlab"]
    assert main([*command[3:], "hydra.run.dir=typed"]) == 0
    typed = xferlab.load("typed")
    runs = (run, typed)
    assert typed.record["run_id"] == run.record["run_id"]
    weights = [(each.folder / "checkpoints/last.safetensors").read_bytes() for each in runs]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("overrides", "arguments", "what"),
    [
        (("model=bag_of_embedding",), {}, "there is no model named 'bag_of_embedding'"),
        (("--recover",), {}, "'--recover' is no override"),
        ((5,), {}, "5 is no override"),
        ((), {"data": 5}, "data is int"),
        ((), {"recover": "nowhere"}, "nowhere"),
    ],
)
def test_errors_are_those_of_the_command_line(workspace, overrides, arguments, what):
    with pytest.raises(xferlab.ConfigError) as error:
        xferlab.train(*overrides, **arguments)
    assert what in str(error.value)
    assert not (workspace / "outputs/runs").exists()


def test_what_ends_a_run_is_raised(workspace):
    with pytest.raises(xferlab.ConfigError) as error:
        xferlab.train(*BAG, data=(["a", "b"], ["x", "x"]))
    assert "class" in str(error.value)


def test_a_frame_without_the_column_is_refused(runs):
    import pandas

    run = xferlab.load(runs["plain"])
    with pytest.raises(xferlab.ConfigError, match="has no column 'text'"):
        run.predict(pandas.DataFrame({"texts": ["a"]}))
    twice = pandas.DataFrame([["a", "b"], ["c", "d"]], columns=["text", "text"])
    with pytest.raises(xferlab.ConfigError, match="has two columns 'text'"):
        run.predict(twice)  # its names would be the texts


def test_importing_is_light():
    code = "import sys, xferlab; xferlab.train; xferlab.sweep; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_a_sweep_of_the_page(workspace):
    """Jobs are processes that read the examples from the file."""
    names: dict = {}
    exec(SHOWN[0].partition("run = ")[0], names)
    exec(SHOWN[1], names)
    sweep = names["sweep"]
    assert [row["status"] for row in sweep.rows] == ["finished", "finished"]
    best = max(row["val_accuracy"] for row in sweep.rows)
    assert read_score(sweep.best.folder).value == best
    assert len(sweep.runs) == 2
    assert not sweep.failed
    assert "<td>finished</td>" in sweep._repr_html_()
    plan = json.loads((sweep.folder / "sweep.json").read_text())
    assert any("data.train=outputs/data" in word for word in plan["command"])
