"""How the processes of a sweep's jobs are started: each afresh, or as forks of a warm process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

FORK_SERVER = [sys.executable, "-m", "xferlab.sweeps.fork_server"]
Command = Callable[[Path], list[str]]


class JobProcess(Protocol):
    """The process of a job, as ``subprocess.Popen`` describes it.

    Attributes:
        returncode: its exit code once it has ended; below 0 the signal that killed it.
        stdin: is closed once it has ended.
    """

    returncode: Any
    stdin: IO[bytes] | None

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""

    def send_signal(self, number: int, /) -> None:
        """Send a signal; one that has ended is left alone."""

    def kill(self) -> None:
        """Send SIGKILL."""


class JobProcesses(Protocol):
    """Starts the processes of jobs."""

    def start(self, folder: Path, slot: Mapping[str, str]) -> JobProcess:
        """Start the job in ``folder`` with the environment variables of its slot."""

    def close(self) -> None:
        """Release what the starts have in common."""


class FreshProcesses:
    """Starts a Python interpreter for each job.

    Args:
        command: returns the command of the job in a folder. It is started with a pipe as standard
            input that closes when this process is gone, however it ended.
    """

    def __init__(self, command: Command) -> None:
        self._command = command

    def start(self, folder: Path, slot: Mapping[str, str]) -> JobProcess:
        """Start the job's command; its output goes to ``output.txt``."""
        with (folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                self._command(folder),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **slot},
                start_new_session=True,  # Ctrl-C reaches it through us, once
            )

    def close(self) -> None:
        """Do nothing: the processes have nothing in common."""


class WarmProcesses:
    """Starts each job as a fork of one process that has imported the libraries.

    That process (``sweep.fork_server``) runs no job and no plugin itself, so a job finds what a
    fresh process finds after its imports. It is started with the first job, and again if it dies.

    Args:
        slots: the environment variables of all slots. What they have in common is set before the
            libraries are imported, what differs (the GPU) in each fork.
    """

    def __init__(self, slots: Sequence[Mapping[str, str]]) -> None:
        self._common = dict(set.intersection(*(set(slot.items()) for slot in slots)))
        self._server: _ForkServer | None = None

    def start(self, folder: Path, slot: Mapping[str, str]) -> JobProcess:
        """Request a fork for the job; its output goes to ``output.txt``."""
        if self._server is None or self._server.has_ended():
            self.close()
            self._server = _ForkServer(self._common, folder / "output.txt")
        return self._server.start(folder, slot)

    def close(self) -> None:
        """End the warm process; jobs that still run are signalled to end."""
        if self._server is not None:
            self._server.close()
            self._server = None


class _ForkServer:
    """The other end of ``sweep.fork_server``: requests and replies are lines of JSON."""

    def __init__(self, environment: Mapping[str, str], output: Path) -> None:
        with output.open("ab") as stream:
            self._process = subprocess.Popen(
                FORK_SERVER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env={**os.environ, **environment},
                start_new_session=True,
                bufsize=0,
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._unread = b""
        self._jobs: dict[str, ForkedJob] = {}

    def start(self, folder: Path, slot: Mapping[str, str]) -> ForkedJob:
        job = ForkedJob(self)
        self._jobs[str(folder)] = job
        request = {"folder": str(folder), "environment": dict(slot)}
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has just died, which the job's poll() finds
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        return job

    def update(self) -> None:
        """Read what the server has replied; where it has ended, its jobs have too."""
        ended = self._process.poll()
        assert self._process.stdout is not None
        while data := self._process.stdout.read(65536):
            self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            reply = json.loads(line)
            job = self._jobs[reply["folder"]]
            job.pid = reply["pid"]
            job.returncode = reply["code"]
        if ended is not None:
            for job in self._jobs.values():
                if job.returncode is None and job.pid is None:
                    job.returncode = ended or 1
                elif job.returncode is None and not _is_alive(job.pid):
                    job.returncode = -signal.SIGTERM

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        self._process.wait()


class ForkedJob:
    """A job that the fork server runs, or is about to run.

    Attributes:
        pid: of its process; None while the server still imports.
        returncode: None while it runs. A job whose server has died gets SIGTERM, and is
            interrupted once it has saved its state and ended.
    """

    def __init__(self, server: _ForkServer) -> None:
        self._server = server
        self.stdin: IO[bytes] | None = None
        self.pid: int | None = None
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while the job runs."""
        if self.returncode is None:
            self._server.update()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send the job a signal; before it exists the server gets it, and ends."""
        if self.poll() is not None:
            return
        if self.pid is None:
            self._server.send_signal(number)
        else:
            with suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _is_alive(process: int | None) -> bool:
    """Return whether a process runs; one that has ended may still wait for its new parent."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
