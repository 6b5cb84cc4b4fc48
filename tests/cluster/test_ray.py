"""Sweeps on a real Ray of two nodes: the command, a job and a node are killed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.conftest import Sweep, counted, kill, kill_job
from xferlab.runs.metadata import read_status
from xferlab.sweeps.job_state import state_of

WHY = None if importlib.util.find_spec("ray") else "pip install 'xferlab[ray]'"
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(WHY is not None, reason=str(WHY))]
NODES = [sys.executable, str(Path(__file__).parent / "ray_nodes.py")]
AUTH = {"RAY_AUTH_MODE": "disabled"}


@pytest.fixture
def cluster():
    nodes = subprocess.Popen(
        NODES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **AUTH}
    )
    try:
        nodes.address = nodes.stdout.readline().strip()
        yield nodes
    finally:
        nodes.stdin.close()
        nodes.wait(timeout=60)


@pytest.fixture
def sweep(cluster, tmp_path):
    overrides = ["hydra/launcher=ray", f"hydra.launcher.address={cluster.address}"]
    return Sweep(tmp_path, [*overrides, "hydra.launcher.auth=disabled", "sweep.workers=1"], AUTH)


def test_killed_in_the_third_job_the_same_command_does_the_rest(sweep):
    parent = sweep.start()
    third = sweep.third_job()
    kill(parent)
    sweep.wait(lambda: state_of(third).status == "interrupted")  # Ray may kill it before it says so
    again = sweep.again()
    assert counted(again.stderr) == "2 finished, 1 to resume, 3 to run"
    assert again.returncode == 0, again.stderr
    assert sweep.statuses() == ["finished"] * 6
    assert read_status(third)["attempt"] == 2


def test_a_killed_job_is_told_and_a_lost_node_s_job_is_done_elsewhere(sweep, cluster):
    parent = sweep.start()
    third = sweep.third_job()
    kill_job(third)
    assert parent.wait(timeout=900) == 1
    assert " error: the job was killed (SIGKILL)" in (sweep.folder / "printed").read_text()
    (third / "slept").unlink(missing_ok=True)  # it sleeps again
    (third / "asleep").unlink()
    parent = sweep.start()
    assert sweep.third_job() == third
    cluster.stdin.write("lose\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline() == "lost\n"
    assert parent.wait(timeout=900) == 0, (sweep.folder / "printed").read_text()
    assert counted((sweep.folder / "printed").read_text()) == "5 finished, 1 to run again"
    assert sweep.statuses() == ["finished"] * 6
    assert read_status(third)["attempt"] == 3  # killed, lost, done
