"""What the tests of engines share: a sweep of six stand-in jobs that is killed in its third."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import stub_job
from xferlab.runs.metadata import read_status

SWEEP = [sys.executable, str(Path(__file__).parent / "sweep.py")]
SIX = [f"seed=1,2,{stub_job.SLEEPS},3,4,5"]


class Sweep:
    """A sweep on an engine, in a working directory of its own."""

    def __init__(self, folder: Path, engine: list[str], environment: dict[str, str]) -> None:
        self.folder = folder
        self.overrides = [*SIX, *engine]
        self.environment = {**os.environ, **environment}

    def start(self) -> subprocess.Popen:
        out = (self.folder / "printed").open("wb")
        return subprocess.Popen(
            [*SWEEP, *self.overrides], cwd=self.folder, stdout=out, stderr=out, env=self.environment
        )

    def again(self) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*SWEEP, *self.overrides], cwd=self.folder, env=self.environment, check=False,
            capture_output=True, text=True, timeout=900,
        )  # fmt: skip

    def third_job(self) -> Path:
        """Wait until the third job sleeps, and return its folder."""
        found = self.wait(lambda: list(self.folder.glob("outputs/sweeps/*/*/asleep")))
        return found[0].parent

    def wait(self, until, seconds=600):
        for _ in range(seconds * 5):
            if value := until():
                return value
            time.sleep(0.2)
        raise AssertionError((self.folder / "printed").read_text())

    def statuses(self) -> list[str]:
        jobs = self.folder.glob("outputs/sweeps/*/*/job.json")
        return sorted(read_status(job.parent)["status"] for job in jobs)


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def kill_job(job: Path) -> None:
    os.kill(read_status(job)["process"], signal.SIGKILL)


def counted(printed: str) -> str:
    """Return what the second command found: ``2 finished, 1 to resume, 3 to run``."""
    return re.search(r"continuing \S+: (.*)", printed)[1]


@pytest.fixture(scope="session")
def workspace_of(tmp_path_factory):
    return tmp_path_factory.mktemp
