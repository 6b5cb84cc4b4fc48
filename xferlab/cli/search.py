"""``-m`` with a ``search``: begins or resumes it, runs its trials, prints its table."""

from __future__ import annotations

import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xferlab.cli.report import report_on
from xferlab.config.overrides import key_of
from xferlab.errors import ConfigError
from xferlab.escaping import visible
from xferlab.formatting import format_count, format_learning_rate
from xferlab.io.atomic import write_json
from xferlab.io.records import read_record
from xferlab.runs.inputs import changed_since, fixed_inputs, refuse_changed_inputs
from xferlab.runs.lock import is_locked, locked
from xferlab.runs.metadata import PLAN, current_command
from xferlab.sweeps.disk import SecondFiles, disk_lines
from xferlab.sweeps.distributions import Distribution
from xferlab.sweeps.engine_launcher import offer_engines
from xferlab.sweeps.job_state import DONE, QUEUED, RESUMED, state_of
from xferlab.sweeps.launcher import launcher_for
from xferlab.sweeps.local_pool import SweepStopped
from xferlab.sweeps.manifest import (
    SEARCH,
    neighbours,
    note_upgrade,
    read_job,
    read_or_skip,
    read_plan,
)
from xferlab.sweeps.planner import Plan
from xferlab.sweeps.search.controller import Search
from xferlab.sweeps.search.planner import Pruner, SearchPlan, masked
from xferlab.sweeps.search.runner import run_trials
from xferlab.sweeps.search.trials import Trials, refuse_no_optuna

SHAPE = {
    "search": str,
    "name": (str, None),
    "study": str,
    "storage": (str, None),
    "inputs?": {"*": str},
    "plugins?": {"*": str},
    "xferlab?": str,
}
"""What ``search.json`` holds, as far as it is read again; see ``records.Shape``."""


def run_search(plan: Plan, *, dry_run: bool = False) -> int:
    """Begin or continue the search of a plan, and print its table.

    Args:
        plan: a plan with a ``search``.
        dry_run: print what would be searched and the states of its jobs; write and run nothing.

    Returns:
        0 as many jobs as requested have finished or were pruned, 1 one failed, 130 or 143 stopped
        by a signal.
    """
    assert plan.search is not None
    folder = search_folder(plan)
    print(visible(opening_line(plan.search, folder)), file=sys.stderr)
    if (folder / SEARCH).exists():
        note_upgrade(_read_search(folder))
    if dry_run:
        print(visible("\n".join([*search_lines(plan.search), *job_lines(folder)])))
        return 0
    refuse_no_optuna()
    code = 0
    with _alone_in(folder):
        search = begin(plan, folder)
        offer_engines()
        try:
            if search.left:
                launcher = launcher_for(plan, folder)
                configs = [plan.search.configs[0]] * search.left
                for line in disk_lines(configs, folder, plan.sweep.most_workers):
                    _note(line)
                run_trials(search, launcher, plan.sweep.workers)
        except SweepStopped as e:
            code = 128 + e.number
    SecondFiles(_jobs(folder)).finish()
    report_on([folder])
    ends = {state_of(folder / run_id).status for run_id in search.run_ids}
    if code or ends.intersection(RESUMED):
        print("stopped    the same command resumes the search", file=sys.stderr)
    if search.error:
        raise search.error
    return code or int(not ends.issubset(DONE))


def search_folder(plan: Plan) -> Path:
    """Return the folder of the search that ``plan`` continues, or else of a new one.

    Raises:
        ConfigError: the folder that was named holds something else.
    """
    assert plan.search is not None
    wanted = {"search": plan.search.search_id, "name": plan.name}
    explicit = any(word.startswith("hydra.sweep.dir=") for word in plan.overrides)
    if explicit and (plan.folder / PLAN).exists():
        path = plan.folder / SEARCH
        record = _read_search(plan.folder) if path.exists() else {}
        refuse_changed_inputs(plan.folder, _changed(plan.search, record))
        if not _is_of(record, wanted):
            raise ConfigError(
                "this folder holds another sweep"
                + (": another space, seed, sampler or pruner" if path.exists() else ""),
                where=str(plan.folder),
                fix="name another hydra.sweep.dir, or give the overrides that it was started with",
            )
    if explicit:
        return plan.folder
    found = []
    for folder in neighbours(plan.folder, SEARCH):
        there = read_or_skip(_read_search, folder)
        if there and _is_of(there, wanted):
            changed = _changed(plan.search, there)
            if changed:
                _note(f"note       {folder} is not continued: {', '.join(changed)} changed since")
            else:
                found.append(folder)
    return found[-1] if found else plan.folder


def _read_search(folder: Path) -> dict[str, Any]:
    return read_record(folder / SEARCH, SHAPE)


def _is_of(record: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return {key: record.get(key) for key in wanted} == wanted


def _changed(search: SearchPlan, record: dict[str, Any]) -> list[str]:
    """Return the inputs that have changed since the first trial: results cannot be compared."""
    if "inputs" not in record:
        return []
    return changed_since(fixed_inputs(record), search.inputs, search.configs[0])


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of the search's folder: one process samples its trials."""
    if is_locked(folder):
        raise ConfigError(
            "another process runs this search",
            where=str(folder),
            fix="wait for it or stop it; sweep.workers=2 runs two jobs at once",
        )
    with locked(folder):
        yield


def begin(plan: Plan, folder: Path) -> Search:
    """Write the search's record, open the study, and resume its open trials."""
    assert plan.search is not None
    settings = plan.search.settings
    path = folder / SEARCH
    storage = masked(settings.storage) if settings.storage else None
    new = {"study": f"xferlab-{uuid.uuid4().hex[:12]}"}
    before = _read_search(folder) if path.exists() else new
    if before.get("storage", storage) != storage:
        raise ConfigError(
            f"the trials of this search are in {before['storage'] or 'its own folder'}",
            where="sweep.search.storage",
            fix=f"sweep.search.storage={before['storage'] or 'null'}, or name=ANOTHER for a new"
            " search",
        )
    record = {
        "search": plan.search.search_id,
        "name": plan.name,
        "study": before["study"],
        "storage": storage,
        "trials": settings.trials,
        "sampler": settings.sampler.value,
        "pruner": settings.pruner.value,
        "seed": settings.seed,
        "space": settings.space,
        **plan.search.inputs.record(),
    }
    write_json(path, record)
    if not (folder / PLAN).exists():
        _write_plan(plan, folder)
    url = settings.storage or f"sqlite:///{(folder / 'search.db').resolve()}"
    trials = Trials(plan.search, url, before["study"])
    return Search(plan.search, folder, trials, url, _note, fail_fast=plan.sweep.fail_fast)


def _write_plan(plan: Plan, folder: Path) -> None:
    record: dict[str, Any] = {
        "name": plan.name,
        "planned": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [masked(override) for override in current_command()],
        "swept": list(plan.swept),
        "requested": [],
        "plugins": {},
        "jobs": [],
    }
    write_json(folder / PLAN, record)


def _note(text: str) -> None:
    print(visible(text), file=sys.stderr)


def opening_line(search: SearchPlan, folder: Path) -> str:
    """Return whether the search begins or resumes, and what is left to do."""
    trials = search.settings.trials
    if not (folder / SEARCH).exists():
        return f"search     {folder}: {format_count(trials, 'trial')}"
    states = [state_of(job).status for job in _jobs(folder)]
    counts = Counter("to resume" if status in RESUMED else status for status in states)
    counts["to run"] = counts.pop(QUEUED, 0) + max(0, trials - len(states))
    listed = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"continuing {folder}: {listed}"


def search_lines(search: SearchPlan) -> list[str]:
    """Return the sampled keys, their distributions, the sampler and the pruner."""
    settings = search.settings
    epochs = format_count(settings.min_epochs, "epoch")
    ends = f"poor ones pruned by {settings.pruner.value} after {epochs}"
    if settings.pruner is Pruner.none:
        ends = "none pruned"
    width = max(len(distribution.key) for distribution in search.distributions)
    return [
        f"{settings.trials} trials by {settings.sampler.value} (seed {settings.seed}), {ends};"
        f" best {search.monitor}",
        *(
            f"{distribution.key:<{width}}  {_format_distribution(distribution)}"
            for distribution in search.distributions
        ),
    ]


def _format_distribution(distribution: Distribution) -> str:
    if distribution.choices:
        return "one of " + ", ".join(
            distribution.override(each).partition("=")[2] for each in distribution.choices
        )
    return f"{distribution.kind} from {_number(distribution.low)} to {_number(distribution.high)}"


def _number(value: float) -> str:
    return format_learning_rate(value, 4) if 0 < abs(value) < 0.1 else f"{value:g}"


def job_lines(folder: Path) -> list[str]:
    """Return a line for each job that a search has had so far."""
    swept = set(read_plan(folder)["swept"]) if (folder / PLAN).exists() else set()
    return [
        f"{job.name}  {state_of(job).status:<12}  "
        + " ".join(override for override in read_job(job)["overrides"] if key_of(override) in swept)
        for job in _jobs(folder)
    ]


def _jobs(folder: Path) -> list[Path]:
    """Return the folders of a search's jobs so far."""
    requested = read_plan(folder)["requested"] if (folder / PLAN).exists() else []
    return [folder / run_id for run_id in requested]
