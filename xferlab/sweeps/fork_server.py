"""Forks a process for each job of a sweep, with the libraries imported once for all of them.

``python -m xferlab.sweeps.fork_server`` reads requests from standard input, a line of JSON each:
``folder`` and ``environment`` of a job. It writes a line with ``folder``, ``pid`` and ``code`` when
a job has started (``code`` is null) and when it has ended. It ends when its input does.

It imports and does nothing else: no plugin, no operation of TensorFlow, no GPU. So it has no
state that a job could inherit, and a fork of it is a job's process as a fresh one is after its
imports.

A fork whose job has ended well and whose network can be used again (``training.network_cache``)
waits for a job that differs in nothing but :data:`ABOVE`. As many forks live as jobs have run at
once.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from xferlab.errors import XferlabError
from xferlab.sweeps.local_pool import DUMP_STACKS
from xferlab.sweeps.manifest import read_job
from xferlab.sweeps.worker import main as run_job

POLL_SECONDS = 0.05
LIBRARIES = (
    "matplotlib.backends.backend_agg",
    "safetensors.numpy",
    "sklearn.metrics",
    "tensorboard.plugins.hparams.summary_v2",
    "xferlab.experiment.run",
)
"""What a run imports on its way, beside TensorFlow."""
ABOVE = ("optimizer", "schedule", "loss", "metric", "callback", "seed", "name")
"""Keys of a config that jobs of one process may differ in."""


def main() -> int:
    """Serve until standard input ends."""
    replies = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no reply
    faulthandler.register(DUMP_STACKS, file=2)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        import_libraries()
    except Exception:  # noqa: BLE001 - the job imports again, and reports what is wrong
        traceback.print_exc()
    _Server(replies).serve()
    return 0


def import_libraries() -> None:
    """Import what every job needs, and start nothing of TensorFlow.

    transformers imports the class of a tokenizer when it is first used.
    """
    from xferlab.backend.process import import_backend

    import_backend()
    for name in LIBRARIES:
        importlib.import_module(name)
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: F401

    from xferlab.training.network_cache import NETWORK_CACHE

    NETWORK_CACHE.is_enabled = True  # in the forks
    gc.freeze()  # no collection in a fork writes to these objects, which would copy their pages


def end_process(code: int) -> NoReturn:
    """End as an interpreter does, without deleting a million objects first (0.4 s).

    ``multiprocessing`` ends its forks so too.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@dataclass
class _Fork:
    """A process that runs a job, or waits for another one.

    Attributes:
        pid: of the process.
        requests: file descriptor that it reads the folders of further jobs from.
        kind: what all of its jobs have in common; empty where it runs one job only.
        environment: variables of its slot.
        folder: of the job that runs; empty while it waits.
    """

    pid: int
    requests: int
    kind: str
    environment: Mapping[str, str]
    folder: str


class _Server:
    """Forks jobs and reports their ends.

    Args:
        replies: file descriptor of the replies.
    """

    def __init__(self, replies: int) -> None:
        self._replies = replies
        self._job_input, self._lifeline = os.pipe()
        """Standard input of every job; nobody writes, and it closes when this process is gone."""
        self._waiting, self._waits = os.pipe()
        """A fork that waits for another job writes its process id."""
        self._forks: dict[int, _Fork] = {}

    def serve(self) -> None:
        """Run a job for each request until there are no more requests."""
        unread = b""
        while True:
            timeout = POLL_SECONDS if self._forks else None
            readable = select.select([0, self._waiting], [], [], timeout)[0]
            if self._waiting in readable:
                self._report_waiting()
            self._report_ended()
            if 0 not in readable:
                continue
            data = os.read(0, 65536)
            if not data:
                self._dismiss(self._idle())
                return
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                request = json.loads(line)
                fork = self._reuse(**request) or self._fork(**request)
                self._reply(fork, None)

    def _idle(self) -> list[_Fork]:
        """Return the forks that wait, the one that waits for longest first."""
        return [fork for fork in self._forks.values() if not fork.folder]

    def _reuse(self, folder: str, environment: dict[str, str]) -> _Fork | None:
        """Give a job to a fork that waits for one of its kind."""
        kind = kind_of(folder, environment)
        for fork in self._idle():
            if kind and fork.kind == kind:
                with suppress(BrokenPipeError):  # it has just died
                    os.write(fork.requests, f"{folder}\n".encode())
                    fork.folder = folder
                    return fork
        return None

    def _fork(self, folder: str, environment: dict[str, str]) -> _Fork:
        """Fork a process for a job, in place of one that waits with the same device."""
        self._dismiss([fork for fork in self._idle() if fork.environment == environment][:1])
        kind = kind_of(folder, environment)
        sys.stdout.flush()
        sys.stderr.flush()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            inherited = [writer, *(fork.requests for fork in self._forks.values())]
            for descriptor in (self._lifeline, self._replies, self._waiting, *inherited):
                os.close(descriptor)
            self._run(folder, environment, reader)
        os.close(reader)
        self._forks[pid] = _Fork(pid, writer, kind, environment, folder)
        return self._forks[pid]

    def _run(self, folder: str, environment: dict[str, str], requests: int) -> NoReturn:
        """Run jobs in this process, a fork, and end it."""
        code: Any = 1
        try:
            os.setsid()
            os.dup2(self._job_input, 0)
            os.close(self._job_input)
            os.environ.update(environment)
            code = _run_in(folder)
            while code == 0 and can_run_another():
                os.write(self._waits, f"{os.getpid()}\n".encode())
                folder = os.read(requests, 65536).decode().strip()
                if not folder:
                    break
                code = 1
                code = _run_in(folder)
        except SystemExit as e:
            code = e.code
        except BaseException:  # noqa: BLE001 - as an interpreter ends
            traceback.print_exc()
        finally:
            end_process(code if isinstance(code, int) else int(code is not None))

    def _report_waiting(self) -> None:
        """Report the jobs of the forks that wait for another one."""
        for pid in map(int, os.read(self._waiting, 65536).split()):
            fork = self._forks.pop(pid, None)
            if fork is not None:
                self._reply(fork, 0)
                fork.folder = ""
                self._forks[pid] = fork  # the last that waits

    def _report_ended(self) -> None:
        """Report the jobs of the forks that have ended."""
        while self._forks:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            fork = self._forks.pop(pid, None)
            if fork is not None:
                os.close(fork.requests)
                if fork.folder:
                    self._reply(fork, os.waitstatus_to_exitcode(status))

    def _dismiss(self, forks: list[_Fork]) -> None:
        """End forks that wait."""
        for fork in forks:
            os.close(fork.requests)
            os.waitpid(fork.pid, 0)
            del self._forks[fork.pid]

    def _reply(self, fork: _Fork, code: int | None) -> None:
        reply: dict[str, Any] = {"folder": fork.folder, "pid": fork.pid, "code": code}
        os.write(self._replies, json.dumps(reply).encode() + b"\n")


def kind_of(folder: str, environment: Mapping[str, str]) -> str:
    """Return what jobs of one process have in common; empty for a job that cannot be read."""
    try:
        config = read_job(Path(folder))["config"]
    except (XferlabError, OSError):
        return ""  # the job reports it
    common = {key: value for key, value in config.items() if key not in ABOVE}
    return json.dumps([common, dict(environment)], sort_keys=True, default=str)


def can_run_another() -> bool:
    """Return whether this process keeps a network that another job can use."""
    from xferlab.training.network_cache import NETWORK_CACHE

    return not NETWORK_CACHE.is_empty


def _run_in(folder: str) -> int:
    """Run the job in a folder, with its output in a file there."""
    with Path(folder, "output.txt").open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    code = run_job([folder, "--tied"])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
