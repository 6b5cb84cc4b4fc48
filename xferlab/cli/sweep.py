"""``-m``: plans a sweep, resumes or begins it, runs what is left, prints its table."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from xferlab.cli.report import report_on
from xferlab.cli.search import run_search, search_folder
from xferlab.config.overrides import key_of
from xferlab.errors import ConfigError, printable
from xferlab.escaping import visible
from xferlab.formatting import format_count
from xferlab.runs.checkpoints import latest_step
from xferlab.runs.folder_access import own_place, refuse_unusable
from xferlab.runs.metadata import PLAN, current_command
from xferlab.sweeps.disk import SecondFiles, disk_lines
from xferlab.sweeps.engine_launcher import offer_engines
from xferlab.sweeps.job_state import FINISHED, QUEUED, RESUMED, RUNNING, State, state_of
from xferlab.sweeps.launcher import launch, launcher_for
from xferlab.sweeps.local_pool import SweepStopped
from xferlab.sweeps.manifest import (
    DAMAGED,
    REPLACED,
    SEARCH,
    folder_for,
    note_upgrade,
    read_job_states,
    read_plan,
    unfinished,
    write_manifest,
)
from xferlab.sweeps.planner import Job, Plan, plan_sweep

CHANGED = "to redo"
"""How a job stands that finished with other data or plugins than there are now."""
TO_DO = ("finished", "running elsewhere", "to resume", CHANGED, "to run again", "to run")


def sweep(overrides: Sequence[str], config_name: str = "config", *, dry_run: bool = False) -> int:
    """Run the jobs of a sweep that have not finished, and print its table.

    Args:
        overrides: of the command line.
        config_name: the config to start from.
        dry_run: print the jobs and their states; write and run nothing.

    Returns:
        0 all requested jobs have finished, 1 one failed, 130 or 143 stopped by a signal.
    """
    return run_plan(plan_sweep(overrides, config_name), dry_run=dry_run)


def run_plan(plan: Plan, *, dry_run: bool = False) -> int:
    """Do what :func:`sweep` does with a sweep that is planned already."""
    refuse_unusable(plan.folder, "choose another hydra.sweep.dir")
    if plan.search:
        return run_search(plan, dry_run=dry_run)
    folder = folder_for(plan)
    _refuse_search(folder)
    for name in () if dry_run else (REPLACED, *(job.run_id for job in plan.jobs)):
        own_place(folder, name)
    states = _print_states(plan, folder)
    if dry_run:
        print(visible("\n".join(job_lines(plan, states))))
        return 0
    write_manifest(plan, folder, current_command())
    code = 0
    if any(state.status != FINISHED for state in states.values()):
        offer_engines()
        try:
            launcher = launcher_for(plan, folder)
            left = [job.config for job in plan.jobs if states[job.run_id].status != FINISHED]
            for line in disk_lines(left, folder, plan.sweep.most_workers):
                print(visible(line), file=sys.stderr)
            launch(launcher, unfinished(folder))
        except SweepStopped as e:
            code = 128 + e.number
    SecondFiles([folder / job.run_id for job in plan.jobs]).finish()
    report_on([folder])
    ends = {state_of(folder / job.run_id).status for job in plan.jobs}
    if code or ends.intersection(RESUMED):
        print("stopped    the same command resumes the sweep", file=sys.stderr)
    return code or int(ends != {FINISHED})


def folder_of(plan: Plan) -> Path:
    """Return the folder that the plan's jobs are in, or will be."""
    return search_folder(plan) if plan.search else folder_for(plan)


def _print_states(plan: Plan, folder: Path) -> dict[str, State]:
    """Print what the sweep has and what is left to do; return the jobs' states by run id."""
    states, changed = read_job_states(plan, folder)
    _report_damaged(states)
    redone = [run_id for run_id in changed if states[run_id].status == FINISHED]
    for run_id in redone:
        states[run_id] = State(CHANGED, folder=folder / run_id)
    print(visible(opening_line(folder, list(states.values()))), file=sys.stderr)
    if (folder / PLAN).exists():
        note_upgrade(read_plan(folder))
    for line in _changed_lines(changed, len(redone), folder):
        print(line, file=sys.stderr)
    return states


def _report_damaged(states: Mapping[str, State]) -> None:
    """Print the jobs whose files are damaged: they run again."""
    for state in states.values():
        if state.status == DAMAGED:
            what = f"{state.folder} runs again: {state.record['error']}"
            print(f"note       {printable(what)}", file=sys.stderr)


def _changed_lines(changed: dict[str, list[str]], redone: int, folder: Path) -> list[str]:
    """Return a line for each input that has changed since the jobs were planned."""
    names = sorted({name for each in changed.values() for name in each})
    lines = [
        f"{name} has changed since this sweep began; the remaining jobs use it as it is now"
        for name in names
    ]
    if redone:
        what = "1 finished job runs" if redone == 1 else f"{redone} finished jobs run"
        lines.append(f"{what} again; the earlier results are in {folder / REPLACED}")
    return [f"note       {printable(line)}" for line in lines]


def _refuse_search(folder: Path) -> None:
    if (folder / SEARCH).exists():
        raise ConfigError(
            "this folder holds a search", where=str(folder), fix="name another hydra.sweep.dir"
        )


def opening_line(folder: Path, states: Sequence[State]) -> str:
    """Return what is begun or resumed, and what is left to do."""
    counts = Counter(_left_to_do(state) for state in states)
    if not (folder / PLAN).exists():
        return f"sweep      {folder}: {format_count(len(states), 'job')}"
    listed = ", ".join(f"{counts[state]} {state}" for state in TO_DO if counts[state])
    more = "; name=ANOTHER begins a new one" if counts["finished"] == len(states) else ""
    return f"continuing {folder}: {listed}{more}"


def _left_to_do(state: State) -> str:
    checkpoints = state.folder / "checkpoints"
    if state.status in RESUMED or (state.status == "failed" and latest_step(checkpoints)):
        return "to resume"
    words = {FINISHED: "finished", RUNNING: "running elsewhere", QUEUED: "to run"}
    words[CHANGED] = CHANGED
    return words.get(state.status, "to run again")


def job_lines(plan: Plan, states: dict[str, State]) -> list[str]:
    """Return a line for each job: its id, its state, the overrides that differ."""
    return [
        f"{job.run_id}  {_left_to_do(states[job.run_id]):<12}  {_own_words(plan, job)}"
        for job in plan.jobs
    ]


def _own_words(plan: Plan, job: Job) -> str:
    return " ".join(word for word in job.overrides if key_of(word) in plan.swept)
