"""A planned job on the machine that an engine chose for it: always a fresh process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from xferlab.runs.metadata import write_status
from xferlab.runs.signals import LIMITS, handled
from xferlab.sweeps.job_state import DONE, is_taken, state_of
from xferlab.sweeps.local_pool import finalize

POLL_SECONDS = 0.2
TAKEN_SECONDS = 2.0
FORWARDED = (signal.SIGTERM, signal.SIGUSR1)


class NodeRunner:
    """Runs the job in a folder; an engine calls it with that folder, perhaps more than once.

    The exit code that it returns is for information: how the job ended is in its folder, also
    where its process died silently. A job that was started before is resumed, one that has
    finished is left alone.

    Args:
        command: arguments of Python for a job, the folder left out; it is started with a pipe as
            standard input that closes when this process is gone.
        workspace: the sweep's working directory, on every machine.
        environment: variables of the job; None removes one.
    """

    def __init__(
        self, command: Sequence[str], workspace: str, environment: Mapping[str, str | None]
    ) -> None:
        self.command = tuple(command)
        self.workspace = workspace
        self.environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, folder: str) -> int:
        """Run the job and return the exit code of its process."""
        job = Path(folder)
        while is_taken(state := state_of(job)):
            time.sleep(TAKEN_SECONDS)  # an attempt that lost its engine is about to end
        if state.status in DONE:
            return 0
        in_main_thread = threading.current_thread() is threading.main_thread()
        with handled(FORWARDED if in_main_thread else (), self._forward):
            self._process = self._start(job)
            try:
                while self._process.poll() is None:
                    time.sleep(POLL_SECONDS)
            finally:  # an engine stops this by an exception: KeyboardInterrupt, SystemExit
                code = self._stop(signal.SIGTERM)
                _finalize(job, code, state.record)
        return code

    def preempt(self) -> None:
        """Signal the job to save, and wait for its end; a scheduler is about to requeue it."""
        self._stop(LIMITS[0])

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        variables = {**os.environ, **self.environment}
        with (folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *self.command, str(folder)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.workspace,
                env={name: value for name, value in variables.items() if value is not None},
                start_new_session=True,
            )

    def _stop(self, number: int) -> int:
        """Send the job a signal, wait for its end, and return its exit code."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            try:
                self._process.send_signal(number)
                # not wait(): a handler may have come while this very process waits
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            except (ProcessLookupError, ChildProcessError):
                pass
        return self._process.wait() if self._process.poll() is None else self._process.returncode

    def _forward(self, number: int, frame: FrameType | None) -> None:
        """Forward a scheduler's signal to the job, which saves and ends; its end is waited for."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)


def _finalize(folder: Path, code: int, before: Mapping[str, Any]) -> None:
    """Write what a job could not: also that a scheduler's signal came before it had a handler."""
    if -code in LIMITS and state_of(folder).status != "preempted":
        write_status(folder, "preempted")
    else:
        finalize(folder, code, before=before)
