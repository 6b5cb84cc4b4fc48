"""What failed: its three lines, its log, and the command that runs it again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from xferlab.errors import printable
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Report
from xferlab.sweeps.manifest import JOB


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Attributes:
        job: the job.
        lines: what, where and fix; of an unexpected error the end of its traceback.
        rerun_command: the command that runs it again.
    """

    job: JobResult
    lines: list[str]
    rerun_command: str


def failures_of(report: Report) -> list[Failure]:
    """Return the jobs that failed, with nothing in a line that a terminal would obey."""
    return [
        Failure(job, job.state.error_lines(), _rerun_command(job))
        for job in report.jobs
        if job.state.failed
    ]


def _rerun_command(job: JobResult) -> str:
    if (job.folder / JOB).exists():
        return f"python -m xferlab.sweeps.worker {shlex.quote(printable(str(job.folder)))}"
    return f"python -m xferlab --recover={shlex.quote(printable(str(job.folder)))}"
