"""What was trained: model, data, settings that all jobs share, command, versions, device."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.config.overrides import flatten, key_of
from xferlab.formatting import format_count
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Report
from xferlab.runs.metadata import PLAN
from xferlab.sweeps.manifest import read_plan

MAX_VALUES = 5
"""Of one part, such as models; more are counted."""
SHOWN = 12
"""Characters of a SHA-256."""


@dataclass(frozen=True)
class TrainingSetup:
    """What stands in a report about the jobs together.

    Attributes:
        parts: what was trained, of what, with what: a value or several by a part's name.
        settings: every key that has one value in all jobs, with that value as text.
    """

    parts: Mapping[str, Sequence[str]]
    settings: Mapping[str, str]


def setup_of(report: Report) -> TrainingSetup:
    """Return what the jobs' records and configs have about their training."""
    jobs = report.jobs
    shared = _shared_settings(jobs)
    parts = {
        "model": _distinct(_model(job) for job in jobs),
        "data": _distinct(_data(job) for job in jobs),
        "files": _files(jobs, shared),
        "settings": _chosen(report),
        "command": _commands(report),
        "versions": _distinct(_versions(job) for job in jobs),
        "commit": _distinct(job.record.get("commit") for job in jobs),
        "device": _distinct(_device(job) for job in jobs),
        "precision": _distinct(job.record.get("precision") for job in jobs),
    }
    return TrainingSetup({name: found for name, found in parts.items() if found}, shared)


def _distinct(values: Iterable[str | None]) -> list[str]:
    found = list(dict.fromkeys(value for value in values if value))
    if len(found) <= MAX_VALUES:
        return found
    return [*found[:MAX_VALUES], f"and {len(found) - MAX_VALUES} more"]


def _model(job: JobResult) -> str | None:
    """Return ``bert from FOLDER, revision 1a2b, 22,713,216 parameters, sha256 53aa51172d14``."""
    origin = job.record.get("checkpoint") or {}
    if not origin:
        return None
    name = str(origin.get("architecture") or job.setting("model"))
    source = origin.get("source")
    parts = [f"{name} from {source}" if source else name]
    if origin.get("revision"):
        parts.append(f"revision {origin['revision']}")
    if isinstance(origin.get("parameters"), int):
        parts.append(format_count(origin["parameters"], "parameter"))
    digests = origin.get("sha256")
    if isinstance(digests, Mapping):
        parts += [f"{file} sha256 {str(sha)[:SHOWN]}" for file, sha in digests.items()]
    return ", ".join(parts)


def _data(job: JobResult) -> str | None:
    """Return each split's number of examples and the beginning of its digest."""
    rows = (job.task or {}).get("rows", {})
    splits = [f"{split} {rows[split]:,}{_digest(job.digests.get(split))}" for split in rows]
    return ", ".join(splits) or None


def _digest(digest: str | None) -> str:
    return f" (sha256 {digest[:SHOWN]})" if digest else ""


def _files(jobs: Sequence[JobResult], shared: Mapping[str, str]) -> list[str]:
    """Return the inputs that all jobs read, with the beginnings of their digests."""
    keys = dict.fromkeys(key for job in jobs for key in job.content if key in shared)
    found = []
    for key in keys:
        digests = {job.content.get(key) for job in jobs}
        digest = digests.pop() if len(digests) == 1 else None
        found.append(f"{key}={shared[key]}{_digest(digest)}")
    return found


def _chosen(report: Report) -> list[str]:
    """Return the overrides that all jobs share, files left out."""
    first, *others = [job.overrides.items() for job in report.jobs]
    shared = set(first).intersection(*others) if others else set(first)
    files = {key for job in report.jobs for key in job.content}
    words = [f"{key}={value}" for key, value in first if (key, value) in shared]
    kept = [word for word in words if key_of(word) not in files]
    return [" ".join(kept)] if kept else []


def _commands(report: Report) -> list[str]:
    commands = [
        read_plan(folder).get("command") for folder in report.folders if (folder / PLAN).exists()
    ]
    if not commands:
        commands = [job.record.get("command") for job in report.jobs]
    return _distinct(shlex.join(command) for command in commands if command)


def _versions(job: JobResult) -> str | None:
    versions = job.record.get("versions") or {}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version) or None


def _device(job: JobResult) -> str | None:
    host = job.record.get("host") or {}
    device = job.record.get("device")
    if device is None and host.get("processors"):
        device = format_count(host["processors"], "core")
    system = host.get("system")
    return ", ".join(str(part) for part in (device, system) if part) or None


def _shared_settings(jobs: Sequence[JobResult]) -> dict[str, str]:
    """Return the keys that have one value in all jobs, by their place in the config."""
    flat = [{key: _format(value) for key, value in flatten(job.config)} for job in jobs]
    if not flat:
        return {}
    return {
        key: value
        for key, value in flat[0].items()
        if key and all(other.get(key) == value for other in flat[1:])
    }


def _format(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
