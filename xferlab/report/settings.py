"""The jobs of a sweep side by side: what was swept, seeds together, the best setting."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.contracts import GROUPS
from xferlab.report.results import JobResult, direction_of, read_jobs, so_far
from xferlab.sweep.frozen import PLAN, read_plan
from xferlab.sweep.state import FINISHED

SEED = "seed"


@dataclass(frozen=True)
class Setting:
    """Jobs that differ in nothing but the seed.

    Attributes:
        values: the swept keys and their values, the seed aside.
        jobs: its jobs, whatever their status.
        best: mean and sample standard deviation over the finished jobs' best values; the
            deviation is None for a single one.
        test: the same for each test score.
    """

    values: Mapping[str, Any]
    jobs: Sequence[JobResult]
    best: tuple[float, float | None] | None
    test: Mapping[str, tuple[float, float | None]]

    @property
    def finished(self) -> int:
        """How many of its jobs have finished."""
        return sum(job.state.status == FINISHED for job in self.jobs)


@dataclass(frozen=True)
class Report:
    """A sweep, or several, as far as they are.

    Attributes:
        folders: what was read.
        keys: the swept keys.
        jobs: sorted by their values.
        settings: the jobs grouped over their seeds.
        monitor: the logged name that picks the best.
        better: ``max`` or ``min``.
        best: the best setting, if a job has finished.
    """

    folders: Sequence[Path]
    keys: Sequence[str]
    jobs: Sequence[JobResult]
    settings: Sequence[Setting]
    monitor: str
    better: str
    best: Setting | None

    @property
    def over_seeds(self) -> bool:
        """Whether there are means over seeds to show."""
        return SEED in self.keys and self.best is not None

    @property
    def counts(self) -> Counter[str]:
        """How many jobs stand how."""
        return Counter(job.state.status for job in self.jobs)


def read_reports(folders: Sequence[Path]) -> list[Report]:
    """Return a report for each task and monitored score among the jobs, the largest first.

    Raises:
        ConfigError: a folder has no run, or holds a file that xferlab did not write.
    """
    jobs = read_jobs(folders)
    kinds = _kinds(jobs)
    groups = [[job for job, kind in zip(jobs, kinds, strict=True) if kind == each]
              for each, _ in Counter(kinds).most_common()]  # fmt: skip
    return [report_of(folders, group) for group in groups]


def read_report(folders: Sequence[Path]) -> Report:
    """Return the report of the task and score that most jobs have, or raise ConfigError."""
    return read_reports(folders)[0]


Kind = tuple[str | None, str | None]


def _kinds(jobs: Sequence[JobResult]) -> list[Kind]:
    """Return each job's task and monitored score; one that has not got so far goes by its data."""
    known: dict[Any, Counter[Kind]] = {}
    for job in jobs:
        if job.monitor:
            for data in (job.setting("data"), None):
                known.setdefault(data, Counter())[_kind(job)] += 1
    return [
        _kind(job) if job.monitor or not known
        else known.get(job.setting("data"), known[None]).most_common(1)[0][0]
        for job in jobs
    ]  # fmt: skip


def _kind(job: JobResult) -> Kind:
    return (job.task["task"] if job.task and job.monitor else None, job.monitor)


def report_of(folders: Sequence[Path], jobs: Sequence[JobResult]) -> Report:
    """Return the report of jobs of one task and monitored score."""
    monitor = next((job.monitor for job in jobs if job.monitor), None)
    better = direction_of(monitor, jobs)
    jobs = [so_far(job, monitor, better) for job in jobs]
    keys = swept_keys(folders, jobs)
    jobs = in_order(jobs, keys)
    settings = settings_of(jobs, keys)
    best = best_setting(settings, better)
    return Report(folders, keys, jobs, settings, monitor or "score", better, best)


def swept_keys(folders: Sequence[Path], jobs: Sequence[JobResult]) -> list[str]:
    """Return the keys that the sweeps vary as typed, then others in which the jobs differ."""
    plans = [read_plan(f)["swept"] for f in folders if (f / PLAN).exists()]
    planned = list(dict.fromkeys(key for keys in plans for key in keys))
    flat = [dict(_flat(job.config)) for job in jobs]
    keys = [key for key in dict.fromkeys(k for each in flat for k in each) if key != "name"]
    implied = tuple(f"{key}." for key in planned)
    others = [_choice_of(key) for key in keys
              if not f"{key}.".startswith(implied) and _differs(key, flat)]  # fmt: skip
    return list(dict.fromkeys([*planned, *others]))


def _differs(key: str, flat: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether jobs differ in a key, for more than a choice that they differ in.

    A choice from a group brings fields that others lack: the choice is what differs.
    """
    choice = f"{key.partition('.')[0]}.name"
    within: dict[Any, set[str]] = {}
    for each in flat:
        chosen = each.get(choice) if key != choice else None
        within.setdefault(chosen, set()).add(repr(each.get(key)))
    return any(len(values) > 1 for values in within.values())


def _choice_of(key: str) -> str:
    """Return the group of ``optimizer.name``; any other key as it is."""
    group, _, field = key.partition(".")
    return group if group in GROUPS and field == "name" else key


def _flat(node: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if not isinstance(node, Mapping) or (not node and prefix):
        yield prefix, node
        return
    for key, value in node.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))


def in_order(jobs: Sequence[JobResult], keys: Sequence[str]) -> list[JobResult]:
    """Return the jobs sorted by their swept values, numbers as numbers."""
    return sorted(jobs, key=lambda job: [_order(job.setting(key)) for key in keys])


def _order(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (not number, float(value) if number else 0.0, "" if number else str(value))


def settings_of(jobs: Sequence[JobResult], keys: Sequence[str]) -> list[Setting]:
    """Return the jobs grouped over their seeds, in the jobs' order."""
    others = [key for key in keys if key != SEED]
    groups: dict[str, list[JobResult]] = {}
    for job in jobs:
        groups.setdefault(repr([job.setting(key) for key in others]), []).append(job)
    return [_setting({key: group[0].setting(key) for key in others}, group)
            for group in groups.values()]  # fmt: skip


def _setting(values: Mapping[str, Any], jobs: Sequence[JobResult]) -> Setting:
    done = [job for job in jobs if job.state.status == FINISHED and job.best is not None]
    names = dict.fromkeys(name for job in done for name in job.test)
    return Setting(
        values=values,
        jobs=jobs,
        best=_mean_and_spread([job.best for job in done if job.best is not None]),
        test={
            name: spread
            for name in names
            if (spread := _mean_and_spread([job.test[name] for job in done if name in job.test]))
        },
    )


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float | None] | None:
    if not values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def best_setting(settings: Sequence[Setting], better: str) -> Setting | None:
    """Return the setting with the best mean over its finished jobs; the first of equal ones."""
    sign = 1 if better == "max" else -1
    scored = [(setting.best[0] * sign, setting) for setting in settings if setting.best]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None
