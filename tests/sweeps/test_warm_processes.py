"""Jobs as forks of one process that has imported the libraries: failures, signals, same bits."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support import stub_job
from tests.support.pool_jobs import Seen, jobs_of
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.runs.metadata import read_status
from xferlab.sweeps import job_processes
from xferlab.sweeps.job_processes import WarmProcesses
from xferlab.sweeps.job_state import state_of
from xferlab.sweeps.local_pool import Pool, SweepStopped

WARM_SWEEP = [sys.executable, stub_job.__file__, "warm-sweep"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(job_processes, "FORK_SERVER", stub_job.FORK_SERVER)
    load_plugins(tmp_path)
    publish(tmp_path)


def run(jobs, slots=({},), seen=None, **settings):
    seen = seen or Seen()
    Pool(WarmProcesses(slots), slots, seen, **settings).run(jobs)
    return seen


def server_of(job):
    return int((job / "seen").read_text().split("\n")[0])


def wait_until(is_true):
    for _ in range(600):
        if is_true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_each_job_is_a_fork_of_one_process():
    jobs = jobs_of("seed=1,2,3")
    seen = run(jobs, slots=[{}, {}])
    assert seen.most == 2
    assert set(seen.ends.values()) == {"finished"}
    assert len({read_status(job)["process"] for job in jobs}) == 3
    assert len({server_of(job) for job in jobs}) == 1
    assert not Path(f"/proc/{server_of(jobs[0])}").exists()
    assert (jobs[2] / "output.txt").read_text() == "output of the job\n"


REUSING = {"REUSES": "1"}
"""A slot whose jobs leave a network that another job can use."""


def process_of(job):
    return read_status(job)["process"]


def test_jobs_that_differ_above_the_network_run_in_one_process():
    alike = jobs_of("seed=1,2", "optimizer.lr=1e-3,1e-4")
    (other,) = jobs_of("train.batch_size=4")
    later = jobs_of("loss=focal")
    seen = run([*alike, other, *later], slots=[REUSING])
    assert set(seen.ends.values()) == {"finished"}
    assert len({process_of(job) for job in alike}) == 1
    assert len({process_of(job) for job in (alike[0], other, later[0])}) == 3
    for job in (*alike, other, *later):
        assert (job / "output.txt").read_text() == "output of the job\n"
        assert not Path(f"/proc/{process_of(job)}").exists()


def test_slots_have_processes_of_their_own():
    jobs = jobs_of("seed=1,2,3,4,5,6")
    slots = [{**REUSING, "DEVICE": "0"}, {**REUSING, "DEVICE": "1"}]
    run(jobs, slots=slots)
    devices = {process_of(job): (job / "seen").read_text().split("\n")[1][0] for job in jobs}
    assert sorted(devices.values()) == ["0", "1"]


def test_a_job_that_fails_in_a_process_of_several_affects_no_other():
    seeds = f"1,{stub_job.FAILS},2,{stub_job.DIES},3,{stub_job.HANGS},4,5"
    jobs = jobs_of(f"seed={seeds}")
    seen = run(jobs, slots=[REUSING], time_limit=3.0)
    ends = [seen.ends[job.name] for job in jobs]
    assert ends == ["finished", "failed"] * 3 + ["finished"] * 2
    assert read_status(jobs[3])["error"] == "the job was killed (SIGKILL)"
    assert process_of(jobs[0]) == process_of(jobs[1])
    assert len({process_of(jobs[i]) for i in (0, 2, 4, 6)}) == 4
    assert process_of(jobs[6]) == process_of(jobs[7])


def test_a_failed_job_affects_no_other():
    seeds = f"{stub_job.FAILS},{stub_job.DIES},{stub_job.ENDS_SILENTLY},{stub_job.NO_NUMBER}"
    failed, died, silent, no_number, fine = jobs_of(f"seed={seeds},1")
    run([failed, died, silent, no_number, fine])
    assert state_of(fine).status == "finished"
    assert state_of(no_number).status == "nan"
    assert "no such rows" in (failed / "error.txt").read_text()
    assert read_status(died)["error"] == "the job was killed (SIGKILL)"
    assert read_status(silent)["error"] == "the job ended with code 3 and without a result"


def test_fail_fast_starts_no_further_job():
    jobs = jobs_of(f"seed={stub_job.FAILS},1,2")
    assert run(jobs, fail_fast=True).starts == [jobs[0].name]


def test_a_job_has_the_environment_of_its_slot_and_the_working_directory():
    jobs = jobs_of("seed=1,2")
    run(jobs, slots=[{"THREADS": "3", "DEVICE": "0"}, {"THREADS": "3", "DEVICE": "1"}])
    seen = sorted((job / "seen").read_text().split("\n")[1:] for job in jobs)
    assert seen == [["0 3", os.getcwd()], ["1 3", os.getcwd()]]


@pytest.mark.slow
def test_a_job_over_its_time_limit_is_ended():
    hanging, fine = jobs_of(f"seed={stub_job.HANGS},2")
    seen = run([hanging, fine], time_limit=3.0)
    assert seen.ends == {hanging.name: "failed", fine.name: "finished"}
    assert "longer than sweep.time_limit" in read_status(hanging)["error"]
    assert "stub_job.py" in (hanging / "output.txt").read_text()  # the stack


def test_a_killed_server_is_replaced_and_its_job_interrupted():
    first, asleep, last = jobs_of(f"seed=1,{stub_job.SLEEPS},2")

    def kill():
        wait_until((asleep / "asleep").exists)
        os.kill(server_of(asleep), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    seen = run([first, asleep, last])
    killer.join()
    ends = {first.name: "finished", asleep.name: "interrupted", last.name: "finished"}
    assert seen.ends == ends
    assert server_of(last) != server_of(first)
    run([asleep])
    assert state_of(asleep).status == "finished"
    assert read_status(asleep)["attempt"] == 2


def test_a_server_that_does_not_start_fails_its_jobs(monkeypatch):
    command = [sys.executable, "-c", "import sys; sys.exit('no memory')"]
    monkeypatch.setattr(job_processes, "FORK_SERVER", command)
    jobs = jobs_of("seed=1,2")
    assert set(run(jobs).ends.values()) == {"failed"}
    assert (jobs[0] / "output.txt").read_text() == "no memory\n"
    assert read_status(jobs[1])["error"] == "the job ended with code 1 and without a result"


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_a_signal_while_the_server_imports_ends_the_sweep(number, monkeypatch):
    code = "import signal, time; signal.signal(2, signal.SIG_DFL); time.sleep(60)"
    monkeypatch.setattr(job_processes, "FORK_SERVER", [sys.executable, "-c", code])
    jobs = jobs_of("seed=1,2")
    timer = threading.Timer(2, os.kill, (os.getpid(), number))
    timer.start()
    with pytest.raises(SweepStopped) as stopped:
        run(jobs)
    assert stopped.value.number == number
    assert state_of(jobs[0]).status == "interrupted"
    assert state_of(jobs[1]).status == "queued"


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_is_forwarded_and_the_same_command_resumes(number, code):
    overrides = [f"seed=1,{stub_job.SLEEPS},2"]
    parent = subprocess.Popen(
        [*WARM_SWEEP, *overrides], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wait_until(lambda: list(Path().glob("outputs/sweeps/*/*/asleep")))
    parent.send_signal(number)
    printed, _ = parent.communicate(timeout=120)
    assert parent.returncode == code
    assert b"1 interrupted" in printed
    assert b"1 queued" in printed
    again = subprocess.run([*WARM_SWEEP, *overrides], capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert ": 1 finished, 1 to resume, 1 to run" in again.stderr


def test_jobs_and_server_end_when_the_sweep_is_killed():
    overrides = [f"seed=1,{stub_job.SLEEPS},2"]
    parent = subprocess.Popen(
        [*WARM_SWEEP, *overrides], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wait_until(lambda: list(Path().glob("outputs/sweeps/*/*/asleep")))
    (asleep,) = Path().glob("outputs/sweeps/*/*/asleep")
    parent.kill()
    parent.communicate()
    wait_until(lambda: state_of(asleep.parent).status == "interrupted")
    wait_until(lambda: not job_processes._is_alive(server_of(asleep.parent)))
    again = subprocess.run([*WARM_SWEEP, *overrides], capture_output=True, text=True, timeout=120)
    assert ": 1 finished, 1 to resume, 1 to run" in again.stderr
    assert "3 jobs: 3 finished" in again.stdout


SMALL = ["data.limit={train: 48, validation: 32, test: 32}", "data.max_length=16"]
SMALL += ["train.max_steps=4", "sweep.threads=1"]
VARIED = "sweep.list=[{seed: 0}, {seed: 1}, {optimizer.lr: 0.001}, {loss: focal}"
VARIED += ", {train.precision: mixed_bfloat16}, {train.deterministic: false}, {seed: 2}]"


def results(job):
    with (job / "history.csv").open(newline="") as stream:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]
    metrics = json.loads((job / "metrics.json").read_text())
    del metrics["seconds"]
    weights = [path.read_bytes() for path in sorted((job / "checkpoints").glob("*.safetensors"))]
    return rows, metrics, weights


@pytest.mark.slow
def test_forked_and_fresh_jobs_have_the_same_bits():
    for isolate in ("true", "false"):
        overrides = ["-m", VARIED, *SMALL, f"sweep.isolate={isolate}"]
        overrides.append(f"hydra.sweep.dir=isolate-{isolate}")
        command = [sys.executable, "-m", "xferlab", *overrides]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    jobs = [path.parent.name for path in Path("isolate-true").glob("*/metrics.json")]
    assert len(jobs) == 7
    for job in jobs:
        assert results(Path("isolate-true", job)) == results(Path("isolate-false", job)), job


@pytest.mark.slow
def test_jobs_over_one_frozen_network_share_a_process_and_have_the_same_bits():
    jobs = "sweep.list=[{seed: 0}, {seed: 1}, {optimizer.lr: 0.001}, {loss: focal, seed: 1}]"
    for isolate in ("true", "false"):
        overrides = ["-m", jobs, *SMALL, "transfer=frozen", f"sweep.isolate={isolate}"]
        overrides.append(f"hydra.sweep.dir=isolate-{isolate}")
        command = [sys.executable, "-m", "xferlab", *overrides]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    names = [path.parent.name for path in Path("isolate-true").glob("*/metrics.json")]
    assert len(names) == 4
    for name in names:
        assert results(Path("isolate-true", name)) == results(Path("isolate-false", name)), name
    logs = [Path("isolate-false", name, "train.log").read_text() for name in names]
    assert sum("are those of an earlier run of this process" in log for log in logs) == 2
    assert all(log.count("INFO run  ") == 1 for log in logs)  # its own log alone
    processes = {
        json.loads(path.read_text())["process"]
        for path in Path().glob("isolate-false/*/status.json")
    }
    assert len(processes) == 1


@pytest.mark.slow
def test_a_plugin_that_is_edited_between_jobs_is_read_again(monkeypatch, tmp_path):
    source = Path(__file__).parents[2] / "plugins/loss/focal.py"
    plugin = tmp_path / "plugins/loss/mine.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(source.read_text().replace('"focal"', '"mine"'))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "xferlab", "-m", "loss=mine", "seed=0,1", *SMALL]
    sweep = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_until(lambda: list(tmp_path.glob("outputs/sweeps/*/*/metrics.json")))
    plugin.write_text(plugin.read_text() + "\n# edited\n")
    printed, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 1
    assert "the plugin loss=mine has changed" in printed
