"""What the real TensorBoard reads in the logs of a sweep that is half finished."""

from __future__ import annotations

from types import SimpleNamespace

import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import metadata

from xferlab.callbacks import Result
from xferlab.training.callbacks.tensorboard import TensorBoardLog, hyperparameters

DOT = tf.io.encode_png(tf.zeros([1, 1, 3], tf.uint8)).numpy()


def rows_of(folder):
    """Return each run's row of the HParams page: its settings and its scores."""
    logs = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    rows = {}
    for run in logs.PluginRunToTagToContent(metadata.PLUGIN_NAME):
        content = logs.SummaryMetadata(run, metadata.SESSION_START_INFO_TAG).plugin_data.content
        settings = metadata.parse_session_start_info_plugin_data(content).hparams
        tags = logs.Runs()[run]["tensors"]
        scores = {
            tag: float(tf.make_ndarray(logs.Tensors(run, tag)[-1].tensor_proto))
            for tag in tags
            if tag.startswith("test/")
        }
        rows[run.partition("/")[0]] = settings["optimizer.lr"].number_value, scores
    return rows


def run_in(folder, rate):
    """Return a run as its callbacks see it."""
    config = {"optimizer": {"name": "adamw", "lr": rate}, "seed": 0}
    folder.mkdir(exist_ok=True)
    (folder / "plan.png").write_bytes(DOT)
    return SimpleNamespace(
        folder=folder,
        config=config,
        settings=hyperparameters(config),
        learning_rate=lambda step: 0.0,
        label="",
    )


def test_every_job_that_has_begun_has_a_row_and_a_finished_one_its_scores(tmp_path):
    for name, rate in (("at_work", 1e-5), ("done", 3e-5)):
        log = TensorBoardLog(run_in(tmp_path / name, rate))
        log.on_begin(0)
        if name == "done":
            log.on_end(Result("finished", {"test/accuracy": 0.5}, {}))
    assert rows_of(tmp_path) == {
        "at_work": (1e-5, {}),
        "done": (3e-5, {"test/accuracy": 0.5}),
    }


def test_a_run_that_goes_on_keeps_its_row(tmp_path):
    log = TensorBoardLog(run_in(tmp_path / "job", 1e-5))
    log.on_begin(0)
    state = log.state()
    again = TensorBoardLog(run_in(tmp_path / "job", 1e-5))
    again.restore(state)
    again.on_begin(3)
    assert rows_of(tmp_path) == {"job": (1e-5, {})}
