"""What the runs cost: time, steps, examples per second."""

from __future__ import annotations

from collections.abc import Sequence

from xferlab.formatting import format_duration
from xferlab.report.read_runs import JobResult


def steps_of(job: JobResult) -> int | None:
    """Return the number of optimizer steps of a job."""
    return int(job.history[-1]["step"]) if job.history and "step" in job.history[-1] else None


def examples_per_second(job: JobResult) -> float | None:
    """Return training examples per second; the time includes validation. None if unknown."""
    steps = steps_of(job)
    train = job.config.get("train")
    if not steps or not job.seconds or not isinstance(train, dict):
        return None
    batch_size = train.get("batch_size")
    accumulation = train.get("gradient_accumulation_steps", train.get("accumulate", 1))
    if not isinstance(batch_size, int) or not isinstance(accumulation, int):
        return None
    examples = steps * batch_size * accumulation
    epoch = job.task["rows"].get("train") if job.task else None
    if epoch:
        examples = min(examples, epoch * len(job.history))  # an epoch's last batch is smaller
    return examples / job.seconds


def describe_cost(jobs: Sequence[JobResult]) -> str:
    """Return the time, steps and rate of all jobs together in one line."""
    seconds = sum(job.seconds or 0 for job in jobs)
    steps = sum(steps_of(job) or 0 for job in jobs)
    rates = [rate for job in jobs if (rate := examples_per_second(job))]
    speed = f", {sum(rates) / len(rates):,.0f} examples/s" if rates else ""
    return f"{format_duration(seconds)} of training, {steps:,} steps{speed}"
