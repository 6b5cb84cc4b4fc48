"""The manifest of a sweep, written before its first job starts, and how it is found again.

``sweep.json`` names the jobs; each job's folder has a ``job.json`` with its resolved config and
the digests of the plugin files that it uses. After that no YAML file is read again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xferlab
from xferlab.config.recipe import Recipe, read_plain
from xferlab.deprecated import current_job, current_plan
from xferlab.errors import RunError, XferlabError, printable, what_of
from xferlab.io.atomic import write_json
from xferlab.io.records import read_record
from xferlab.runs.checkpoints import delete_checkpoints
from xferlab.runs.inputs import FILE as INPUTS
from xferlab.runs.inputs import InputsReader, changed_since, file_of, fixed_inputs, inputs_of
from xferlab.runs.metadata import MAX_PLAN_BYTES, PLAN, RUN_ID, planned_epochs
from xferlab.sweeps.job_state import DONE, FINISHED, RUNNING, State, state_of
from xferlab.sweeps.planner import Job, Plan

JOB = "job.json"
SEARCH = "search.json"
REPLACED = "replaced"
"""In a sweep's folder: results of jobs whose data or plugins have changed since."""
DAMAGED = "damaged"
"""State of a job whose own files cannot be read; it runs again."""
PLAN_SHAPE = {
    "name?": (str, None),
    "swept": [str],
    "requested": [RUN_ID],
    "jobs": [{"run_id": RUN_ID, "overrides": [str]}],
    "command?": [str],
    "xferlab?": str,
}
JOB_SHAPE = {
    "overrides": [str],
    "plugins": {"*": str},
    "inputs?": {"*": str},
    "config": dict,
    "xferlab?": str,
}
"""The parts of the two files that are read again; see ``records.Shape``."""


def read_plan(folder: Path) -> dict[str, Any]:
    """Return the content of a sweep's ``sweep.json``."""
    return read_record(folder / PLAN, PLAN_SHAPE, largest=MAX_PLAN_BYTES, upgrade=current_plan)


def unfinished(folder: Path) -> list[Path]:
    """Return the folders of the jobs that the last command requested and that are not done."""
    jobs = [folder / run_id for run_id in read_plan(folder)["requested"]]
    return [job for job in jobs if state_of(job).status not in DONE]


def read_job(folder: Path) -> dict[str, Any]:
    """Return the content of a job's ``job.json``."""
    return read_record(folder / JOB, JOB_SHAPE, upgrade=current_job)


def epochs_of(folder: Path) -> int | None:
    """Return how many epochs a job has; None where its data decides, and it has not started."""
    epochs = read_job(folder)["config"].get("train", {}).get("epochs")
    return epochs if isinstance(epochs, int) else planned_epochs(folder)


def folder_for(plan: Plan) -> Path:
    """Return the folder of the sweep that ``plan`` continues, or else of a new one.

    An earlier sweep beside the new one is continued if it has the same ``name`` and shares a
    job with the plan; where several do, the one that shares most, then the newest.
    """
    explicit = any(each.startswith("hydra.sweep.dir=") for each in plan.overrides)
    if explicit or (plan.folder / PLAN).exists():
        return plan.folder
    wanted = {job.run_id for job in plan.jobs}
    shared = {}
    for folder in neighbours(plan.folder, PLAN):
        record = read_or_skip(read_plan, folder)
        if record and record.get("name") == plan.name and not (folder / SEARCH).exists():
            shared[folder] = len(wanted.intersection(job["run_id"] for job in record["jobs"]))
    best = max(shared, key=lambda folder: (shared[folder], folder.name), default=plan.folder)
    return best if shared.get(best) else plan.folder


def neighbours(folder: Path, name: str) -> list[Path]:
    """Return the folders beside ``folder`` that hold a file of that name, sorted."""
    return [path.parent for path in sorted(folder.parent.glob(f"*/{name}"))]


def read_or_skip(read: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any] | None:
    """Return what ``read`` finds in a neighbour's folder; a damaged one is reported and skipped."""
    try:
        return read(folder)
    except (XferlabError, OSError) as e:
        print(f"note       {printable(f'{folder} is skipped: {what_of(e)}')}", file=sys.stderr)
        return None


def note_upgrade(record: Mapping[str, Any]) -> None:
    """Print that another version of xferlab wrote a sweep's record, if one did.

    The next record has the present version, so this is printed once.
    """
    version = record.get("xferlab", xferlab.__version__)
    if version != xferlab.__version__:
        what = f"xferlab {version} began this, {xferlab.__version__} continues it: finished jobs"
        text = printable(f"{what} are kept, the others run with the present version")
        print(f"note       {text}", file=sys.stderr)


def write_manifest(plan: Plan, folder: Path, command: Iterable[str]) -> list[str]:
    """Write the plan and every job that is to run; return what has changed since it was planned.

    Jobs of earlier commands in this folder stay in its plan.
    """
    reader = InputsReader()
    changed = set()
    earlier = read_plan(folder) if (folder / PLAN).exists() else {"jobs": [], "swept": []}
    overrides = {job["run_id"]: job["overrides"] for job in earlier["jobs"]}
    for job in plan.jobs:
        if job.run_id in overrides:
            changed.update(rewrite_manifest(job, folder / job.run_id, reader))
        else:
            _write_job(job_record(job, reader), folder / job.run_id)
    overrides |= {job.run_id: list(job.overrides) for job in plan.jobs}
    record = {
        "name": plan.name,
        "planned": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "swept": list(dict.fromkeys([*earlier["swept"], *plan.swept])),
        "requested": [job.run_id for job in plan.jobs],
        "plugins": reader.plugins,
        "xferlab": xferlab.__version__,
        "jobs": [{"run_id": run_id, "overrides": each} for run_id, each in overrides.items()],
    }
    write_json(folder / PLAN, record)
    return sorted(changed)


def job_record(job: Job, reader: InputsReader) -> dict[str, Any]:
    """Return the content of a job's ``job.json``."""
    return {
        "run_id": job.run_id,
        "overrides": list(job.overrides),
        **reader.of(job.config).record(),
        "config": job.config,
    }


def _write_job(record: dict[str, Any], job: Path) -> None:
    """Write a new job's ``job.json``.

    It is not synced: a job counts once ``sweep.json`` names it, and that is written after this.
    """
    job.mkdir(parents=True, exist_ok=True)
    (job / JOB).write_text(json.dumps(record), encoding="utf-8")


def rewrite_manifest(job: Job, folder: Path, reader: InputsReader) -> list[str]:
    """Write a job of an earlier command as it is now; return what has changed since.

    One that runs stays as it is, and so does one that has finished if nothing has changed. What was
    trained with other plugins or data is not resumed: the result would belong to neither. An
    earlier result moves to the folder ``replaced``, and the job runs again.
    """
    state, before = read_job_state(folder)
    record = job_record(job, reader)
    status = state.status
    if status == RUNNING:
        return []
    if status == DAMAGED or before is None:
        move_to_replaced(folder)
        _write_job(record, folder)
        return []
    changed = changed_since(fixed_inputs(before), reader.of(job.config), job.config)
    if before == record or (status == FINISHED and not changed):
        return []
    if status == FINISHED:
        move_to_replaced(folder)
        _write_job(record, folder)
    else:
        write_json(folder / JOB, record)
    if changed:
        forget_progress(folder)
    return changed


def move_to_replaced(folder: Path) -> None:
    """Move a job's folder into ``replaced`` beside it."""
    target = folder.parent / REPLACED
    number = 1
    while (target / f"{folder.name}-{number}").exists():
        number += 1
    if folder.exists():
        target.mkdir(exist_ok=True)
        folder.rename(target / f"{folder.name}-{number}")


def forget_progress(folder: Path) -> None:
    """Delete what a job would be resumed from, and the digests of what it was trained on."""
    delete_checkpoints(folder / "checkpoints")
    for name in (INPUTS, "run.json"):
        (folder / name).unlink(missing_ok=True)


def read_job_state(folder: Path) -> tuple[State, dict[str, Any] | None]:
    """Return a job's state, ``damaged`` if its files cannot be read, and its ``job.json``."""
    try:
        record = read_job(folder) if (folder / JOB).exists() else None
        return state_of(folder), record
    except (XferlabError, OSError) as e:
        return State(DAMAGED, {"error": what_of(e)}, folder), None


def read_job_states(plan: Plan, folder: Path) -> tuple[dict[str, State], dict[str, list[str]]]:
    """Return the jobs' states, and what has changed since each was planned, by run id.

    Nothing has changed for those that run.
    """
    reader = InputsReader()
    states: dict[str, State] = {}
    changed: dict[str, list[str]] = {}
    for job in plan.jobs:
        states[job.run_id], record = read_job_state(folder / job.run_id)
        if record is not None and states[job.run_id].status != RUNNING:
            names = changed_since(fixed_inputs(record), reader.of(job.config), job.config)
            if names:
                changed[job.run_id] = names
    return states, changed


def manifest_recipe(folder: Path) -> Recipe:
    """Return the recipe of a planned job.

    Raises:
        ConfigError: a plugin refuses the config, which it accepted when the job was planned.
        RunError: a plugin's file, or what it reads, has changed since then.
    """
    record = read_job(folder)
    before = fixed_inputs(record)
    changed = changed_since(before, inputs_of(record["config"]), record["config"])
    if changed:
        plugin = changed[0].partition(": ")[0]
        is_plugin = plugin in record["plugins"]
        subject = f"the plugin {changed[0]}" if is_plugin else changed[0]
        raise RunError(
            f"{subject} has changed since this job was planned",
            where=str(file_of(plugin)) if is_plugin else str(folder),
            fix="run the sweep's command again to use the new version, or undo the change",
        )
    return read_plain(record["config"])
