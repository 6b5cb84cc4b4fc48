"""``-m`` from the words to the table: plan, continue or begin, run, report."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from xferlab.config.overrides import as_word, key_of
from xferlab.errors import ConfigError
from xferlab.escaping import visible
from xferlab.runs.snapshots import latest_step
from xferlab.sweep.frozen import PLAN, SEARCH, changed_plugins, folder_for, freeze
from xferlab.sweep.hydra_side import publish_sweeper
from xferlab.sweep.launchers import offer_engines
from xferlab.sweep.plan import Job, Plan, plan_sweep
from xferlab.sweep.pool import SweepStopped
from xferlab.sweep.search_command import run_search
from xferlab.sweep.state import FINISHED, QUEUED, RESUMED, RUNNING, State, state_of


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
    if plan.search:
        return run_search(plan, launch, tell, dry_run=dry_run)
    folder = folder_for(plan)
    _refuse_search(folder)
    states = {job.run_id: state_of(folder / job.run_id) for job in plan.jobs}
    print(visible(opening_line(folder, list(states.values()))), file=sys.stderr)
    changed = changed_plugins(plan, folder) if dry_run else freeze(plan, folder, sys.argv)
    for name in changed:
        print(f"note       {name} has changed since this sweep began; what is left uses it as it"
              " is now", file=sys.stderr)  # fmt: skip
    if dry_run:
        print(visible("\n".join(job_lines(plan, states))))
        return 0
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


TO_DO = ("finished", "running elsewhere", "to resume", "to run again", "to run")


def _left_to_do(state: State) -> str:
    snapshots = state.folder / "checkpoints"
    if state.status in RESUMED or (state.status == "failed" and latest_step(snapshots)):
        return "to resume"
    words = {FINISHED: "finished", RUNNING: "running elsewhere", QUEUED: "to run"}
    return words.get(state.status, "to run again")


def job_lines(plan: Plan, states: dict[str, State]) -> list[str]:
    """Return a line a job: its id, how it stands, the words that are its own."""
    return [
        f"{job.run_id}  {_left_to_do(states[job.run_id]):<12}  {_own_words(plan, job)}"
        for job in plan.jobs
    ]


def _own_words(plan: Plan, job: Job) -> str:
    return " ".join(word for word in job.words if key_of(word) in plan.swept)
