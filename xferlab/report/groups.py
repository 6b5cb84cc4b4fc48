"""Which jobs can be ranked together: those of one task and score, scored on the same data.

A job records digests of what it read (``inputs.json``, ``job.json``). A run of an early version has
the digest of its test examples alone; it joins the others where nothing contradicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from xferlab.report.read_runs import JobResult

DataDigests = tuple[tuple[str, str], ...]
"""Digests of the data that gave the scores, by ``data.test`` and the like."""
Score = tuple[str | None, str | None]
"""Task and monitored score."""


class GroupKey(NamedTuple):
    """What jobs that are ranked together have in common."""

    task: str | None
    monitor: str | None
    data: DataDigests


def assign_groups(jobs: Sequence[JobResult]) -> list[GroupKey]:
    """Return the group of each job; a job without scores yet joins others of its data."""
    data = _data_of(jobs)
    scores_by_clue: dict[Any, Counter[Score]] = {}
    for job, own in zip(jobs, data, strict=True):
        if job.monitor:
            for clue in _clues(job, own):
                scores_by_clue.setdefault(clue, Counter())[_score(job)] += 1
    groups = []
    for job, own in zip(jobs, data, strict=True):
        score = _score(job)
        if not job.monitor and scores_by_clue:
            clue = next(each for each in _clues(job, own) if each in scores_by_clue)
            score = scores_by_clue[clue].most_common(1)[0][0]
        groups.append(GroupKey(*score, own))
    return groups


def _clues(job: JobResult, data: DataDigests) -> tuple[Any, ...]:
    """Return what points to a job's score, the strongest first; None fits every job."""
    return (data, job.setting("data"), None)


def _score(job: JobResult) -> Score:
    return (job.task["task"] if job.task and job.monitor else None, job.monitor)


def _data_of(jobs: Sequence[JobResult]) -> list[DataDigests]:
    """Return the data that each job was scored on, completed where a job recorded less."""
    own = [evaluation_data(job) for job in jobs]
    by_test_digest: dict[str, DataDigests] = {}
    for job, data in zip(jobs, own, strict=True):
        digest = test_digest(job)
        if data and digest:
            by_test_digest.setdefault(digest, data)
    counts = Counter(data for data in own if data).most_common(1)
    usual = counts[0][0] if counts else ()
    return [
        data or _completed(test_digest(job), by_test_digest, usual)
        for job, data in zip(jobs, own, strict=True)
    ]


def _completed(
    digest: str | None, by_test_digest: Mapping[str, DataDigests], usual: DataDigests
) -> DataDigests:
    """Return the data of a job that recorded at most the digest of its test examples."""
    if digest is None:
        return usual
    is_unknown = bool(by_test_digest) or not usual
    return by_test_digest.get(digest, (("test rows", digest),) if is_unknown else usual)


def evaluation_data(job: JobResult) -> DataDigests:
    """Return the digests of the data whose examples give a job's scores.

    That is validation and test, and the training data where the validation split is a part of it.
    """
    content = {key: sha for key, sha in job.content.items() if key.startswith("data.")}
    if "data.validation" in content:
        content = {k: v for k, v in content.items() if not k.startswith("data.train")}
    return tuple(sorted(content.items()))


def test_digest(job: JobResult) -> str | None:
    """Return the digest of a job's test examples; None where they depend on a seed."""
    data = job.config.get("data")
    limit = data.get("limit") if isinstance(data, Mapping) else None
    is_limited = isinstance(limit, Mapping) and limit.get("test") is not None
    return None if is_limited else job.digests.get("test")


def differing_contents(jobs: Sequence[JobResult], settings: Sequence[Any]) -> list[str]:
    """Return the contents (``data.train``, ``loss=focal``) in which equal settings differ.

    Args:
        jobs: of one group.
        settings: the setting of each job; jobs with equal settings would be averaged.
    """
    seen: dict[str, dict[str, str]] = {}
    differing: dict[str, None] = {}
    for job, setting in zip(jobs, settings, strict=True):
        others = seen.setdefault(repr(setting), {})
        for key, sha in job.content.items():
            if others.setdefault(key, sha) != sha:
                differing[key] = None
    return list(differing)
