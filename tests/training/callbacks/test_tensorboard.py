"""What the real TensorBoard reads in the logs of a sweep that is half finished."""

from __future__ import annotations

import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import metadata

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


def test_every_job_that_has_begun_has_a_row_and_a_finished_one_its_scores(tmp_path):
    for name, rate in (("at_work", 1e-5), ("done", 3e-5)):
        config = {"optimizer": {"name": "adamw", "lr": rate}, "seed": 0}
        log = TensorBoardLog(tmp_path / name / "tensorboard", lambda step: 0.0)
        log.begin(config, DOT)
        if name == "done":
            log.close(hyperparameters(config), {"test/accuracy": 0.5})
    assert rows_of(tmp_path) == {
        "at_work": (1e-5, {}),
        "done": (3e-5, {"test/accuracy": 0.5}),
    }


def test_a_run_that_goes_on_keeps_its_row(tmp_path):
    config = {"optimizer": {"name": "adamw", "lr": 1e-5}}
    log = TensorBoardLog(tmp_path / "job", lambda step: 0.0)
    log.begin(config, DOT)
    state = log.state()
    again = TensorBoardLog(tmp_path / "job", lambda step: 0.0)
    again.restore(state)
    assert rows_of(tmp_path) == {"job": (1e-5, {})}
