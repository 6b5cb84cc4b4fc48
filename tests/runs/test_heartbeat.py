"""Signs of life: a run of another machine lives as long as it is heard of."""

from __future__ import annotations

import os
import time

import pytest

from xferlab.io.atomic import write_json
from xferlab.runs.heartbeat import SILENT_SECONDS, beating, seconds_silent
from xferlab.runs.lock import NAME, locked
from xferlab.runs.metadata import read_status, write_status
from xferlab.sweeps.job_state import is_leaving, state_of


def of_another_machine(folder, status="running", silent=0.0):
    """Leave what a job of another machine leaves; it was last heard of ``silent`` seconds ago."""
    write_status(folder, status)
    record = read_status(folder) | {"host": "elsewhere", "process": 1}
    write_json(folder / "status.json", record)
    (folder / NAME).touch()
    heard = time.time() - silent
    os.utime(folder / NAME, (heard, heard))


def test_a_working_run_renews_the_time_of_its_lock(tmp_path):
    with locked(tmp_path):
        os.utime(tmp_path / NAME, (0, 0))
        assert seconds_silent(tmp_path) > 1e9
        with beating(tmp_path, every=0.01):
            while seconds_silent(tmp_path) > 1e9:
                time.sleep(0.01)
            os.utime(tmp_path / NAME, (0, 0))  # and again
            while seconds_silent(tmp_path) > 1e9:
                time.sleep(0.01)
        os.utime(tmp_path / NAME, (0, 0))
        time.sleep(0.05)
        assert seconds_silent(tmp_path) > 1e9  # no longer


def test_a_folder_that_vanishes_does_not_disturb(tmp_path):
    with beating(tmp_path / "gone", every=0.01):
        time.sleep(0.03)
    assert seconds_silent(tmp_path / "gone") is None


@pytest.mark.parametrize(
    ("silent", "status"), [(0, "running"), (SILENT_SECONDS + 1, "interrupted")]
)
def test_a_job_of_another_machine_runs_while_it_is_heard_of(silent, status, tmp_path):
    of_another_machine(tmp_path, silent=silent)
    assert state_of(tmp_path).status == status


def test_a_job_of_another_machine_without_a_lock_is_dead(tmp_path):
    of_another_machine(tmp_path)
    (tmp_path / NAME).unlink()
    assert state_of(tmp_path).status == "interrupted"


@pytest.mark.parametrize(("silent", "leaving"), [(0, True), (SILENT_SECONDS + 1, False)])
def test_one_that_leaves_another_machine_is_waited_for_while_it_is_heard_of(
    silent, leaving, tmp_path
):
    of_another_machine(tmp_path, "interrupted", silent=silent)
    assert is_leaving(state_of(tmp_path)) is leaving
