"""How planning, skipping and reporting scale: ``python benchmarks/sweep_scale.py [JOBS]``.

The jobs are made up: nothing trains, each leaves the files of a finished run. Peak memory is
that of one process which does all the steps, one after another.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from xferlab.cli.report import print_report, write_report
from xferlab.cli.sweep import sweep
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.report.analysis import analyse
from xferlab.report.comparison import compare
from xferlab.report.settings import read_report
from xferlab.runs.metadata import write_status
from xferlab.sweeps.console import JobLines
from xferlab.sweeps.manifest import folder_for, write_manifest
from xferlab.sweeps.planner import plan_sweep
from xferlab.sweeps.remote_jobs import RemoteJobMonitor


def main(count: int) -> None:
    """Print a row a step: seconds, and the largest memory so far."""
    words = [
        f"sweep.random={{count: {count}, space: {{optimizer.lr: {{loguniform: [1e-6, 1e-2]}}}}}}",
        "optimizer.weight_decay=0.01",
    ]
    grid = ["optimizer.lr=" + ",".join(f"{rate}e-6" for rate in range(1, count // 100 + 1))]
    load_plugins(Path.cwd())
    publish(Path.cwd())
    print(f"{count} jobs asked for\n\n| step | processor seconds | peak MB |\n|---|---|---|")
    plan = step("plan: compose and check", lambda: plan_sweep(words))
    step("plan a grid of as many", lambda: plan_sweep([*grid, "seed=range(100)"]))
    folder = folder_for(plan)
    step("freeze: write all jobs", lambda: write_manifest(plan, folder, ["command"]))
    jobs = [folder / job.run_id for job in plan.jobs]
    step("(pretend that all run)", lambda: [write_status(job, "running") for job in jobs])
    looks = Looks(jobs)
    silently(lambda: RemoteJobMonitor(looks, JobLines(jobs, 1, Console(quiet=True))).run(jobs))
    looks.ended()
    print(f"| one look at all, on other machines and running | {looks.first:.1f} | |")
    print(f"| one look at all, each has just finished | {looks.last:.1f} | |")
    step("(pretend that all have run)", lambda: [pretend(job) for job in jobs])
    step("find the earlier sweep", lambda: folder_for(plan))
    report = step("report: read", lambda: read_report([folder]))
    parts = [analyse(report, compare(report))]
    step("report: write", lambda: write_report(parts))
    step("report: print", lambda: silently(lambda: print_report(report)))
    step(
        "the same command again, all done",
        lambda: silently(lambda: sweep(words)),
    )
    print(f"\n{len(plan.jobs)} distinct jobs")


class Looks:
    """An engine that has all jobs already: they run, and at the third look they have finished.

    Attributes:
        first: processor seconds of the second look.
        last: of the third.
    """

    capacity = None
    delay = 0.0

    def __init__(self, jobs: Sequence[Path]) -> None:
        self.jobs = jobs
        self.times = [0.0]
        self.first = self.last = self.began = 0.0

    def adopt(self, folders: Sequence[Path]) -> Sequence[Path]:
        """Have them all, as after a command that was killed."""
        return folders

    def submit(self, folders: Sequence[Path]) -> None:
        """Be given nothing."""

    def released(self) -> dict[Path, str]:
        """Take the time: this is called when a look begins."""
        self.times.append(time.process_time() - self.began)
        if len(self.times) == 4:  # two looks are over; the job's own writing is not counted
            self.first = self.times[-1]
            for job in self.jobs:
                pretend(job)
        self.began = time.process_time()
        return {}

    def cancel(self, folders: Iterable[Path]) -> None:
        """Be asked for nothing."""

    def ended(self) -> None:
        """Take the time of the last look."""
        self.last = time.process_time() - self.began


def step(name: str, work: Callable[[], Any]) -> Any:
    """Do ``work`` and print its row: processor seconds, which other work on the machine spares."""
    started = time.process_time()
    result = work()
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {name} | {seconds:.1f} | {peak:.0f} |", flush=True)
    return result


def pretend(job: Path) -> None:
    """Leave what a finished run leaves."""
    score = int(job.name, 16) / 16**8
    best = {"monitor": "val_accuracy", "value": score, "epoch": 2}
    metrics = {"best": best, "test": {"loss": 0.4, "accuracy": score}, "seconds": 9.5}
    rows = [f"{epoch},{epoch * 10},0.4,{score},3.2" for epoch in (1, 2, 3)]
    (job / "metrics.json").write_text(json.dumps(metrics))
    (job / "status.json").write_text(json.dumps({"status": "finished"}))
    (job / "history.csv").write_text("\n".join(["epoch,step,val_loss,val_accuracy,seconds", *rows]))


def again(words: list[str]) -> None:
    """Type the sweep's command again."""
    sweep(words)


def silently(work: Callable[[], Any]) -> Any:
    """Do ``work`` without showing what it prints."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        return work()


if __name__ == "__main__":
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as workspace:
        os.chdir(workspace)
        main(jobs)
