"""Sweeps on other machines: presets, settings, what is refused before anything is submitted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from tests.support import stub_job
from xferlab.backend.device import THREAD_VARIABLES
from xferlab.cli.main import main
from xferlab.config.compose import compose_config, publish
from xferlab.discovery import FOLDERS, load_plugins
from xferlab.errors import ConfigError
from xferlab.runs.metadata import read_status, write_error, write_status
from xferlab.sweeps import engine_launcher
from xferlab.sweeps.engines import ENGINES, publish_engines, submitit_slurm
from xferlab.sweeps.engines.base import job_variables
from xferlab.sweeps.engines.registry import read_settings
from xferlab.sweeps.job_state import state_of
from xferlab.sweeps.local_pool import SweepStopped
from xferlab.sweeps.manifest import write_manifest
from xferlab.sweeps.node_runner import NodeRunner
from xferlab.sweeps.planner import plan_sweep
from xferlab.sweeps.remote_jobs import RemoteJobMonitor
from xferlab.validation import plain

PRESETS = ENGINES


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)
    publish_engines()


def jobs_of(*overrides):
    plan = plan_sweep(overrides)
    write_manifest(plan, Path("sweep"), [])
    return [Path("sweep").resolve() / job.run_id for job in plan.jobs]


def refused(*overrides, capsys):
    assert main(["-m", "seed=1,2", *overrides]) == 2
    printed = capsys.readouterr().err
    lines = [line for line in printed.splitlines() if not line.startswith(("sweep", "continuing"))]
    assert [line[:8] for line in lines] == [" error: ", " where: ", "   fix: "]
    return "\n".join(lines)


# --- what is typed -------------------------------------------------------------------------------


@pytest.mark.parametrize("word", PRESETS)
def test_a_preset_says_what_its_engine_takes_by_default(word):
    cfg = compose_config([f"hydra/launcher={word}"])
    assert read_settings(plain(cfg.hydra.launcher)) == PRESETS[word]()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=0"],
            "timeout_min must be at least 1, got 0",
        ),
        (
            ["hydra/launcher=submitit_slurm", "hydra.launcher.signal_delay_s=14400"],
            "signal_delay_s must be less than timeout_min, 14400 s, got 14400",
        ),
        (
            ["hydra/launcher=submitit_slurm", "hydra.launcher.partition='a --wrap=b'"],
            "partition may hold no blanks and quotes, got 'a --wrap=b'",
        ),
        (["hydra/launcher=ray", "hydra.launcher.auth=none"], "auth must be token or disabled"),
        (
            ["hydra/launcher=ray", "+hydra.launcher.setup=x"],
            "there is no key 'hydra.launcher.setup'",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_anything_is_written(overrides, message, capsys):
    assert message in refused(*overrides, capsys=capsys)
    assert not Path("outputs").exists()


def test_devices_of_this_machine_are_not_those_of_others(capsys):
    printed = refused("hydra/launcher=submitit_local", "sweep.gpus=[0]", capsys=capsys)
    assert "sweep.gpus names devices of this machine" in printed


# --- what is there -------------------------------------------------------------------------------


@pytest.mark.parametrize("word", PRESETS)
def test_a_missing_package_is_three_lines(word, monkeypatch, capsys):
    monkeypatch.setattr(engine_launcher, "is_installed", lambda name: False)
    extra = "ray" if word == "ray" else "slurm"
    printed = refused(f"hydra/launcher={word}", capsys=capsys)
    assert f"fix: pip install 'xferlab[{extra}]'" in printed


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(engine_launcher, "is_installed", lambda name: True)


def test_a_ray_that_is_not_there_is_three_lines(installed, capsys):
    printed = refused("hydra/launcher=ray", "hydra.launcher.address=127.0.0.1:1", capsys=capsys)
    assert "no Ray cluster can be reached at 127.0.0.1:1 (nothing answers there" in printed
    assert "`ray status`" in printed
    assert "RAY_AUTH_MODE" in printed


def test_a_machine_without_slurm_is_three_lines(installed, monkeypatch, capsys):
    monkeypatch.setenv("PATH", os.getcwd())
    printed = refused("hydra/launcher=submitit_slurm", capsys=capsys)
    assert "Slurm's command sbatch is not here" in printed


def commands(**scripts):
    """Make programs of these names; real ones, as far as this machine goes."""
    for name, script in {"sbatch": "exit 1", "srun": "exit 1", **scripts}.items():
        path = Path("bin") / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def test_a_slurm_without_accounting_is_three_lines_and_nothing_is_submitted(
    installed, monkeypatch, capsys
):
    commands(
        sbatch="touch submitted",
        sinfo="echo debug",
        sacct="echo Slurm accounting storage is disabled >&2; exit 1",
    )
    monkeypatch.setenv("PATH", f"{Path('bin').resolve()}:/usr/bin:/bin")
    printed = refused("hydra/launcher=submitit_slurm", capsys=capsys)
    assert "Slurm's accounting does not answer: Slurm accounting storage is disabled" in printed
    assert not Path("submitted").exists()
    printed = refused(
        "hydra/launcher=submitit_slurm", "hydra.launcher.partition=debgu", capsys=capsys
    )
    assert "there is no partition named 'debgu'" in printed
    assert "did you mean 'debug'?" in printed


def test_a_slurm_that_hangs_is_three_lines(installed, monkeypatch, capsys):
    commands(sinfo="exec sleep 20", sacct="exit 0")
    monkeypatch.setenv("PATH", f"{Path('bin').resolve()}:/usr/bin:/bin")
    monkeypatch.setattr(submitit_slurm, "ANSWER_SECONDS", 0.2)
    printed = refused("hydra/launcher=submitit_slurm", capsys=capsys)
    assert "Slurm's controller does not answer: no answer for 0.2 s" in printed


# --- a job where it runs -------------------------------------------------------------------------


def on_node():
    return NodeRunner((stub_job.__file__, "job"), os.getcwd(), {"NOT_SET": None})


def test_a_job_on_a_node_is_a_process_of_its_own_and_settles_itself():
    fine, died = jobs_of(f"seed=1,{stub_job.DIES}")
    assert on_node()(str(fine)) == 0
    assert read_status(fine)["process"] != os.getpid()
    assert on_node()(str(died)) == -signal.SIGKILL
    assert read_status(died)["error"] == "the job was killed (SIGKILL)"


def test_a_job_on_another_machine_has_the_plugin_folders_of_the_command(monkeypatch):
    threads = dict.fromkeys(THREAD_VARIABLES, "2")
    monkeypatch.delenv(FOLDERS, raising=False)
    assert job_variables(2.0, None) == threads  # those of the node stay
    monkeypatch.setenv(FOLDERS, "/lab/plugins:/mine")
    assert job_variables(8.0, 2) == threads | {FOLDERS: "/lab/plugins:/mine"}


def test_a_job_that_a_scheduler_begins_again_when_it_has_finished_is_left_alone():
    (job,) = jobs_of("seed=1")
    on_node()(str(job))
    assert on_node()(str(job)) == 0
    assert read_status(job)["attempt"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_whose_engine_ends_does_not_train_on(number):
    """The job's own part, to end when its standard input closes, is ``test_sweep_pool``'s."""
    (job,) = jobs_of("seed=1")
    code = "import sys, time; print(sys.stdin.read()); open(sys.argv[1] + '/left', 'w')"
    imported = "from xferlab.sweeps.node_runner import NodeRunner"
    runner = f"{imported}; NodeRunner(('-c', {code!r}), '.', {{}})"
    task = subprocess.Popen([sys.executable, "-c", f"{runner}({str(job)!r})"])
    while not (job / "output.txt").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    task.send_signal(number)
    task.wait()
    if number == signal.SIGTERM:
        assert state_of(job).status == "interrupted"
    else:
        while not (job / "left").exists():
            time.sleep(0.05)


# --- followed by what is written -----------------------------------------------------------------


class Seen:
    def __init__(self):
        self.starts = []
        self.ends = {}
        self.waits = []

    def started(self, folder):
        self.starts.append(folder.name)

    def ended(self, folder, state, seconds):
        self.ends[folder.name] = state.status

    def waiting(self, folder, state):
        self.waits.append(folder.name)

    def refresh(self, running):
        pass


class Scripted:
    """An engine that does at each look what it is told to; its jobs are written by hand."""

    def __init__(self, *looks, room=None, held=()):
        self.capacity = room
        self.delay = 0.0
        self.looks = list(looks)
        self.held = held
        self.given = []
        self.taken = []

    def adopt(self, folders):
        return [folder for folder in folders if folder in self.held]

    def submit(self, folders):
        self.given.append([folder.name for folder in folders])

    def released(self):
        return (self.looks.pop(0)() or {}) if self.looks else {}

    def cancel(self, folders):
        self.taken += [folder.name for folder in folders]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr("xferlab.sweeps.remote_jobs.POLL_SECONDS", 0.01)


def follow(jobs, *looks, fail_fast=False, **engine):
    seen = Seen()
    scripted = Scripted(*looks, **engine)
    RemoteJobMonitor(scripted, seen, fail_fast=fail_fast).run(jobs)
    return seen, scripted


def finish(job):
    return lambda: stub_job.write_results(job, 0.5)


def fail(job, word="failed"):
    def do():
        write_error(job, ValueError("bad rows"))
        write_status(job, word, error="bad rows")

    return do


def test_what_a_job_wrote_is_believed_and_its_engine_is_not():
    one, two = jobs_of("seed=1,2")
    seen, _ = follow([one, two], finish(one), fail(two))
    assert seen.ends == {one.name: "finished", two.name: "failed"}
    assert seen.starts == [one.name, two.name]


def test_the_failure_of_an_earlier_attempt_is_no_news():
    (job,) = jobs_of("seed=1")
    fail(job)()
    seen, _ = follow([job], lambda: None, finish(job))
    assert seen.ends == {job.name: "finished"}


def test_a_job_that_its_engine_lost_has_failed_and_says_so():
    (job,) = jobs_of("seed=1")
    seen, _ = follow([job], lambda: {job: "Slurm says NODE_FAIL: job 7"})
    assert seen.ends == {job.name: "failed"}
    assert "the job was lost: Slurm says NODE_FAIL: job 7" in (job / "error.txt").read_text()


def test_one_that_stays_preempted_is_said_to_go_on_with_the_same_command(capsys):
    def launch(launcher, folders):
        for folder in folders:
            write_status(folder, "preempted")

    with mock.patch("xferlab.cli.sweep.launch", launch):
        assert stub_job.sweep(["seed=1,2"]) == 1
    assert "the same command resumes the sweep" in capsys.readouterr().err


def test_one_that_was_preempted_is_followed_until_its_engine_lets_go():
    (job,) = jobs_of("seed=1")
    seen, _ = follow([job], lambda: write_status(job, "preempted"), lambda: None, finish(job))
    assert seen.ends == {job.name: "finished"}
    (other,) = jobs_of("seed=2")
    seen, _ = follow([other], lambda: write_status(other, "preempted"), lambda: {other: "TIMEOUT"})
    assert seen.ends == {other.name: "preempted"}


def test_what_an_earlier_command_gave_away_is_followed_and_not_given_again():
    held, free = jobs_of("seed=1,2")
    seen, engine = follow([held, free], finish(held), finish(free), held=[held])
    assert engine.given == [[free.name]]
    assert set(seen.ends.values()) == {"finished"}


def test_an_engine_is_given_no_more_than_it_has_room_for():
    jobs = jobs_of("seed=1,2,3")
    _, engine = follow(jobs, *map(finish, jobs), room=1)
    assert engine.given == [[job.name] for job in jobs]


def test_fail_fast_takes_back_what_has_not_begun():
    bad, begun, queued = jobs_of("seed=1,2,3")
    looks = [
        lambda: write_status(begun, "running"),
        fail(bad),
        lambda: {queued: "CANCELLED"},
        finish(begun),
    ]
    seen, engine = follow([bad, begun, queued], *looks, fail_fast=True)
    assert engine.taken == [queued.name]
    assert seen.ends == {bad.name: "failed", begun.name: "finished"}
    assert state_of(queued).status == "queued"


def test_ctrl_c_takes_all_back_and_they_stand_interrupted():
    (job,) = jobs_of("seed=1")
    looks = [
        lambda: write_status(job, "running"),
        lambda: os.kill(os.getpid(), signal.SIGINT),
        lambda: {job: "CANCELLED"},
    ]
    seen = Seen()
    engine = Scripted(*looks)
    with pytest.raises(SweepStopped):
        RemoteJobMonitor(engine, seen).run([job])
    assert engine.taken == [job.name]
    assert seen.ends == {job.name: "interrupted"}
    assert read_status(job)["status"] == "interrupted"


def test_a_launcher_of_another_package_has_its_own_settings():
    assert read_settings({"_target_": "hydra_plugins.x.Other", "n_jobs": 2}) is None
    with pytest.raises(ConfigError, match="max_retries must be at least 0"):
        read_settings({"_target_": "hydra_plugins.xferlab.RayLauncher", "max_retries": -1})
