"""A frozen job on the machine that an engine chose for it: always a fresh process."""

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
from xferlab.sweep.job_state import DONE, is_taken, state_of
from xferlab.sweep.local_pool import finalize

LOOK_SECONDS = 0.2
WAIT_SECONDS = 2.0
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1)


class JobOnNode:
    """Runs the job in a folder; an engine calls it with that folder, perhaps more than once.

    What comes back is an exit code, which nobody needs: how the job ended is in its folder, also
    where its process died without a word. A job that was begun before goes on where it was, one
    that has finished is left alone.

    Args:
        command: of the job, the folder left out; started with a pipe as standard input that
            closes when this process is gone.
        workspace: the sweep's working directory, on every machine.
        environment: variables of the job; None takes one away.
    """

    def __init__(
        self, command: Sequence[str], workspace: str, environment: Mapping[str, str | None]
    ) -> None:
        self._command, self._workspace = tuple(command), workspace
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, folder: str) -> int:
        """Run the job and return the exit code of its process."""
        job = Path(folder)
        while is_taken(state := state_of(job)):
            time.sleep(WAIT_SECONDS)  # for the last of an attempt that lost its engine
        if state.status in DONE:
            return 0
        before = state.record
        hears = threading.current_thread() is threading.main_thread()
        with handled(PASSED_ON if hears else (), self._pass_on):
            self._process = self._start(job)
            try:
                while self._process.poll() is None:
                    time.sleep(LOOK_SECONDS)
            finally:  # an engine stops by an exception: KeyboardInterrupt, SystemExit
                code = self._stopped(signal.SIGTERM)
                _finalize(job, code, before)
        return code

    def checkpoint(self, folder: str) -> Any:
        """Save the job, which submitit asks for in a signal handler before it queues it again."""
        from submitit.helpers import DelayedSubmission

        self._stopped(LIMITS[0])
        return DelayedSubmission(self._again(), folder)

    def _again(self) -> JobOnNode:
        return JobOnNode(self._command, self._workspace, self._environment)

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        given = {**os.environ, **self._environment}
        with (folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *self._command, str(folder)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._workspace,
                env={name: value for name, value in given.items() if value is not None},
                start_new_session=True,
            )

    def _stopped(self, number: int) -> int:
        """Ask the job to end, wait for it, and return its exit code."""
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

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Hand a scheduler's signal to the job, which saves and ends; its end is waited for."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)


def _finalize(folder: Path, code: int, before: Mapping[str, Any]) -> None:
    """Write down what a job could not: also that a scheduler's signal came before it listened."""
    if -code in LIMITS and state_of(folder).status != "preempted":
        write_status(folder, "preempted")
    else:
        finalize(folder, code, before=before)
