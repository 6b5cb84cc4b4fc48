"""Sweeps on a real Slurm of one node: killed, cancelled, requeued."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.conftest import Sweep, counted, kill, kill_job
from xferlab.cli.new import plugin_files
from xferlab.runs.metadata import read_status

WHY = slurm.missing() or (
    None if importlib.util.find_spec("submitit") else "pip install 'xferlab[slurm]'"
)
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(WHY is not None, reason=str(WHY))]
ENGINE = ["hydra/launcher=submitit_slurm", "sweep.workers=1", "hydra.launcher.partition=debug"]


@pytest.fixture(scope="module")
def cluster():
    # not pytest's folder, which no other user may enter, as the database's daemon must
    with tempfile.TemporaryDirectory() as folder:
        running = slurm.Slurm(Path(folder))
        try:
            running.start()
            yield running
        finally:
            running.stop()


@pytest.fixture
def sweep(cluster, tmp_path):
    yield Sweep(tmp_path, ENGINE, {"SLURM_CONF": cluster.environment["SLURM_CONF"]})
    subprocess.run(["scancel", "-u", "root"], env=cluster.environment, check=False)


def test_killed_and_cancelled_in_the_third_job_the_same_command_does_the_rest(sweep, cluster):
    parent = sweep.start()
    third = sweep.third_job()
    kill(parent)
    subprocess.run(["scancel", "-u", "root"], env=cluster.environment, check=True)
    sweep.wait(lambda: read_status(third)["status"] == "interrupted")
    again = sweep.again()
    assert counted(again.stderr) == "2 finished, 1 to resume, 3 to run"
    assert again.returncode == 0, again.stderr
    assert sweep.statuses() == ["finished"] * 6
    assert read_status(third)["attempt"] == 2


def test_jobs_go_on_when_the_command_is_killed_and_are_not_queued_twice(sweep):
    parent = sweep.start()
    third = sweep.third_job()
    kill(parent)
    kill_job(third)  # so that the rest follows at once
    sweep.wait(lambda: read_status(third)["status"] == "failed")
    sweep.wait(lambda: sweep.statuses().count("finished") >= 3)
    again = sweep.again()
    assert again.returncode == 0, again.stderr
    assert sweep.statuses() == ["finished"] * 6
    attempts = [
        read_status(s.parent)["attempt"] for s in sweep.folder.glob("outputs/*/*/*/job.json")
    ]
    assert sorted(attempts) == [1, 1, 1, 1, 1, 2]


def test_a_killed_job_is_told_at_once_and_takes_no_other_with_it(sweep):
    parent = sweep.start()
    kill_job(sweep.third_job())
    assert parent.wait(timeout=900) == 1
    printed = (sweep.folder / "printed").read_text()
    assert " error: the job was killed (SIGKILL)" in printed
    assert printed.index("SIGKILL") < printed.rindex("finished after")
    again = sweep.again()
    assert counted(again.stderr) == "5 finished, 1 to run again"
    assert again.returncode == 0


def test_a_job_that_is_preempted_is_queued_again_and_goes_on(sweep, cluster):
    parent = sweep.start()
    third = sweep.third_job()
    with signalling(cluster.environment):
        sweep.wait(lambda: read_status(third)["status"] in ("preempted", "interrupted"))
    assert parent.wait(timeout=900) == 0
    assert sweep.statuses() == ["finished"] * 6
    assert read_status(third)["attempt"] == 2


def test_real_jobs_have_the_plugin_folders_of_the_command(cluster, tmp_path):
    path, text = next(iter(plugin_files("loss", "mine").items()))
    file = tmp_path / "elsewhere" / path.name
    file.parent.mkdir()
    file.write_text(text)
    work = tmp_path / "work"
    work.mkdir()
    words = [f"plugins.paths=[{file.parent}]", "loss=mine", "loss.penalty=0.1,0.2", "debug=tiny"]
    done = subprocess.run(
        [sys.executable, "-m", "xferlab", "-m", *words, *ENGINE], cwd=work, env=cluster.environment,
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    statuses = [read_status(job.parent)["status"] for job in work.glob("outputs/*/*/*/job.json")]
    assert statuses == ["finished"] * 2


@contextmanager
def signalling(environment):
    """Send what Slurm sends before its limit, until the body has seen what comes of it.

    scancel repeats it where Slurm takes no signal yet, and would go on to do so after the job is
    queued again: the next start has no handler in its first moments.
    """
    running = ["squeue", "-h", "-t", "R", "-o", "%A"]
    ids = subprocess.run(running, env=environment, capture_output=True, text=True, check=True)
    scancel = ["scancel", "--signal=USR2", *ids.stdout.split()]
    with subprocess.Popen(scancel, env=environment) as sender:
        yield
        sender.kill()
