"""How fast the last split was predicted, measured where all of the network was computed."""

from __future__ import annotations

import json

import pytest

from tests.support.finished_runs import train, write_rows
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.errors import ConfigError
from xferlab.runs.latency import read_latency, write_latency


def test_a_run_records_the_batches_after_the_first(tmp_path):
    write_rows(tmp_path)
    words = ["model=bag_of_embeddings", "model.width=4", "train.epochs=1"]
    run = train(tmp_path, "plain", *words, "train.eval_batch_size=16")
    record = json.loads((run / "latency.json").read_text())
    assert (record["split"], record["examples"], record["batch_size"]) == ("test", 24, 16)
    seconds = json.loads((run / "metrics.json").read_text())["seconds"]
    assert 0 < record["seconds"] < max(1.0, seconds)
    assert read_latency(run) == pytest.approx(1000 * record["seconds"] / 24)


@pytest.mark.parametrize(
    "words",
    [
        ["train.eval_batch_size=64"],  # one batch
        ["transfer=frozen", "train.eval_batch_size=16"],  # the encoder's outputs were kept
    ],
)
def test_nothing_is_recorded_of_one_batch_or_of_a_part_of_the_network(tmp_path, words):
    write_rows(tmp_path)
    write_tiny_checkpoint(tmp_path / "tiny", "bert", layers=1)
    model = ["model=encoder", "model.checkpoint=tiny", "train.epochs=1"]
    run = train(tmp_path, "plain", *model, *words)
    assert (run / "metrics.json").exists()
    assert read_latency(run) is None


def test_a_damaged_file_is_named(tmp_path):
    write_latency(tmp_path, "test", 200.0, 0.5, 64)
    assert read_latency(tmp_path) == 2.5
    (tmp_path / "latency.json").write_text('{"examples": "many"}')
    with pytest.raises(ConfigError, match="split"):
        read_latency(tmp_path)
