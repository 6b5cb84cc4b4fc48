"""A search at work: jobs are asked for one by one, watched, and told; poor ones are ended.

A job's folder is the truth, as in any sweep: what a trial is told is read there. Whatever was
killed, the trials that are open in Optuna's storage are looked up in their folders and go on.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError, RunError, XferlabError
from xferlab.io.atomic import write_json
from xferlab.io.records import read_record
from xferlab.runs.history import history_of
from xferlab.runs.inputs import InputsReader, changed_since, inputs_of
from xferlab.runs.metadata import RUN, read_metrics
from xferlab.runs.pruning import ask_to_prune
from xferlab.sweep.job_state import (
    DONE,
    FINISHED,
    PRUNED,
    QUEUED,
    RESUMED,
    RUNNING,
    State,
    state_of,
)
from xferlab.sweep.manifest import (
    JOB,
    PLAN,
    job_record,
    planned_epochs,
    read_plan,
    rewrite_manifest,
)
from xferlab.sweep.planner import Job
from xferlab.sweep.search.planner import SearchPlan
from xferlab.sweep.search.trials import RUN_ID, TWIN_OF, Trial, Trials, storage_faults

BY_CHANCE_AFTER, NOTHING_NEW_AFTER = 10, 200
"""Suggestions in a row that were tried already, until chance is asked, and until it is enough."""
CLOSED = (*DONE, "nan")
"""A trial whose job stands so is told, and not tried again."""
ALIKE = 3
"""Failures in a row with one and the same error that end a search."""


class Search:
    """The jobs of one search.

    Args:
        plan: what is drawn and how.
        folder: the sweep's folder; ``sweep.json`` is there.
        trials: the study.
        url: where it is kept, for messages.
        note: tells the user a line.
        fail_fast: ask for no further job once one has failed.

    Attributes:
        folder: the sweep's folder.
        fail_fast: no further job is asked for once one has failed.
        queue: the jobs that wait for a seat.
        trouble: why no further job is asked for, if that is so.
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
        self.trouble: XferlabError | None = None
        self._plan, self.folder, self._trials, self._url = plan, folder, trials, url
        self.fail_fast, self._over = fail_fast, False
        self._reader = InputsReader()
        self._seen: dict[str, int] = {}
        self._open: dict[Path, Trial] = {}
        self._tries: Counter[Path] = Counter()
        self._errors: list[str] = []
        self._rows: dict[Path, tuple[Any, int]] = {}
        self._note = note
        with storage_faults(url):
            self._resume_trials()

    def _resume_trials(self) -> None:
        """Go on with the trials that are open, and with those whose jobs failed."""
        told = [t for t in self._trials.all() if RUN_ID in t.user_attrs]
        self._seen = {t.user_attrs[RUN_ID]: t.number for t in told if TWIN_OF not in t.user_attrs}
        for trial in self._trials.running():
            self._enqueue(trial, again=True)
        redone = {t.user_attrs[RUN_ID] for t in told if t.state.name != "FAIL"}
        for trial in told:
            run_id = trial.user_attrs[RUN_ID]
            if run_id not in redone and state_of(self.folder / run_id).status == "failed":
                redone.add(run_id)
                self._trials.again(trial)
        while self._trials.count("WAITING"):
            self._enqueue(self._trials.ask(), again=True)

    @property
    def left(self) -> int:
        """How many jobs are to be done yet, those that run included."""
        return max(0, self._plan.settings.trials - len(self._seen)) + len(self._open)

    @property
    def run_ids(self) -> list[str]:
        """The search's different jobs, in the order in which they were asked for."""
        return sorted(self._seen, key=self._seen.__getitem__)

    # Asking

    def fill(self, slots: int) -> bool:
        """Ask for jobs until as many wait as there are seats; return whether one waits."""
        with storage_faults(self._url):
            stuck = 0
            while len(self.queue) < slots and self._may_ask() and stuck < NOTHING_NEW_AFTER:
                stuck += 1
                if self._enqueue(self._trials.ask(by_chance=stuck > BY_CHANCE_AFTER)):
                    stuck = 0
            if stuck == NOTHING_NEW_AFTER:
                self._over = True
                self._note(f"note       {stuck} suggestions in a row were tried already: no more")
        return bool(self.queue)

    def _may_ask(self) -> bool:
        most = min(self._plan.settings.trials, self._plan.size)
        return not self._over and len(self._seen) < most

    def _enqueue(self, trial: Trial, *, again: bool = False) -> bool:
        """Freeze a trial's job and let it wait; return whether it is a job of its own.

        One that is done already, e.g. because a search's database was lost, is told at once. With
        ``again`` one that another trial had, and that is not done, is a job too.
        """
        try:
            job = self._job(trial)
        except ConfigError as e:  # of several values together; each by itself was checked
            self._note(str(e))
            self._trials.tell(trial, "FAIL")
            return False
        folder, before = self.folder / job.run_id, self._seen.get(job.run_id)
        status = state_of(folder).status
        again = again and folder not in self._open and status not in CLOSED
        if before not in (None, trial.number) and not again:
            self._tell_twin(trial, folder)
            return False
        self._refuse_changed(job)
        if self._over:
            return False
        trial.set_user_attr(RUN_ID, job.run_id)
        self._seen.setdefault(job.run_id, trial.number)
        self._open[folder] = trial
        if status in CLOSED:
            self._close(folder, state_of(folder))
        else:
            self._freeze(job)
            self.queue.append(folder)
        return True

    def _job(self, trial: Trial) -> Job:
        words = (*self._plan.common, *self._trials.words(trial))
        recipe = self._plan.composer.recipe(list(words))
        return Job(recipe.run_id, words, recipe.config)

    def _tell_twin(self, trial: Trial, folder: Path) -> None:
        """Tell a trial what the same experiment had, if that is known; it is not run twice."""
        trial.set_user_attr(TWIN_OF, folder.name)
        value = self._value(folder) if state_of(folder).status == FINISHED else None
        self._trials.tell(trial, "FAIL" if value is None else "COMPLETE", value)

    def _refuse_changed(self, job: Job) -> None:
        """Ask for no more once a file that the jobs read is not as it was when the search began."""
        begun = self._reader.of(job.config).record()
        changed = changed_since(begun, inputs_of(job.config), job.config)
        if changed and not self._over:
            self._end(
                f"{changed[0]} has changed since this command began",
                "type the command again: a new search begins, with what is there now",
            )

    def _freeze(self, job: Job) -> None:
        """Write the job, then name it in the sweep's plan."""
        path = self.folder / job.run_id / JOB
        if path.exists():
            for name in rewrite_manifest(job, path.parent, self._reader):
                self._note(
                    f"note       {name} has changed since; {job.run_id} uses it as it is now"
                )
        else:
            write_json(path, job_record(job, self._reader))
        record = read_plan(self.folder)
        if job.run_id not in record["asked"]:
            record["asked"].append(job.run_id)
            record["jobs"].append({"run_id": job.run_id, "words": list(job.words)})
        write_json(self.folder / PLAN, {**record, "plugins": self._reader.plugins})

    def requeue(self) -> None:
        """Look at the open jobs that do not wait: another process had them, and is gone."""
        for folder in set(self._open).difference(self.queue):
            self.ended(folder, state_of(folder))

    # Telling

    def ended(self, folder: Path, state: State) -> None:
        """Tell how a job ended; one that was stopped or killed from outside is tried once more."""
        if folder not in self._open:
            return
        self._tries[folder] += 1
        stopped = state.status in (QUEUED, RUNNING, *RESUMED)
        if (stopped or "signal" in state.record) and self._tries[folder] < 2:
            if not self._over:
                self.queue.append(folder)
        elif not stopped:
            with storage_faults(self._url):
                self._close(folder, state)
            self._judge(state)

    def _close(self, folder: Path, state: State) -> None:
        """Tell Optuna what the job's folder says."""
        trial = self._open.pop(folder)
        self._report(folder, trial)
        value = self._value(folder) if state.status == FINISHED else None
        words = {FINISHED: "FAIL" if value is None else "COMPLETE", PRUNED: "PRUNED"}
        self._trials.tell(trial, words.get(state.status, "FAIL"), value)

    def _judge(self, state: State) -> None:
        """End the search if a failure says that the others would fail likewise."""
        if not state.failed:
            self._errors.clear()
            return
        self._over = self._over or self.fail_fast
        self._errors.append(str(state.record.get("error")))
        last = self._errors[-ALIKE:]
        if state.status == "failed" and len(last) == ALIKE and len(set(last)) == 1:
            self._end(f"{ALIKE} jobs in a row failed alike: {last[0]}",
                      "mend it; the same command does them again and goes on")  # fmt: skip

    def _end(self, what: str, fix: str) -> None:
        self._over, self.trouble = True, RunError(what, where=str(self.folder), fix=fix)
        self.queue.clear()

    # Watching

    def refresh(self, running: Sequence[Path]) -> None:
        """Tell Optuna of new epochs, and ask those to end that it finds too poor."""
        for folder in running:
            trial = self._open.get(folder)
            if trial is not None:
                with storage_faults(self._url):
                    verdict = self._report(folder, trial)
                if verdict and verdict["epoch"] < self._epochs(folder):
                    ask_to_prune(folder, **verdict, pruner=self._plan.settings.pruner.value)

    def _report(self, folder: Path, trial: Trial) -> dict[str, Any] | None:
        """Report the epochs that are new; return the last one's value if it is too poor."""
        path = folder / "history.csv"
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        mark, known = self._rows.get(folder, (None, 0))
        if mark == (stat.st_ino, stat.st_mtime_ns):
            return None
        monitor, verdict, epoch = self._monitor(folder), None, known
        for row in history_of(folder):
            epoch, value = int(row["epoch"]), row.get(monitor, float("nan"))
            if epoch > known:
                poor = self._trials.is_too_poor(trial, epoch, value)
                verdict = {"monitor": monitor, "value": value, "epoch": epoch} if poor else None
        self._rows[folder] = ((stat.st_ino, stat.st_mtime_ns), max(epoch, known))
        return verdict

    def _epochs(self, folder: Path) -> int:
        return planned_epochs(folder) or self._plan.epochs

    def _monitor(self, folder: Path) -> str:
        path = folder / "run.json"
        told = read_record(path, RUN) if path.exists() else {}
        return str(told.get("monitor", self._plan.monitor))

    @staticmethod
    def _value(folder: Path) -> float | None:
        value: float | None = read_metrics(folder)["best"]["value"]
        return value if value is not None and math.isfinite(value) else None
