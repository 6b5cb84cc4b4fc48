"""``-m`` from the words to the table: plan, continue or begin, run, report."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from xferlab.cli.search import run_search
from xferlab.config.overrides import as_word, key_of
from xferlab.errors import ConfigError, printable
from xferlab.escaping import visible
from xferlab.runs.checkpoints import latest_step
from xferlab.runs.folder_access import own_place, refuse_unusable
from xferlab.sweep.engine_launcher import offer_engines
from xferlab.sweep.hydra_plugins import publish_sweeper
from xferlab.sweep.job_state import FINISHED, QUEUED, RESUMED, RUNNING, State, state_of
from xferlab.sweep.local_pool import SweepStopped
from xferlab.sweep.manifest import (
    DAMAGED,
    PLAN,
    REPLACED,
    SEARCH,
    folder_for,
    freeze,
    look_at_jobs,
)
from xferlab.sweep.planner import Job, Plan, plan_sweep

CHANGED = "to redo"
"""How a job stands that finished with other data or plugins than there are now."""


def run_sweep(
    words: Sequence[str],
    launch: Callable[[list[str]], None],
    tell: Callable[[Path], object],
    *,
    config_name: str = "config",
    dry_run: bool = False,
) -> int:
    """Run the jobs of a sweep that have not finished, and print its table.

    Args:
        words: the overrides as typed.
        launch: runs Hydra on the overrides it is given.
        tell: reports on the sweep in a folder.
        config_name: the config to start from.
        dry_run: print the jobs and how they stand; write and run nothing.

    Returns:
        0 all asked for have finished, 1 one failed, 130 or 143 stopped by a signal.
    """
    plan = plan_sweep(words, config_name)
    refuse_unusable(plan.folder, "choose another hydra.sweep.dir")
    if plan.search:
        return run_search(plan, launch, tell, dry_run=dry_run)
    folder = folder_for(plan)
    _refuse_search(folder)
    for name in () if dry_run else (REPLACED, *(job.run_id for job in plan.jobs)):
        own_place(folder, name)
    states, changed = look_at_jobs(plan, folder)
    _report_damaged(states)
    redone = [run_id for run_id in changed if states[run_id].status == FINISHED]
    for run_id in redone:
        states[run_id] = State(CHANGED, folder=folder / run_id)
    print(visible(opening_line(folder, list(states.values()))), file=sys.stderr)
    for line in _changed_lines(changed, len(redone), folder):
        print(line, file=sys.stderr)
    if dry_run:
        print(visible("\n".join(job_lines(plan, states))))
        return 0
    freeze(plan, folder, sys.argv)
    code = 0
    if any(state.status != FINISHED for state in states.values()):
        publish_sweeper()
        offer_engines()
        try:
            launch([*plan.hydra_words, as_word("hydra.sweep.dir", os.path.abspath(folder))])
        except SweepStopped as e:
            code = 128 + e.number
    tell(folder)
    ends = {state_of(folder / job.run_id).status for job in plan.jobs}
    if code or ends.intersection(RESUMED):
        print("stopped    the same command goes on", file=sys.stderr)
    return code or int(ends != {FINISHED})


def _report_damaged(states: Mapping[str, State]) -> None:
    """Name the jobs whose files are damaged: they are done again."""
    for state in states.values():
        if state.status == DAMAGED:
            what = f"{state.folder} is done again: {state.record['error']}"
            print(f"note       {printable(what)}", file=sys.stderr)


def _changed_lines(changed: dict[str, list[str]], redone: int, folder: Path) -> list[str]:
    """Return a line for each thing that has changed since the jobs were planned."""
    names = sorted({name for each in changed.values() for name in each})
    lines = [f"{name} has changed since this sweep began; what is left uses it as it is now"
             for name in names]  # fmt: skip
    if redone:
        what = "1 finished job is" if redone == 1 else f"{redone} finished jobs are"
        lines.append(f"{what} done again; the earlier results are in {folder / REPLACED}")
    return [f"note       {printable(line)}" for line in lines]


def _refuse_search(folder: Path) -> None:
    if (folder / SEARCH).exists():
        raise ConfigError(
            "this folder holds a search", where=str(folder), fix="name another hydra.sweep.dir"
        )


def opening_line(folder: Path, states: Sequence[State]) -> str:
    """Return what is begun or continued, and what of it is left to do."""
    counts = Counter(_left_to_do(state) for state in states)
    if not (folder / PLAN).exists():
        return f"sweep      {folder}: {len(states)} job{'s' * (len(states) != 1)}"
    told = ", ".join(f"{counts[word]} {word}" for word in TO_DO if counts[word])
    more = "; name=ANOTHER begins a new one" if counts["finished"] == len(states) else ""
    return f"continuing {folder}: {told}{more}"


TO_DO = ("finished", "running elsewhere", "to resume", CHANGED, "to run again", "to run")


def _left_to_do(state: State) -> str:
    snapshots = state.folder / "checkpoints"
    if state.status in RESUMED or (state.status == "failed" and latest_step(snapshots)):
        return "to resume"
    words = {FINISHED: "finished", RUNNING: "running elsewhere", QUEUED: "to run"}
    words[CHANGED] = CHANGED
    return words.get(state.status, "to run again")


def job_lines(plan: Plan, states: dict[str, State]) -> list[str]:
    """Return a line a job: its id, how it stands, the words that are its own."""
    return [
        f"{job.run_id}  {_left_to_do(states[job.run_id]):<12}  {_own_words(plan, job)}"
        for job in plan.jobs
    ]


def _own_words(plan: Plan, job: Job) -> str:
    return " ".join(word for word in job.words if key_of(word) in plan.swept)
