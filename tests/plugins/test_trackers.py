"""A real MLflow server on this machine, and Weights & Biases offline: a sweep, a kill, a resume."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
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
BLOCK = 32768
DIES = """
import os
import signal
from dataclasses import dataclass
from xferlab import Callback, register

@register("callback", "dies")
@dataclass(frozen=True)
class Dies:
    "Kill the run in its sixth step, or after its first epoch."

    def identity(self):
        return None

    def build(self, run):
        return Kills()

class Kills(Callback):
    def on_step(self, step):
        if os.path.exists("kill") and step.update == 6:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch(self, epoch):
        if os.path.exists("kill-epoch"):
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


def test_mlflow_has_the_scores_of_an_epoch_once(workspace, server):
    """The epoch is sent, the run is killed before its checkpoint, and the epoch ends again."""
    command = [*RUN, "callback=[mlflow,dies]", "callback.mlflow.every=5", "name=epochs"]
    command += ["hydra.run.dir=epochs"]
    (workspace / "kill-epoch").touch()
    assert train(workspace, *command, MLFLOW_TRACKING_URI=server).returncode == -9
    (workspace / "kill-epoch").unlink()
    done = train(workspace, *command, "--recover", MLFLOW_TRACKING_URI=server)
    assert done.returncode == 0, done.stderr
    client, runs = runs_of(server)
    (run,) = (run for run in runs if run.info.run_name == "epochs")
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == 3
    curve = client.get_metric_history(run.info.run_id, "batch_loss")
    steps = [point.step for point in curve]
    assert steps == sorted(set(steps))


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


def records_of(workspace: Path, name: str) -> list:
    """Return the records of the offline files of the runs with a name, or a group, in order.

    A file has the format of LevelDB's logs: blocks of 32 KB, a record in one or several parts.
    """
    from wandb.proto import wandb_internal_pb2

    found = []
    for path in sorted(workspace.glob("wandb/offline-run-*/*.wandb")):
        data = path.read_bytes()
        own = []
        at = 7  # a header
        whole = b""
        while at + 7 <= len(data):
            left = BLOCK - at % BLOCK
            if left < 7:
                at += left
                continue
            _, length, kind = struct.unpack_from("<IHB", data, at)
            if kind == 0 or at + 7 + length > len(data):
                break
            whole += data[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):  # whole, or the last part
                record = wandb_internal_pb2.Record()
                record.ParseFromString(whole)
                own.append(record)
                whole = b""
        runs = [record.run for record in own if record.HasField("run")]
        if runs and name in (runs[0].display_name, runs[0].run_group):
            found += own  # wandb had not written anything yet where there is no run
    return found


def test_wandb_offline_has_a_run_that_was_killed_and_resumed(workspace):
    pytest.importorskip("wandb")
    command = [*RUN, "callback=[wandb,dies]", "hydra.run.dir=offline/one", "name=first"]
    (workspace / "kill").touch()
    assert train(workspace, *command, WANDB_MODE="offline").returncode == -9
    (workspace / "kill").unlink()
    done = train(workspace, *command, "--recover", WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    records = records_of(workspace, "first")
    runs = [record.run for record in records if record.HasField("run")]
    (known,) = {run.run_id for run in runs}
    assert json.loads((workspace / "offline/one/wandb.json").read_text()) == {"id": known}
    assert runs[0].display_name == "first"
    settings = {item.key: item.value_json for item in runs[0].config.update}
    assert settings["train.epochs"] == "3"
    rows = [
        {(item.key or item.nested_key[0]): item.value_json for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    steps = {int(row["step"]) for row in rows if "batch_loss" in row}
    assert min(steps) <= 6  # those before the kill are wandb's to keep
    assert steps == set(range(min(steps), 25))
    summary = {
        item.key or item.nested_key[0]
        for record in records
        if record.HasField("summary")
        for item in record.summary.update
    }
    assert {"test/accuracy", "status"} <= summary
    (artifact,) = (record.artifact for record in records if record.HasField("artifact"))
    paths = {each.path for each in artifact.manifest.contents}
    assert {"config.yaml", "history.csv", "metrics.json"} <= paths
    assert not any(path.startswith("checkpoints") for path in paths)


def test_wandb_groups_the_jobs_of_a_sweep(workspace):
    pytest.importorskip("wandb")
    sweep = ["-m", *RUN, "callback=[wandb]", "seed=0,1", "hydra.sweep.dir=grouped"]
    done = train(workspace, *sweep, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    runs = [each.run for each in records_of(workspace, "grouped") if each.HasField("run")]
    assert len({run.run_id for run in runs}) == 2
