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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.report.command import print_report, report_on, write_report
from xferlab.report.comparison import compare
from xferlab.report.settings import read_report
from xferlab.sweep.command import run_sweep
from xferlab.sweep.frozen import folder_for, freeze
from xferlab.sweep.plan import plan_sweep


def main(count: int) -> None:
    """Print a row a step: seconds, and the largest memory so far."""
    words = [
        f"sweep.random={{count: {count}, draw: {{optimizer.lr: {{loguniform: [1e-6, 1e-2]}}}}}}",
        "optimizer.weight_decay=0.01",
    ]
    grid = ["optimizer.lr=" + ",".join(f"{rate}e-6" for rate in range(1, count // 100 + 1))]
    load_plugins(Path.cwd())
    publish(Path.cwd())
    print(f"{count} jobs asked for\n\n| step | processor seconds | peak MB |\n|---|---|---|")
    plan = step("plan: compose and check", lambda: plan_sweep(words))
    step("plan a grid of as many", lambda: plan_sweep([*grid, "seed=range(100)"]))
    folder = folder_for(plan)
    step("freeze: write all jobs", lambda: freeze(plan, folder, ["command"]))
    step("(pretend that all have run)", lambda: [pretend(folder / j.run_id) for j in plan.jobs])
    step("find the earlier sweep", lambda: folder_for(plan))
    report = step("report: read", lambda: read_report([folder]))
    parts = [(report, compare(report))]
    step("report: write, pictures too", lambda: write_report(parts, pictures=True))
    step("report: print", lambda: silently(lambda: print_report(report)))
    step(
        "the same command again, all done",
        lambda: silently(lambda: run_sweep(words, print, lambda folder: report_on([folder]))),
    )
    print(f"\n{len(plan.jobs)} distinct jobs")


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
    run_sweep(words, print, lambda folder: report_on([folder]))


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
