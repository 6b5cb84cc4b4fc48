"""Forks a process for each job of a sweep, with the libraries imported once for all of them.

``python -m xferlab.sweep.fork_server`` reads requests from standard input, a line of JSON each:
``folder`` and ``environment`` of a job. It writes a line with ``folder``, ``pid`` and ``code`` when
a job has started (``code`` is null) and when it has ended. It ends when its input does.

It imports and does nothing else: no plugin, no operation of TensorFlow, no GPU. So it has no
state that a job could inherit, and a fork of it is a job's process as a fresh one is after its
imports.
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
from pathlib import Path
from typing import Any, NoReturn

from xferlab.sweep.local_pool import DUMP_STACKS
from xferlab.sweep.worker import main as run_job

POLL_SECONDS = 0.05
LIBRARIES = (
    "matplotlib.backends.backend_agg",
    "safetensors.numpy",
    "sklearn.metrics",
    "tensorboard.plugins.hparams.summary_v2",
    "xferlab.experiment.run",
)
"""What a run imports on its way, beside TensorFlow."""


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
    from transformers import PreTrainedTokenizerFast  # noqa: F401

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


class _Server:
    """Forks jobs and reports their ends.

    Args:
        replies: file descriptor of the replies.
    """

    def __init__(self, replies: int) -> None:
        self._replies = replies
        self._job_input, self._lifeline = os.pipe()
        """Standard input of every job; nobody writes, and it closes when this process is gone."""
        self._folders: dict[int, str] = {}

    def serve(self) -> None:
        """Fork a job for each request until there are no more requests."""
        unread = b""
        while True:
            timeout = POLL_SECONDS if self._folders else None
            readable = select.select([0], [], [], timeout)[0]
            self._report_ended()
            if not readable:
                continue
            data = os.read(0, 65536)
            if not data:
                return
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                request = json.loads(line)
                sys.stdout.flush()
                sys.stderr.flush()
                pid = os.fork()
                if pid == 0:
                    self._run(**request)
                self._folders[pid] = request["folder"]
                self._reply(pid, None)

    def _run(self, folder: str, environment: dict[str, str]) -> NoReturn:
        """Run a job in this process, a fork, and end it."""
        code: Any = 1
        try:
            os.setsid()
            os.dup2(self._job_input, 0)
            for descriptor in (self._job_input, self._lifeline, self._replies):
                os.close(descriptor)
            with Path(folder, "output.txt").open("ab") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            os.environ.update(environment)
            sys.argv[1:] = [folder, "--tied"]
            code = run_job(sys.argv[1:])
        except SystemExit as e:
            code = e.code
        except BaseException:  # noqa: BLE001 - as an interpreter ends
            traceback.print_exc()
        finally:
            end_process(code if isinstance(code, int) else int(code is not None))

    def _report_ended(self) -> None:
        while self._folders:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in self._folders:
                self._reply(pid, os.waitstatus_to_exitcode(status))
                del self._folders[pid]

    def _reply(self, pid: int, code: int | None) -> None:
        reply: dict[str, Any] = {"folder": self._folders[pid], "pid": pid, "code": code}
        os.write(self._replies, json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
