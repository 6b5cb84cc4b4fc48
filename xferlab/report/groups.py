"""Which jobs can be ranked together: those of one task and score, scored on the same rows.

A job says by digests what it read (``inputs.json``, ``job.json``). One from before these were kept
has the digest of its test rows alone; where nothing contradicts, it is counted with the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.report.read_runs import JobResult

Rows = tuple[tuple[str, str], ...]
Kind = tuple[str | None, str | None, Rows]
"""Task, monitored score, and what the scores were measured on."""


def kinds_of(jobs: Sequence[JobResult]) -> list[Kind]:
    """Return each job's kind; one that has not got so far goes by its data."""
    rows = _rows_of(jobs)
    known: dict[Any, Counter[tuple[str | None, str | None]]] = {}
    for job, own in zip(jobs, rows, strict=True):
        if job.monitor:
            for clue in (own, job.setting("data"), None):
                known.setdefault(clue, Counter())[_score(job)] += 1
    kinds: list[Kind] = []
    for job, own in zip(jobs, rows, strict=True):
        score = _score(job)
        if not job.monitor and known:
            clues = (own, job.setting("data"), None)
            score = next(known[clue] for clue in clues if clue in known).most_common(1)[0][0]
        kinds.append((*score, own))
    return kinds


def _score(job: JobResult) -> tuple[str | None, str | None]:
    return (job.task["task"] if job.task and job.monitor else None, job.monitor)


def _rows_of(jobs: Sequence[JobResult]) -> list[Rows]:
    """Return for each job what tells the rows that it was scored on from others."""
    own = [scored_on(job) for job in jobs]
    seen: dict[str, Rows] = {}
    for job, rows in zip(jobs, own, strict=True):
        digest = test_rows(job)
        if rows and digest:
            seen.setdefault(digest, rows)
    usual = Counter(rows for rows in own if rows).most_common(1)
    found: list[Rows] = []
    for job, rows in zip(jobs, own, strict=True):
        digest = test_rows(job)
        if not rows and digest:
            contradicts = bool(seen) or not usual
            rows = seen.get(digest, (("test rows", digest),) if contradicts else usual[0][0])
        found.append(rows or (usual[0][0] if usual else ()))
    return found


def scored_on(job: JobResult) -> Rows:
    """Return the digests of the data whose rows give a job's scores.

    That is validation and test, and the training data where validation rows are held back from it.
    """
    content = {key: sha for key, sha in job.content.items() if key.startswith("data.")}
    if "data.validation" in content:
        content = {k: v for k, v in content.items() if not k.startswith("data.train")}
    return tuple(sorted(content.items()))


def test_rows(job: JobResult) -> str | None:
    """Return the digest of a job's test rows; None where they depend on a seed."""
    data = job.config.get("data")
    limit = data.get("limit") if isinstance(data, Mapping) else None
    limited = isinstance(limit, Mapping) and limit.get("test") is not None
    return None if limited else job.digests.get("test")


def contents_that_differ(jobs: Sequence[JobResult], same: Sequence[Any]) -> list[str]:
    """Return the contents (``data.train``, ``loss=focal``) in which equal settings differ.

    Args:
        jobs: of one kind.
        same: for each job what its setting is; jobs whose ``same`` is equal would be averaged.
    """
    seen: dict[str, dict[str, str]] = {}
    differing: dict[str, None] = {}
    for job, setting in zip(jobs, same, strict=True):
        others = seen.setdefault(repr(setting), {})
        for key, sha in job.content.items():
            if others.setdefault(key, sha) != sha:
                differing[key] = None
    return list(differing)
