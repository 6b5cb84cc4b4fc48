"""A job of no length that leaves what a run leaves, and a sweep of such jobs.

``python stub_job.py job FOLDER`` is the job: what it does is told by its seed (see BEHAVIOUR).
``python stub_job.py sweep OVERRIDES`` is ``python -m xferlab -m OVERRIDES`` with such jobs, each a
fresh process; with ``warm-sweep`` they are forks.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from unittest import mock

from xferlab.io.atomic import atomic_write, write_json
from xferlab.runs.metadata import write_status
from xferlab.sweeps.manifest import read_job

FAILS = 101
DIES = 102
ENDS_SILENTLY = 103
SLEEPS = 104
NO_NUMBER = 105
HANGS = 106
FORK_SERVER = [sys.executable, "-m", "tests.support.stub_fork_server"]


def job(folder: Path) -> None:
    """Do what the seed says; the score is highest at a rate of 3e-5."""
    write_status(folder, "running")
    config = read_job(folder)["config"]
    seed = config["seed"]
    rate = float(config["optimizer"]["lr"])
    if seed == FAILS:
        atomic_write(folder / "error.txt", " error: no such rows\n where: data\n   fix: add some\n")
        write_status(folder, "failed", error="no such rows")
        sys.exit(1)
    if seed == NO_NUMBER:
        write_status(folder, "nan", error="the loss is NaN at step 3")
        sys.exit(1)
    if seed == DIES:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == ENDS_SILENTLY:
        sys.exit(3)
    if seed == HANGS:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        atomic_write(folder / "asleep", "")
        while True:
            time.sleep(0.1)
    if seed == SLEEPS:
        signal.signal(
            signal.SIGTERM, lambda *_: (write_status(folder, "interrupted"), os._exit(143))
        )
        signal.signal(
            signal.SIGINT, lambda *_: (write_status(folder, "interrupted"), os._exit(130))
        )
        is_first_attempt = not (folder / "slept").exists()
        atomic_write(folder / "slept", "")
        atomic_write(folder / "asleep", "")  # from here on a test sends its signal
        if is_first_attempt:
            time.sleep(60)
    write_results(folder, 0.9 - abs(rate - 3e-5) * 1000 + seed / 1000)


def write_results(folder: Path, score: float, epochs: int = 3) -> None:
    """Write the scores of a finished run whose second epoch was the best."""
    rows = [f"{e},{e * 10},0.5,{score - 0.01 * abs(e - 2)},1.5" for e in range(1, epochs + 1)]
    text = "\n".join(["epoch,step,val_loss,val_accuracy,seconds", *rows])
    atomic_write(folder / "history.csv", text + "\n")
    best = {"monitor": "val_accuracy", "value": score, "epoch": 2}
    test = {"loss": 0.4, "accuracy": score - 0.02}
    write_json(folder / "metrics.json", {"best": best, "test": test, "seconds": 1.5 * epochs})
    write_status(folder, "finished")


def command(folder: Path) -> list[str]:
    """Return the command of a stand-in job."""
    return [sys.executable, __file__, "job", str(folder)]


def sweep(
    overrides: list[str], workers: int = 1, worker_command=command, *, isolate: bool = True
) -> int:
    """Run ``-m OVERRIDES`` as the command line does, with stub jobs as worker processes."""
    from xferlab.cli.sweep import sweep as run_sweep
    from xferlab.config.compose import publish
    from xferlab.discovery import load_plugins
    from xferlab.sweeps import job_processes, launcher

    load_plugins(Path.cwd())
    publish(Path.cwd())
    settings = [f"sweep.isolate={str(isolate).lower()}"]
    if workers > 1:
        settings.append(f"sweep.workers={workers}")
    with (
        mock.patch.object(launcher, "worker_command", worker_command),
        mock.patch.object(job_processes, "FORK_SERVER", FORK_SERVER),
    ):
        return run_sweep([*overrides, *settings])


if __name__ == "__main__":
    if sys.argv[1] == "job":
        job(Path(sys.argv[2]))
    else:
        sys.exit(sweep(sys.argv[2:], isolate=sys.argv[1] == "sweep"))
