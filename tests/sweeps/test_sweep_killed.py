"""A sweep of real trainings is killed with its third job half done, and goes on in its middle."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xferlab.runs.checkpoints import latest_step
from xferlab.runs.metadata import read_status

COMMON = ["model=bag_of_embeddings", "data.limit={train: 64, validation: 32, test: 32}"]
COMMON += ["data.max_length=16", "train.epochs=30", "train.checkpoint_every=2"]
SIX = ["-m", "seed=0,1,2,3,4,5", "hydra.sweep.dir=six", *COMMON]


def xferlab(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "xferlab", *overrides]


def third_job_half_done(parent: subprocess.Popen) -> Path:
    """Return the folder of the third job once it has trained a few epochs."""
    while parent.poll() is None:
        for job in Path("six").glob("*/history.csv"):
            third = "seed=2" in (job.parent / "job.json").read_text()
            if third and job.read_text().count("\n") > 4:
                return job.parent
        time.sleep(0.05)
    raise AssertionError(parent.communicate())


def scores(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["parent", "worker"])
def test_the_same_command_skips_resumes_and_runs(victim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parent = subprocess.Popen(xferlab(*SIX), stderr=subprocess.PIPE, text=True)
    job = third_job_half_done(parent)
    worker = int(read_status(job)["process"])
    os.kill(parent.pid if victim == "parent" else worker, signal.SIGKILL)
    if victim == "worker":  # told at once; then the others are stopped too
        for line in parent.stderr:
            if "seed=3" in line:
                break
        parent.send_signal(signal.SIGTERM)
    parent.communicate()
    while Path(f"/proc/{worker}").exists():
        time.sleep(0.05)
    assert latest_step(job / "checkpoints")
    assert len(scores(job)) < 30
    done = subprocess.run(xferlab(*SIX), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    left = {"parent": "1 to resume, 3 to run", "worker": "2 to resume, 2 to run"}[victim]
    assert f"continuing six: 2 finished, {left}" in done.stderr
    assert "6 jobs: 6 finished" in done.stdout
    went_on = re.search(r"resumed    at batch (\d+)", (job / "train.log").read_text())
    assert went_on
    assert int(went_on[1]) > 0
    subprocess.run(xferlab("seed=2", "hydra.run.dir=alone", *COMMON), check=True)
    assert scores(job) == scores(Path("alone"))
