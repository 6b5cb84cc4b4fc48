"""The jobs of a sweep, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from xferlab.inference.load import load_run
from xferlab.inference.notebook_view import html_table
from xferlab.inference.run import Run
from xferlab.report.read_runs import JobResult
from xferlab.report.settings import Report, read_reports
from xferlab.report.tables import filled_columns, format_status_counts, job_rows
from xferlab.sweeps.job_state import FINISHED


@dataclass(frozen=True, repr=False)
class Sweep:
    """A sweep in its folder; each attribute is read when it is used.

    Attributes:
        folder: of the sweep.
    """

    folder: Path

    def __repr__(self) -> str:
        return self._title(self._report())

    def _title(self, report: Report) -> str:
        return f"<sweep of {format_status_counts(report)}, {self.folder}>"

    def _report(self) -> Report:
        return read_reports([self.folder])[0]

    @property
    def jobs(self) -> Sequence[JobResult]:
        """Settings, state and scores of every job."""
        return self._report().jobs

    @property
    def runs(self) -> list[Run]:
        """The finished runs."""
        return [load_run(job.folder) for job in self.jobs if job.state.status == FINISHED]

    @property
    def failed(self) -> list[JobResult]:
        """The jobs that have not finished; ``state.record["error"]`` has the reason."""
        return [job for job in self.jobs if job.state.status != FINISHED]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A dict for each job: what was swept, status and scores; ``pandas.DataFrame(rows)``."""
        return job_rows(self._report())

    @property
    def best(self) -> Run:
        """The finished run with the best monitored score."""
        report = self._report()
        sign = 1 if report.mode == "max" else -1
        done = [
            job for job in report.jobs if job.state.status == FINISHED and job.score is not None
        ]
        return load_run(max(done, key=lambda job: sign * (job.score or 0.0)).folder)

    def _repr_html_(self) -> str:
        report = self._report()
        rows = job_rows(report)
        return f"<p>{escape(self._title(report))}</p>{html_table(filled_columns(rows), rows)}"
