"""What the runs cost: time, steps, rows a second."""

from __future__ import annotations

from collections.abc import Sequence

from xferlab.formatting import format_duration
from xferlab.report.read_runs import JobResult


def steps_of(job: JobResult) -> int | None:
    """Return how many optimizer steps a job has done."""
    return int(job.history[-1]["step"]) if job.history and "step" in job.history[-1] else None


def rows_a_second(job: JobResult) -> float | None:
    """Return the training rows a second, validation included in the time, where it is known."""
    steps, train = steps_of(job), job.config.get("train")
    if not steps or not job.seconds or not isinstance(train, dict):
        return None
    batch, together = train.get("batch_size"), train.get("accumulate", 1)
    if not isinstance(batch, int) or not isinstance(together, int):
        return None
    rows = steps * batch * together
    known = job.task["rows"].get("train") if job.task else None
    if known:
        rows = min(rows, known * len(job.history))  # the last batch of an epoch is a small one
    return rows / job.seconds


def cost_words(jobs: Sequence[JobResult]) -> str:
    """Return the time, steps and rate of all jobs together in one line."""
    seconds = sum(job.seconds or 0 for job in jobs)
    steps = sum(steps_of(job) or 0 for job in jobs)
    rates = [rate for job in jobs if (rate := rows_a_second(job))]
    speed = f", {sum(rates) / len(rates):,.0f} rows a second" if rates else ""
    return f"{format_duration(seconds)} of training, {steps:,} steps{speed}"
