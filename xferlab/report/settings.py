"""The jobs of a sweep side by side: what was swept, seeds and folds together, the best."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xferlab.config.overrides import flatten
from xferlab.config.recipe import NOT_IDENTITY, compared
from xferlab.groups import GROUPS
from xferlab.report.groups import DataDigests, assign_groups, differing_contents
from xferlab.report.read_runs import CONTENT, JobResult, mode_of, read_jobs, with_score_so_far
from xferlab.report.repeats import REPEATS
from xferlab.runs.metadata import PLAN
from xferlab.sweeps.job_state import FINISHED
from xferlab.sweeps.manifest import read_plan


@dataclass(frozen=True)
class Setting:
    """Jobs that differ in nothing but seed and fold.

    Attributes:
        values: the swept keys and their values, seed and fold aside.
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
        settings: the jobs grouped over their seeds and folds.
        monitor: the logged name that picks the best.
        mode: ``max`` or ``min``.
        best: the best setting, if a job has finished.
        scored_on: digests of the data that gave the scores, where other jobs have other data.
        left_out: a line for each folder or job that could not be read.
    """

    folders: Sequence[Path]
    keys: Sequence[str]
    jobs: Sequence[JobResult]
    settings: Sequence[Setting]
    monitor: str
    mode: str
    best: Setting | None
    scored_on: DataDigests = ()
    left_out: Sequence[str] = ()

    @property
    def over_repeats(self) -> bool:
        """Whether there are means over seeds or folds."""
        return self.best is not None and not REPEATS.keys().isdisjoint(self.keys)

    @property
    def repeats(self) -> str:
        """What the jobs of a setting are: ``seeds``, ``folds``, or ``seeds and folds``."""
        return " and ".join(name for key, name in REPEATS.items() if key in self.keys) or "seeds"

    @property
    def counts(self) -> Counter[str]:
        """The number of jobs by status."""
        return Counter(job.state.status for job in self.jobs)


def read_reports(folders: Sequence[Path]) -> list[Report]:
    """Return a report for each task, score and data among the jobs, the largest first.

    Raises:
        ConfigError: there is no run that can be read.
    """
    found = read_jobs(folders)
    keys = assign_groups(found.jobs)
    has_several_data = len({key.data for key in keys}) > 1
    reports = []
    for group, _ in Counter(keys).most_common():
        jobs = [job for job, key in zip(found.jobs, keys, strict=True) if key == group]
        scored_on = group.data if has_several_data else ()
        reports.append(replace(report_of(found.folders, jobs), scored_on=scored_on))
    return [replace(reports[0], left_out=found.left_out), *reports[1:]]


def read_report(folders: Sequence[Path]) -> Report:
    """Return the report of the largest group of jobs, or raise ConfigError."""
    return read_reports(folders)[0]


def report_of(folders: Sequence[Path], jobs: Sequence[JobResult]) -> Report:
    """Return the report of jobs of one task and monitored score."""
    monitor = next((job.monitor for job in jobs if job.monitor), None)
    mode = mode_of(monitor, jobs)
    jobs = [with_score_so_far(job, monitor, mode) for job in jobs]
    keys = swept_keys(folders, jobs)
    same = [[job.setting(key) for key in keys if key not in REPEATS] for job in jobs]
    keys += [f"{name}{CONTENT}" for name in differing_contents(jobs, same)]
    jobs = in_order(jobs, keys)
    settings = settings_of(jobs, keys)
    best = best_setting(settings, mode)
    return Report(folders, keys, jobs, settings, monitor or "score", mode, best)


def swept_keys(folders: Sequence[Path], jobs: Sequence[JobResult]) -> list[str]:
    """Return the keys that the sweeps vary as typed, then others in which the jobs differ."""
    plans = [read_plan(folder)["swept"] for folder in folders if (folder / PLAN).exists()]
    planned = list(dict.fromkeys(key for keys in plans for key in keys))
    flat = [dict(flatten(compared(job.config))) for job in jobs]
    every = dict.fromkeys(key for each in flat for key in each)
    keys = [key for key in every if key not in NOT_IDENTITY]
    implied = tuple(f"{key}." for key in planned)
    others = [
        _choice_of(key) for key in keys if not f"{key}.".startswith(implied) and _differs(key, flat)
    ]
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


def in_order(jobs: Sequence[JobResult], keys: Sequence[str]) -> list[JobResult]:
    """Return the jobs sorted by their swept values, numbers as numbers."""
    return sorted(jobs, key=lambda job: [_order(job.setting(key)) for key in keys])


def _order(value: Any) -> tuple[bool, float, str]:
    if is_number(value):
        return (False, float(value), "")
    return (True, 0.0, str(value))


def is_number(value: Any) -> bool:
    """Return whether a value is a number, not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def settings_of(jobs: Sequence[JobResult], keys: Sequence[str]) -> list[Setting]:
    """Return the jobs grouped over their seeds and folds, in the jobs' order."""
    others = [key for key in keys if key not in REPEATS]
    groups: dict[str, list[JobResult]] = {}
    for job in jobs:
        groups.setdefault(repr([job.setting(key) for key in others]), []).append(job)
    return [
        _setting({key: group[0].setting(key) for key in others}, group) for group in groups.values()
    ]


def _setting(values: Mapping[str, Any], jobs: Sequence[JobResult]) -> Setting:
    done = [job for job in jobs if job.state.status == FINISHED and job.score is not None]
    names = dict.fromkeys(name for job in done for name in job.test)
    return Setting(
        values=values,
        jobs=jobs,
        best=_mean_and_spread([job.score for job in done if job.score is not None]),
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


def best_setting(settings: Sequence[Setting], mode: str) -> Setting | None:
    """Return the setting with the best mean over its finished jobs; the first of equal ones."""
    sign = 1 if mode == "max" else -1
    scored = [(setting.best[0] * sign, setting) for setting in settings if setting.best]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None
