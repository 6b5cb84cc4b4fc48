"""A real MLflow server on this machine, and Weights & Biases offline: a sweep, a kill, a resume."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
RUN = [
    "model=bag_of_embeddings",
    "model.width=8",
    "debug=tiny",
    "train.epochs=3",
    "train.checkpoint_every=1",
]
DIES = """
import os
import signal
from dataclasses import dataclass
from xferlab import Callback, register

@register("callback", "dies")
@dataclass(frozen=True)
class Dies:
    "Kill the run in its sixth step."

    def identity(self):
        return None

    def build(self, run):
        return Kills()

class Kills(Callback):
    def on_step(self, step):
        if os.path.exists("kill") and step.update == 6:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (folder / "plugins/callback").mkdir(parents=True)
    (folder / "plugins/callback/dies.py").write_text(DIES)
    return folder


def train(workspace: Path, *overrides: str, **variables: str) -> subprocess.CompletedProcess:
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": str(root), "XFERLAB_CACHE": str(workspace / "cache"), **variables}
    return subprocess.run(
        [sys.executable, "-m", "xferlab", *overrides],
        cwd=workspace,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


# -- MLflow ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(workspace: Path) -> Iterator[str]:
    pytest.importorskip("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port), "--backend-store-uri", f"sqlite:///{workspace}/server.db"]
    process = subprocess.Popen(
        [*command, "--artifacts-destination", str(workspace / "artifacts")],
        cwd=workspace,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=(workspace / "server.log").open("w"),
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1)
            break
        except OSError:
            time.sleep(0.5)
    yield address
    os.killpg(process.pid, signal.SIGTERM)  # its workers too
    process.wait(30)


def runs_of(server: str):
    from mlflow import MlflowClient

    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("xferlab")
    return client, client.search_runs([experiment.experiment_id])


def test_mlflow_has_a_run_that_was_killed_and_resumed_once(workspace, server):
    command = [*RUN, "callback=[mlflow,dies]", "hydra.run.dir=killed"]
    (workspace / "kill").touch()
    assert train(workspace, *command, MLFLOW_TRACKING_URI=server).returncode == -9
    (workspace / "kill").unlink()
    done = train(workspace, *command, "--recover", MLFLOW_TRACKING_URI=server)
    assert done.returncode == 0, done.stderr
    client, (run,) = runs_of(server)
    assert run.info.status == "FINISHED"
    assert run.data.params["model"] == "bag_of_embeddings"
    assert run.data.params["train.epochs"] == "3"
    curve = client.get_metric_history(run.info.run_id, "batch_loss")
    steps = [point.step for point in curve]
    assert steps == list(range(1, len(steps) + 1))
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == 3
    assert {"test/accuracy", "validation/loss"} <= run.data.metrics.keys()
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"config.yaml", "history.csv", "metrics.json", "predictions"} <= names
    assert "checkpoints" not in names


def test_mlflow_has_the_jobs_of_a_sweep_below_one_run(workspace, server):
    sweep = ["-m", *RUN, "callback=[mlflow]", "optimizer.lr=1e-3,3e-3", "hydra.sweep.dir=sweep"]
    done = train(workspace, *sweep, MLFLOW_TRACKING_URI=server)
    assert done.returncode == 0, done.stderr
    _, runs = runs_of(server)
    parents = [run.data.tags.get("mlflow.parentRunId") for run in runs]
    (parent,) = {each for each in parents if each}
    assert parents.count(parent) == 2
    assert next(run for run in runs if run.info.run_id == parent).info.run_name == "sweep"


def test_an_mlflow_server_that_is_not_there_costs_a_line(workspace):
    pytest.importorskip("mlflow")
    command = [*RUN, "callback=[mlflow]", "hydra.run.dir=alone"]
    done = train(workspace, *command, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("callback.mlflow sends nothing from here on") == 1


# -- Weights & Biases ------------------------------------------------------------------------------


def records_of(folder: Path) -> list:
    """Return the records of the offline files of a run, in order."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    found = []
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        store = DataStore()
        store.open_for_scan(str(path))
        while True:
            try:
                data = store.scan_data()
            except AssertionError:  # the end of a file that was killed
                break
            if data is None:
                break
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            found.append(record)
    return found


def test_wandb_offline_has_a_run_that_was_killed_and_resumed(workspace):
    pytest.importorskip("wandb")
    command = [*RUN, "callback=[wandb,dies]", "hydra.run.dir=offline/one", "name=first"]
    (workspace / "kill").touch()
    assert train(workspace, *command, WANDB_MODE="offline").returncode == -9
    (workspace / "kill").unlink()
    done = train(workspace, *command, "--recover", WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    records = records_of(workspace / "offline/one")
    runs = [record.run for record in records if record.HasField("run")]
    assert len({run.run_id for run in runs}) == 1
    assert runs[0].display_name == "first"
    settings = {item.key: item.value_json for item in runs[0].config.update}
    assert settings["train.epochs"] == "3"
    rows = [
        {(item.key or item.nested_key[0]): item.value_json for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    steps = {int(row["step"]) for row in rows if "batch_loss" in row}
    assert steps == set(range(1, len(steps) + 1))
    summary = {
        item.key or item.nested_key[0]
        for record in records
        if record.HasField("summary")
        for item in record.summary.update
    }
    assert {"test/accuracy", "status"} <= summary
    artifacts = [r.request.log_artifact.artifact for r in records if r.HasField("request")]
    artifacts += [record.artifact for record in records if record.HasField("artifact")]
    assert any(each.type == "run" for each in artifacts)


def test_wandb_groups_the_jobs_of_a_sweep(workspace):
    pytest.importorskip("wandb")
    sweep = ["-m", *RUN, "callback=[wandb]", "seed=0,1", "hydra.sweep.dir=grouped"]
    done = train(workspace, *sweep, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    jobs = [path.parent for path in (workspace / "grouped").glob("*/wandb")]
    groups = {r.run.run_group for job in jobs for r in records_of(job) if r.HasField("run")}
    assert len(jobs) == 2
    assert groups == {"grouped"}
