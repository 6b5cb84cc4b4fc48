"""What a sweep keeps on disk before its first job starts, and how it is found again.

``sweep.json`` names the jobs; each job's folder has a ``job.json`` with its resolved config and
the digests of the plugin files that it uses. From then on no YAML file is read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xferlab.config.recipe import Recipe, read_plain
from xferlab.contracts import GROUPS
from xferlab.errors import RunError
from xferlab.files import sha256_of, write_json
from xferlab.records import read_record
from xferlab.registry import REGISTRY
from xferlab.runs.record import RUN_ID
from xferlab.runs.snapshots import delete_snapshots
from xferlab.sweep.plan import Plan
from xferlab.sweep.state import FINISHED, RUNNING, state_of

PLAN, JOB, SEARCH = "sweep.json", "job.json", "search.json"
LARGEST_PLAN = 64_000_000  # bytes; ten thousand jobs have about three million
PLAN_SHAPE = {
    "name?": (str, None),
    "swept": [str],
    "asked": [RUN_ID],
    "jobs": [{"run_id": RUN_ID, "words": [str]}],
}
JOB_SHAPE = {"words": [str], "plugins": {"*": str}, "config": dict}
"""What the two files hold, as far as it is read again; see ``records.Shape``."""


def read_plan(folder: Path) -> dict[str, Any]:
    """Return the content of a sweep's ``sweep.json``."""
    return read_record(folder / PLAN, PLAN_SHAPE, largest=LARGEST_PLAN)


def read_job(folder: Path) -> dict[str, Any]:
    """Return the content of a job's ``job.json``."""
    return read_record(folder / JOB, JOB_SHAPE)


def folder_for(plan: Plan) -> Path:
    """Return the folder of the sweep that ``plan`` continues, or else of a new one.

    An earlier sweep beside the new one is continued if it has the same ``name`` and shares a
    job with the plan; where several do, the one that shares most, then the newest.
    """
    explicit = any(word.startswith("hydra.sweep.dir=") for word in plan.words)
    if explicit or (plan.folder / PLAN).exists():
        return plan.folder
    wanted = {job.run_id for job in plan.jobs}
    shared = {
        path.parent: len(wanted.intersection(known))
        for path in sorted(plan.folder.parent.glob(f"*/{PLAN}"))
        for name, known in [_name_and_jobs(path)]
        if name == plan.name and not (path.parent / SEARCH).exists()
    }
    best = max(shared, key=lambda folder: (shared[folder], folder.name), default=plan.folder)
    return best if shared.get(best) else plan.folder


def _name_and_jobs(path: Path) -> tuple[str | None, list[str]]:
    record = read_plan(path.parent)
    return record.get("name"), [job["run_id"] for job in record["jobs"]]


def freeze(plan: Plan, folder: Path, command: Iterable[str]) -> list[str]:
    """Write the plan and every job that has not finished; return the plugins that changed.

    Jobs of earlier commands in this folder stay in its plan.
    """
    digests, changed = Digests(), set()
    earlier = read_plan(folder) if (folder / PLAN).exists() else {"jobs": [], "swept": []}
    jobs = {job["run_id"]: job["words"] for job in earlier["jobs"]}
    for job in plan.jobs:
        record = job_record(job, digests)
        if job.run_id in jobs:
            changed.update(freeze_again(record, folder / job.run_id))
        else:
            _freeze_job(record, folder / job.run_id)
    jobs |= {job.run_id: list(job.words) for job in plan.jobs}
    record = {
        "name": plan.name,
        "planned": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "swept": list(dict.fromkeys([*earlier["swept"], *plan.swept])),
        "asked": [job.run_id for job in plan.jobs],
        "plugins": digests.seen,
        "jobs": [{"run_id": run_id, "words": words} for run_id, words in jobs.items()],
    }
    write_json(folder / PLAN, record)
    return sorted(changed)


def job_record(job: Any, digests: Digests) -> dict[str, Any]:
    """Return the content of a job's ``job.json``."""
    return {
        "run_id": job.run_id,
        "words": list(job.words),
        "plugins": {name: digests.of(name) for name in plugins_of(job.config)},
        "config": job.config,
    }


def _freeze_job(record: dict[str, Any], job: Path) -> None:
    """Write a new job's ``job.json``.

    It is not synced: a job is one once ``sweep.json`` names it, and that is written after this.
    """
    job.mkdir(parents=True, exist_ok=True)
    (job / JOB).write_text(json.dumps(record), encoding="utf-8")


def freeze_again(record: dict[str, Any], job: Path) -> list[str]:
    """Freeze a job of an earlier command as it is now; return the plugins that have changed.

    One that is done, or at work, stays as it is. What was trained with other plugins is not gone
    on with: the result would be neither's.
    """
    before = read_job(job)
    if before == record or state_of(job).status in (FINISHED, RUNNING):
        return []
    write_json(job / JOB, record)
    changed = _changed(before, record)
    if changed:
        delete_snapshots(job / "checkpoints")
    return changed


def changed_plugins(plan: Plan, folder: Path) -> list[str]:
    """Return the plugins of jobs left to do that have changed since those were planned."""
    digests, changed = Digests(), set()
    for job in plan.jobs:
        where = folder / job.run_id
        if (where / JOB).exists() and state_of(where).status not in (FINISHED, RUNNING):
            changed.update(_changed(read_job(where), job_record(job, digests)))
    return sorted(changed)


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name, sha in now["plugins"].items() if before["plugins"].get(name) != sha]


class Digests:
    """SHA-256 of plugin files, each read once."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def of(self, name: str) -> str:
        if name not in self.seen:
            self.seen[name] = plugin_digest(name)
        return self.seen[name]


def plugins_of(config: Mapping[str, Any]) -> list[str]:
    """Return ``loss=focal`` and so on for every plugin that a config names."""
    single = [f"{g}={config[g]['name']}" for g in GROUPS if g != "metric"]
    return [*single, *(f"metric={node['name']}" for node in config["metric"].values())]


def plugin_digest(name: str) -> str:
    """Return the SHA-256 of the file that registers ``loss=focal``, as it is now."""
    path = Path(_file_of(name))
    return sha256_of(path) if path.is_file() else ""


def _file_of(name: str) -> str:
    group, _, word = name.partition("=")
    return REGISTRY.get(group, word).origin.rpartition(":")[0]


def frozen_recipe(folder: Path) -> Recipe:
    """Return the recipe of a frozen job.

    Raises:
        ConfigError: a plugin refuses the config, which it did not when it was frozen.
        RunError: a plugin's file has changed since then.
    """
    record = read_job(folder)
    for name, digest in record["plugins"].items():
        if plugin_digest(name) != digest:
            raise RunError(
                f"the plugin {name} has changed since this job was planned",
                where=_file_of(name),
                fix="type the sweep's command again to run the rest with the new one, or undo"
                " the change",
            )
    return read_plain(record["config"])
