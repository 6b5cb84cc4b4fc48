"""Processes of a sweep: seats, failures, signals, and what is left when the parent is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from tests.support import stub_job
from tests.support.pool_jobs import Seen, jobs_of
from xferlab.backend.device import available_cores
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.runs.lock import locked
from xferlab.runs.metadata import read_status, write_status
from xferlab.sweeps.console import JobLines, console_for
from xferlab.sweeps.job_processes import FreshProcesses
from xferlab.sweeps.job_state import is_leaving, state_of
from xferlab.sweeps.launcher import folder_of, job_overrides, slots
from xferlab.sweeps.local_pool import DUMP_STACKS, Pool, finalize

SWEEP = [sys.executable, stub_job.__file__, "sweep"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)


def run(jobs, workers=1, command=stub_job.command, **settings):
    seen = Seen()
    Pool(FreshProcesses(command), [{} for _ in range(workers)], seen, **settings).run(jobs)
    return seen


def test_each_job_is_a_process_and_no_more_at_once_than_seats():
    jobs = jobs_of("seed=1,2,3")
    seen = run(jobs, workers=2)
    assert seen.most == 2
    assert set(seen.ends.values()) == {"finished"}
    assert len({read_status(job)["process"] for job in jobs}) == 3


def test_one_that_fails_takes_no_other_with_it():
    seeds = f"{stub_job.FAILS},{stub_job.DIES},{stub_job.ENDS_SILENTLY},{stub_job.NO_NUMBER}"
    failed, died, silent, no_number, fine = jobs_of(f"seed={seeds},1")
    run([failed, died, silent, no_number, fine])
    assert state_of(fine).status == "finished"
    assert state_of(no_number).status == "nan"
    assert "no such rows" in (failed / "error.txt").read_text()
    assert read_status(died)["error"] == "the job was killed (SIGKILL)"
    assert "dmesg" in (died / "error.txt").read_text()
    assert read_status(silent)["error"] == "the job ended with code 3 and without a result"
    assert all(state_of(job).failed for job in (failed, died, silent, no_number))


def test_fail_fast_starts_no_further_job():
    jobs = jobs_of(f"seed={stub_job.FAILS},1,2")
    seen = run(jobs, fail_fast=True)
    assert seen.starts == [jobs[0].name]
    assert state_of(jobs[1]).status == "queued"


HANGS = """
import signal, sys, time
signal.signal(signal.SIGQUIT, lambda *_: open(sys.argv[1], "w").close())
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    time.sleep(0.1)
"""


@pytest.mark.slow
def test_a_job_that_hangs_is_asked_where_it_is_and_ended_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr("xferlab.sweeps.local_pool.LEAVING_SECONDS", 2.0)
    hanging, fine = jobs_of("seed=1,2")

    def command(folder):
        if folder == fine:
            stub_job.write_results(fine, 0.5)
            return ["true"]
        return [sys.executable, "-c", HANGS, f"{folder}/asked"]

    seen = run([hanging, fine], command=command, time_limit=5.0)
    assert seen.ends == {hanging.name: "failed", fine.name: "finished"}
    assert read_status(hanging)["error"] == "the job took longer than sweep.time_limit, 5 s"
    assert (hanging / "asked").exists()


def test_a_worker_says_where_it_hangs(tmp_path):
    (job,) = jobs_of("data=files", "data.train=fifo")
    code = (
        "import sys, time, xferlab.experiment.run, xferlab.sweeps.worker as w\n"
        "def stuck(*a): print('on', flush=True); time.sleep(60)\n"
        f"xferlab.experiment.run.run = stuck; sys.exit(w.main([{str(job)!r}]))"
    )
    pipe = subprocess.PIPE
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe)
    assert worker.stdout.readline() == b"on\n"
    worker.send_signal(DUMP_STACKS)
    assert any(b"in stuck" in line for line in worker.stderr)  # to the end, after a minute, if not
    worker.terminate()
    worker.communicate(timeout=120)
    assert worker.returncode == 143


def test_what_a_job_could_not_say_is_in_its_log_too(tmp_path):
    (tmp_path / "train.log").write_text("its own words\n")
    finalize(tmp_path, -9)
    printed = (tmp_path / "train.log").read_text()
    assert printed.startswith("its own words\n")
    assert "ERROR  error: the job was killed (SIGKILL)" in printed


def test_a_job_that_is_made_to_end_by_a_second_signal_is_interrupted():
    overrides = [f"seed={stub_job.HANGS},2"]
    parent = subprocess.Popen([*SWEEP, *overrides], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    (asleep,) = wait_for_file("outputs/sweeps/*/*/asleep")
    parent.send_signal(signal.SIGINT)
    time.sleep(1)  # a process hears two equal signals at once as one
    parent.send_signal(signal.SIGINT)
    _, printed = parent.communicate(timeout=120)
    assert parent.returncode == 130
    assert state_of(asleep.parent).status == "interrupted"
    assert b"the same command resumes the sweep" in printed


def test_a_finished_job_is_not_run_again():
    jobs = jobs_of("seed=1,2")
    stub_job.write_results(jobs[0], 0.5)
    assert run(jobs).starts == [jobs[1].name]


@pytest.mark.slow
@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_job_that_another_process_has_is_waited_for(status):
    busy, free = jobs_of("seed=1,2")
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)"])
    write_status(busy, status)
    record = read_status(busy) | {"process": other.pid}
    (busy / "status.json").write_text(json.dumps(record))

    class Reaping(Seen):
        def refresh(self, running):
            other.poll()

    seen = Reaping()
    Pool(FreshProcesses(stub_job.command), [{}], seen).run([busy, free])
    assert seen.starts == [free.name, busy.name]
    assert state_of(busy).status == "finished"


def test_a_job_that_another_sweep_took_first_is_not_called_a_failure():
    (job,) = jobs_of("seed=1")
    with ExitStack() as other:

        def command(folder):
            if not (folder / ".lock").exists():  # ours is still starting when theirs begins
                other.enter_context(locked(folder))
                return ["false"]
            assert not (folder / "status.json").exists()
            other.close()
            return stub_job.command(folder)

        seen = run([job], command=command)
    assert seen.ends == {job.name: "finished"}
    assert not (job / "error.txt").exists()
    assert not (job / "train.log").exists()


def test_an_old_failure_is_not_the_end_of_a_new_attempt():
    (job,) = jobs_of("seed=1")
    write_status(job, "failed", error="an old story")
    (job / "error.txt").write_text(" error: an old story\n")
    run([job], command=lambda folder: ["false"])
    assert read_status(job)["error"] == "the job ended with code 1 and without a result"
    assert "an old story" not in (job / "error.txt").read_text()


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_process_id_that_is_used_again_is_not_the_job(tmp_path, status):
    with locked(tmp_path):
        write_status(tmp_path, status)
        assert state_of(tmp_path).status == status
    record = read_status(tmp_path) | {"process": os.getppid()}  # alive, and no job
    (tmp_path / "status.json").write_text(json.dumps(record))
    assert state_of(tmp_path).status == "interrupted"
    assert not is_leaving(state_of(tmp_path))
    with locked(tmp_path):
        assert state_of(tmp_path).status == status
        assert is_leaving(state_of(tmp_path)) == (status == "interrupted")


def test_a_process_of_another_machine_is_taken_to_be_alive(tmp_path):
    with locked(tmp_path):
        write_status(tmp_path, "running")
    record = read_status(tmp_path) | {"host": "elsewhere"}
    (tmp_path / "status.json").write_text(json.dumps(record))
    assert state_of(tmp_path).status == "running"


def test_a_seat_is_an_environment():
    def command(folder):
        code = f"import os; open({str(folder / 'env')!r}, 'w').write(os.environ['DEVICE'])"
        return [sys.executable, "-c", code]

    jobs = jobs_of("seed=1,2")
    Pool(FreshProcesses(command), [{"DEVICE": "0"}, {"DEVICE": "1"}], Seen()).run(jobs)
    assert sorted((job / "env").read_text() for job in jobs) == ["0", "1"]


def test_cores_and_gpus_are_shared_out():
    assert slots(None, [], None) == [{}]
    fraction = str(max(1, available_cores() // 2))
    two = slots(None, ["0", "3"], None)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in two] == ["0", "3"]
    assert {slot["TF_NUM_INTRAOP_THREADS"] for slot in two} == {fraction}
    assert slots(3, [], 5)[2]["OMP_NUM_THREADS"] == "5"
    assert "CUDA_VISIBLE_DEVICES" not in slots(3, [], 5)[0]


def test_the_parent_keeps_nothing_from_job_to_job():
    jobs = jobs_of("seed=range(80)")

    def command(folder):
        stub_job.write_results(folder, 0.5)
        return ["true"]

    used = []
    for part in (jobs[:20], jobs[20:]):
        run(part, workers=8, command=command)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        used.append((pages * os.sysconf("SC_PAGESIZE") / 1e6, len(os.listdir("/proc/self/fd"))))
    (megabytes, files), (later, files_later) = used
    assert later - megabytes < 2
    assert files_later == files


def test_a_launcher_finds_the_folder_in_the_words_it_is_given(tmp_path):
    for name in ("12345678", "1e234567", "abcdef01"):
        folder = tmp_path / "a folder, with = signs" / name
        assert folder_of(job_overrides(folder)) == folder


@pytest.mark.parametrize(
    ("code", "message", "status"),
    [
        (0, "finished", "finished"),
        (0, "running", "failed"),
        (1, "failed", "failed"),
        (1, "nan", "nan"),
        (1, None, "failed"),
        (130, None, "interrupted"),
        (143, "running", "interrupted"),
        (143, "interrupted", "interrupted"),
        (-15, "running", "interrupted"),
        (-9, "running", "failed"),
        (-11, "running", "failed"),
    ],
)
def test_how_a_job_ended(code, message, status, tmp_path):
    if message:
        write_status(tmp_path, message)
    assert finalize(tmp_path, code).status == status
    assert read_status(tmp_path)["status"] == status


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)],
)
def test_a_signal_is_passed_on_and_the_sweep_ends_with_its_code(number, code):
    overrides = [f"seed=1,{stub_job.SLEEPS},2"]
    parent = subprocess.Popen([*SWEEP, *overrides], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_file("outputs/sweeps/*/*/asleep")
    parent.send_signal(number)
    printed, _ = parent.communicate(timeout=120)
    assert parent.returncode == code
    assert b"1 interrupted" in printed
    assert b"1 finished" in printed
    assert b"1 queued" in printed


def test_killed_with_the_third_job_running_the_same_command_does_the_rest():
    overrides = [f"seed=1,2,{stub_job.SLEEPS},3,4,5"]
    parent = subprocess.Popen([*SWEEP, *overrides], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    (asleep,) = wait_for_file("outputs/sweeps/*/*/asleep")
    job = int(read_status(asleep.parent)["process"])
    parent.kill()
    parent.communicate()
    os.kill(job, signal.SIGKILL)  # the stand-in reads no lifeline; a worker ends by itself
    while Path(f"/proc/{job}").exists():  # until its new parent has buried it
        time.sleep(0.05)
    again = subprocess.run([*SWEEP, *overrides], capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "continuing outputs/sweeps/" in again.stderr
    assert ": 2 finished, 1 to resume, 3 to run" in again.stderr
    assert "6 jobs: 6 finished" in again.stdout
    assert len(list(Path("outputs/sweeps").iterdir())) == 1
    assert read_status(asleep.parent)["attempt"] == 2


def test_failures_are_told_at_once_and_listed_at_the_end():
    overrides = [f"seed={stub_job.FAILS},1"]
    done = subprocess.run([*SWEEP, *overrides], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    at_once = lines.index(" error: no such rows")
    assert lines[at_once + 1 : at_once + 3] == [" where: data", "   fix: add some"]
    assert "2/2" in "\n".join(lines[at_once:])  # before the next job
    assert "again: python -m xferlab.sweeps.worker outputs/sweeps/" in done.stdout


def test_a_worker_ends_when_its_owner_is_gone(tmp_path):
    (job,) = jobs_of("data=files", "data.train=fifo")
    code = (
        "import sys, time, xferlab.experiment.run, xferlab.sweeps.worker as w\n"
        "xferlab.experiment.run.run = lambda *a: (print('on', flush=True), time.sleep(60))\n"
        f"sys.exit(w.main([{str(job)!r}, '--tied']))"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdout.readline() == b"on\n"
    worker.stdin.close()
    assert worker.wait(timeout=10) == 143


def test_a_worker_keeps_its_refusal_in_the_jobs_folder():
    (job,) = jobs_of("seed=1")
    record = json.loads((job / "job.json").read_text())
    record["plugins"]["loss=auto"] = "0" * 64
    (job / "job.json").write_text(json.dumps(record))
    done = subprocess.run(
        [sys.executable, "-m", "xferlab.sweeps.worker", str(job)], capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert state_of(job).status == "failed"
    assert "the plugin loss=auto has changed" in (job / "error.txt").read_text()
    assert "the plugin loss=auto has changed" in (job / "train.log").read_text()


def test_lines_say_what_is_swept_and_how_long_it_takes(tmp_path):
    jobs = jobs_of("optimizer.lr=1e-5,3e-5", "train.epochs=2")
    console = Console(file=(tmp_path / "printed").open("w"), width=200)
    lines = JobLines(jobs, 1, console)
    lines.started(jobs[0])
    stub_job.write_results(jobs[0], 0.5)
    lines.ended(jobs[0], state_of(jobs[0]), 30.0)
    console.file.close()
    assert (tmp_path / "printed").read_text().splitlines() == [
        f"   1/2  {jobs[0].name}  optimizer.lr=1e-5",
        f"           {jobs[0].name}  finished after 30 s  val_accuracy 0.5000  (about 30 s left)",
    ]


def test_a_terminal_has_a_live_table(tmp_path):
    jobs = jobs_of("optimizer.lr=1e-5,3e-5", "train.epochs=3")
    with (tmp_path / "printed").open("w") as stream:
        console = Console(file=stream, width=100, force_terminal=True)
        with console_for(jobs, 1, console) as watch:
            watch.started(jobs[0])
            stub_job.write_results(jobs[0], 0.5, epochs=2)
            watch.refresh([jobs[0]])
            watch.ended(jobs[0], state_of(jobs[0]), 12.0)
            watch.refresh([])
    printed = (tmp_path / "printed").read_text()
    assert "2/3" in printed
    assert "val_accuracy 0.5000" in printed
    assert "1 of 2 done: 1 finished; about 12 s left" in printed


def wait_for_file(pattern):
    for _ in range(1200):
        found = list(Path().glob(pattern))
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{pattern} did not come")
