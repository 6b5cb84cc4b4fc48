"""The fork server of a sweep with jobs of no length: it imports no library."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from tests.support import stub_job
from xferlab.io.atomic import atomic_write
from xferlab.runs.lock import locked
from xferlab.sweeps import fork_server, worker


def run_job(arguments: list[str]) -> int:
    """Run a stub job, with the lock and the lifeline of a run."""
    folder = Path(arguments[0])
    threading.Thread(target=worker._stop_when_input_closes, daemon=True).start()
    with locked(folder):
        environment = f"{os.environ.get('DEVICE')} {os.environ.get('THREADS')}"
        atomic_write(folder / "seen", f"{os.getppid()}\n{environment}\n{os.getcwd()}")
        sys.stdout.write("output of the job\n")
        stub_job.job(folder)
    return 0


if __name__ == "__main__":
    fork_server.import_libraries = lambda: None
    fork_server.run_job = run_job
    fork_server.can_run_another = lambda: "REUSES" in os.environ
    sys.exit(fork_server.main())
