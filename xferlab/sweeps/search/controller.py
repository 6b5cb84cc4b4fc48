"""Runs a search: samples jobs one by one, reports their scores to Optuna, and prunes poor ones.

A job's folder is the truth, as in any sweep: the result of a trial is read there. Whatever was
killed, the trials that are open in Optuna's storage resume from their folders.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError, RunError, XferlabError
from xferlab.io.atomic import write_json
from xferlab.io.records import read_record
from xferlab.runs.history import history_of
from xferlab.runs.inputs import InputsReader, changed_since, inputs_of
from xferlab.runs.metadata import PLAN, RUN
from xferlab.runs.pruning import request_pruning
from xferlab.runs.score import read_score
from xferlab.sweeps.job_state import (
    DONE,
    FINISHED,
    PRUNED,
    QUEUED,
    RESUMED,
    RUNNING,
    State,
    state_of,
)
from xferlab.sweeps.manifest import (
    JOB,
    epochs_of,
    job_record,
    read_plan,
    rewrite_manifest,
)
from xferlab.sweeps.planner import Job
from xferlab.sweeps.search.planner import SearchPlan
from xferlab.sweeps.search.trials import RUN_ID, TWIN_OF, Trial, Trials, storage_errors

RANDOM_AFTER = 10
"""Suggestions in a row that were tried already, after which they are random."""
EXHAUSTED_AFTER = 200
"""Suggestions in a row that were tried already, after which the space is exhausted."""
CLOSED = (*DONE, "nan")
"""States of a job whose trial has its result, and is not tried again."""
MAX_EQUAL_FAILURES = 3
"""Failures in a row with the same error, after which a search ends."""


class Search:
    """The jobs of one search.

    Args:
        plan: of the search.
        folder: the sweep's folder; ``sweep.json`` is there.
        trials: the study.
        url: of its database, for messages.
        note: prints a line for the user.
        fail_fast: start no further job once one has failed.

    Attributes:
        folder: the sweep's folder.
        fail_fast: start no further job once one has failed.
        queue: the jobs that wait for a free slot.
        error: why no further job starts, if the search has ended early.
    """

    def __init__(
        self,
        plan: SearchPlan,
        folder: Path,
        trials: Trials,
        url: str,
        note: Callable[[str], None],
        *,
        fail_fast: bool = False,
    ) -> None:
        self.queue: deque[Path] = deque()
        self.error: XferlabError | None = None
        self._plan = plan
        self.folder = folder
        self._trials = trials
        self._url = url
        self.fail_fast = fail_fast
        self._has_ended = False
        self._reader = InputsReader()
        self._seen: dict[str, int] = {}
        self._open: dict[Path, Trial] = {}
        self._attempts: Counter[Path] = Counter()
        self._errors: list[str] = []
        self._reported: dict[Path, tuple[Any, int]] = {}
        self._note = note
        with storage_errors(url):
            self._resume_trials()

    def _resume_trials(self) -> None:
        """Resume the trials that are open, and retry those whose jobs failed."""
        with_job = [t for t in self._trials.all() if RUN_ID in t.user_attrs]
        self._seen = {
            t.user_attrs[RUN_ID]: t.number for t in with_job if TWIN_OF not in t.user_attrs
        }
        for trial in self._trials.running():
            self._enqueue(trial, retry=True)
        retried = {t.user_attrs[RUN_ID] for t in with_job if t.state.name != "FAIL"}
        for trial in with_job:
            run_id = trial.user_attrs[RUN_ID]
            if run_id not in retried and state_of(self.folder / run_id).status == "failed":
                retried.add(run_id)
                self._trials.retry(trial)
        while self._trials.count("WAITING"):
            self._enqueue(self._trials.ask(), retry=True)

    @property
    def left(self) -> int:
        """How many jobs have not ended, those that run included."""
        return max(0, self._plan.settings.trials - len(self._seen)) + len(self._open)

    @property
    def run_ids(self) -> list[str]:
        """The search's different jobs, in the order of their trials."""
        return sorted(self._seen, key=self._seen.__getitem__)

    def fill(self, slots: int) -> bool:
        """Sample jobs until as many wait as there are free slots; return whether one waits."""
        with storage_errors(self._url):
            repeats = 0
            while len(self.queue) < slots and self._may_sample() and repeats < EXHAUSTED_AFTER:
                repeats += 1
                if self._enqueue(self._trials.ask(at_random=repeats > RANDOM_AFTER)):
                    repeats = 0
            if repeats == EXHAUSTED_AFTER:
                self._has_ended = True
                self._note(
                    f"note       {repeats} suggestions in a row were tried already: the search ends"
                )
        return bool(self.queue)

    def _may_sample(self) -> bool:
        most = min(self._plan.settings.trials, self._plan.size)
        return not self._has_ended and len(self._seen) < most

    def _enqueue(self, trial: Trial, *, retry: bool = False) -> bool:
        """Write a trial's job and queue it; return whether it is a new job.

        One that is done already, e.g. because a search's database was lost, gets its result at
        once. With ``retry`` one that another trial had, and that is not done, is queued too.
        """
        try:
            job = self._job(trial)
        except ConfigError as e:  # for a combination of values; each value was checked before
            self._note(str(e))
            self._trials.tell(trial, "FAIL")
            return False
        folder = self.folder / job.run_id
        before = self._seen.get(job.run_id)
        status = state_of(folder).status
        retry = retry and folder not in self._open and status not in CLOSED
        if before not in (None, trial.number) and not retry:
            self._close_twin(trial, folder)
            return False
        self._refuse_changed(job)
        if self._has_ended:
            return False
        trial.set_user_attr(RUN_ID, job.run_id)
        self._seen.setdefault(job.run_id, trial.number)
        self._open[folder] = trial
        if status in CLOSED:
            self._close(folder, state_of(folder))
        else:
            self._write_job(job)
            self.queue.append(folder)
        return True

    def _job(self, trial: Trial) -> Job:
        overrides = (*self._plan.common, *self._trials.overrides(trial))
        recipe = self._plan.composer.recipe(list(overrides))
        return Job(recipe.run_id, overrides, recipe.config)

    def _close_twin(self, trial: Trial, folder: Path) -> None:
        """Give a trial the result of the same experiment, which is not run twice."""
        trial.set_user_attr(TWIN_OF, folder.name)
        value = self._value(folder) if state_of(folder).status == FINISHED else None
        self._trials.tell(trial, "FAIL" if value is None else "COMPLETE", value)

    def _refuse_changed(self, job: Job) -> None:
        """End the search once a file that its jobs read has changed."""
        at_start = self._reader.of(job.config).record()
        changed = changed_since(at_start, inputs_of(job.config), job.config)
        if changed and not self._has_ended:
            self._end(
                f"{changed[0]} has changed since this command began",
                "run the command again: it starts a new search with the present files",
            )

    def _write_job(self, job: Job) -> None:
        """Write the job, then add it to the sweep's plan."""
        path = self.folder / job.run_id / JOB
        if path.exists():
            for name in rewrite_manifest(job, path.parent, self._reader):
                self._note(f"note       {name} has changed; {job.run_id} uses the present version")
        else:
            write_json(path, job_record(job, self._reader))
        record = read_plan(self.folder)
        if job.run_id not in record["requested"]:
            record["requested"].append(job.run_id)
            record["jobs"].append({"run_id": job.run_id, "overrides": list(job.overrides)})
        write_json(self.folder / PLAN, {**record, "plugins": self._reader.plugins})

    def requeue(self) -> None:
        """Queue the open jobs that do not wait: another process had them, and is gone."""
        for folder in set(self._open).difference(self.queue):
            self.ended(folder, state_of(folder))

    def ended(self, folder: Path, state: State) -> None:
        """Close the trial of a job; one that was stopped or killed from outside is retried once."""
        if folder not in self._open:
            return
        self._attempts[folder] += 1
        stopped = state.status in (QUEUED, RUNNING, *RESUMED)
        if (stopped or "signal" in state.record) and self._attempts[folder] < 2:
            if not self._has_ended:
                self.queue.append(folder)
        elif not stopped:
            with storage_errors(self._url):
                self._close(folder, state)
            self._check_failures(state)

    def _close(self, folder: Path, state: State) -> None:
        """Give Optuna the result in the job's folder."""
        trial = self._open.pop(folder)
        self._report(folder, trial)
        value = self._value(folder) if state.status == FINISHED else None
        states = {FINISHED: "FAIL" if value is None else "COMPLETE", PRUNED: "PRUNED"}
        self._trials.tell(trial, states.get(state.status, "FAIL"), value)

    def _check_failures(self, state: State) -> None:
        """End the search if its jobs fail one after the other with the same error."""
        if not state.failed:
            self._errors.clear()
            return
        self._has_ended = self._has_ended or self.fail_fast
        self._errors.append(str(state.record.get("error")))
        last = self._errors[-MAX_EQUAL_FAILURES:]
        if state.status == "failed" and len(last) == MAX_EQUAL_FAILURES and len(set(last)) == 1:
            self._end(
                f"{MAX_EQUAL_FAILURES} jobs in a row failed with the same error: {last[0]}",
                "correct it; the same command retries them and resumes the search",
            )

    def _end(self, what: str, fix: str) -> None:
        self._has_ended = True
        self.error = RunError(what, where=str(self.folder), fix=fix)
        self.queue.clear()

    def refresh(self, running: Sequence[Path]) -> None:
        """Report new epochs to Optuna, and prune the jobs that it finds too poor."""
        for folder in running:
            trial = self._open.get(folder)
            if trial is not None:
                with storage_errors(self._url):
                    poor = self._report(folder, trial)
                if poor and poor["epoch"] < self._epochs(folder):
                    request_pruning(folder, **poor, pruner=self._plan.settings.pruner.value)

    def _report(self, folder: Path, trial: Trial) -> dict[str, Any] | None:
        """Report new epochs; return the last one if the pruner ends the trial there."""
        path = folder / "history.csv"
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        version, reported = self._reported.get(folder, (None, 0))
        if version == (stat.st_ino, stat.st_mtime_ns):
            return None
        monitor = self._monitor(folder)
        poor = None
        epoch = reported
        for row in history_of(folder):
            epoch = int(row["epoch"])
            value = row.get(monitor, float("nan"))
            if epoch > reported:
                is_pruned = self._trials.report(trial, epoch, value)
                poor = {"monitor": monitor, "value": value, "epoch": epoch} if is_pruned else None
        self._reported[folder] = ((stat.st_ino, stat.st_mtime_ns), max(epoch, reported))
        return poor

    def _epochs(self, folder: Path) -> int:
        return epochs_of(folder) or self._plan.epochs

    def _monitor(self, folder: Path) -> str:
        path = folder / "run.json"
        record = read_record(path, RUN) if path.exists() else {}
        return str(record.get("monitor", self._plan.monitor))

    @staticmethod
    def _value(folder: Path) -> float | None:
        return read_score(folder).value
