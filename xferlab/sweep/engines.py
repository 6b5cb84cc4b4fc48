"""Other machines: what a sweep asks of Ray and of submitit, and what it is told by them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from xferlab.io.atomic import write_json
from xferlab.io.records import read_record
from xferlab.runs.lock import SUBMITIT_FOLDER
from xferlab.sweep.engine_settings import RaySettings, SlurmSettings, SubmititSettings
from xferlab.sweep.node_runner import JobOnNode

LARGEST_ARRAY = 1000
"""Slurm's MaxArraySize is 1001 unless its administrator has raised it."""
SUBMITTED = "slurm.json"
LIVING = ("PENDING", "RUNNING", "REQUEUED", "COMPLETING", "CONFIGURING", "SUSPENDED")
KEPT = (*LIVING, "UNKNOWN", "READY", "PREEMPTED")


class Engine(Protocol):
    """Where jobs run."""

    @property
    def room(self) -> int | None:
        """How many jobs it should be given at once; None for all."""

    @property
    def lag(self) -> float:
        """Seconds until what a job wrote is seen by this machine."""

    def adopted(self, folders: Sequence[Path]) -> list[Path]:
        """Return those of ``folders`` that an earlier command gave to it and that it still has."""

    def submit(self, folders: Sequence[Path]) -> None:
        """Give it jobs."""

    def released(self) -> dict[Path, str]:
        """Return the jobs that it is done with, however that went, each with its word on it."""

    def cancel(self, folders: Iterable[Path]) -> None:
        """Take jobs back; those that run are asked to end."""


def run_job(job: JobOnNode, folder: str) -> int:
    """Run a job; what Ray knows by name on every machine."""
    return job(folder)


class RayEngine:
    """Every job is a Ray task; one whose machine died is begun again on another."""

    def __init__(self, job: JobOnNode, settings: RaySettings, room: int | None) -> None:
        import ray

        self._ray, self._job = ray, job
        self.room, self.lag = room or LARGEST_ARRAY, 30.0
        self._task = ray.remote(
            num_cpus=settings.num_cpus,
            num_gpus=settings.num_gpus,
            max_retries=settings.max_retries,
            max_calls=1,
        )(run_job)
        self._tasks: dict[Any, Path] = {}

    def adopted(self, folders: Sequence[Path]) -> list[Path]:
        """Return none: Ray ends the tasks of a command that is gone."""
        return []

    def submit(self, folders: Sequence[Path]) -> None:
        """Start a task a job."""
        for folder in folders:
            self._tasks[self._task.remote(self._job, str(folder))] = folder

    def released(self) -> dict[Path, str]:
        """Return the tasks that are over."""
        if not self._tasks:
            return {}
        everyone = list(self._tasks)
        over, _ = self._ray.wait(everyone, num_returns=len(everyone), timeout=0)
        return {self._tasks.pop(task): self._word(task) for task in over}

    def _word(self, task: Any) -> str:
        try:
            return f"the task ended with code {self._ray.get(task)}"
        except Exception as e:  # noqa: BLE001 - whatever the task raised, or Ray about it
            return f"Ray says: {_last_line(e)}"

    def cancel(self, folders: Iterable[Path]) -> None:
        """Interrupt the tasks."""
        wanted = set(folders)
        for task in [task for task, folder in self._tasks.items() if folder in wanted]:
            self._ray.cancel(task, force=False)


class SubmititEngine:
    """Every job is a process that submitit keeps on this machine."""

    def __init__(
        self, job: JobOnNode, settings: SubmititSettings, room: int | None, folder: Path
    ) -> None:
        from submitit import LocalExecutor

        self._job, self.room, self.lag = job, room or 1, 0.0
        where = folder / SUBMITIT_FOLDER / "%j"
        self._executor = LocalExecutor(where, max_num_timeout=settings.max_num_timeout)
        self._executor.update_parameters(timeout_min=settings.timeout_min, signal_delay_s=60)
        self._jobs: dict[Path, Any] = {}

    def adopted(self, folders: Sequence[Path]) -> list[Path]:
        """Return none: those that run tell so by their locks."""
        return []

    def submit(self, folders: Sequence[Path]) -> None:
        """Start a process a job."""
        for folder in folders:
            self._jobs[folder] = self._executor.submit(self._job, str(folder))

    def released(self) -> dict[Path, str]:
        """Return the jobs whose process is gone."""
        over = [folder for folder, job in self._jobs.items() if job.done()]
        logs = {folder: self._jobs.pop(folder).paths.stderr for folder in over}
        return {folder: f"submitit's log is {log}" for folder, log in logs.items()}

    def cancel(self, folders: Iterable[Path]) -> None:
        """Ask the processes to end."""
        for folder in folders:
            if folder in self._jobs:
                self._jobs[folder]._process.send_signal(signal.SIGTERM)


class SlurmEngine:
    """Jobs are tasks of Slurm's job arrays; they go on when the command that sent them is gone."""

    def __init__(
        self, job: JobOnNode, settings: SlurmSettings, room: int | None, folder: Path
    ) -> None:
        from submitit import SlurmExecutor
        from submitit.slurm.slurm import SlurmInfoWatcher

        self._job, self._settings, self._at_once = job, settings, room
        self._folder = folder
        self.room, self.lag = None, 60.0
        self._executor = SlurmExecutor(
            folder / SUBMITIT_FOLDER / "%j", max_num_timeout=settings.max_num_timeout
        )
        self._watcher = SlurmInfoWatcher(delay_s=60)
        self._ids: dict[Path, str] = {}

    def adopted(self, folders: Sequence[Path]) -> list[Path]:
        """Return the jobs that an earlier command queued and that are queued still, or run."""
        known = self._known()
        asked = {folder: known[folder.name] for folder in folders if folder.name in known}
        for number in asked.values():
            self._watcher.register_job(number)
        if asked:
            self._watcher.update()
        self._ids |= {f: number for f, number in asked.items() if self._state(number) in LIVING}
        return [folder for folder in folders if folder in self._ids]

    def submit(self, folders: Sequence[Path]) -> None:
        """Queue arrays of jobs that Slurm runs so many of at once."""
        parts = [folders[i : i + LARGEST_ARRAY] for i in range(0, len(folders), LARGEST_ARRAY)]
        for number, part in enumerate(parts):
            at_once = self._at_once or len(folders)
            fraction = at_once // len(parts) + (number < at_once % len(parts))
            self._executor.update_parameters(**self._parameters(max(1, fraction)))
            jobs = self._executor.map_array(self._job, [str(folder) for folder in part])
            self._ids |= {f: str(job.job_id) for f, job in zip(part, jobs, strict=True)}
            for job in jobs:
                self._watcher.register_job(str(job.job_id))
            ids = {folder.name: number for folder, number in self._ids.items()}
            write_json(self._folder / SUBMITTED, {**self._known(), **ids})

    def released(self) -> dict[Path, str]:
        """Return the jobs that Slurm's accounting calls over; it is asked at most every minute."""
        if self._ids:
            self._watcher.update_if_long_enough("standard")
        states = {folder: self._state(number) for folder, number in self._ids.items()}
        over = {folder: state for folder, state in states.items() if state not in KEPT}
        told = {f: f"Slurm says {state}: job {self._ids.pop(f)}" for f, state in over.items()}
        return told

    def cancel(self, folders: Iterable[Path]) -> None:
        """Take the jobs out of the queue; those that run get SIGTERM, and save."""
        ids = [self._ids[folder] for folder in folders if folder in self._ids]
        for start in range(0, len(ids), LARGEST_ARRAY):
            subprocess.run(["scancel", *ids[start : start + LARGEST_ARRAY]], check=False)

    def _known(self) -> dict[str, str]:
        """Return the numbers of the jobs that were ever queued, by their run ids."""
        path = self._folder / SUBMITTED
        if not path.exists():
            return {}
        record: dict[str, str] = read_record(path, {"*": str})
        return {k: v for k, v in record.items() if v.replace("_", "").isdigit()}

    def _state(self, number: str) -> str:
        """Return Slurm's word: ``CANCELLED by 0`` is CANCELLED."""
        info = self._watcher.get_info(number, mode="cache")
        return (info.get("State") or "UNKNOWN").partition(" ")[0]

    def _parameters(self, at_once: int) -> dict[str, Any]:
        settings = self._settings
        chosen = {
            "partition": settings.partition,
            "account": settings.account,
            "qos": settings.qos,
            "constraint": settings.constraint,
            "gpus_per_node": settings.gpus_per_node,
        }
        memory = {} if settings.mem_gb is None else {"mem": f"{round(settings.mem_gb * 1024)}M"}
        return {
            **{name: value for name, value in chosen.items() if value is not None},
            **memory,
            "job_name": "xferlab",
            "time": settings.timeout_min,
            "signal_delay_s": settings.signal_delay_s,
            "cpus_per_task": settings.cpus_per_task,
            "array_parallelism": at_once,
            "additional_parameters": {"requeue": True},
            "stderr_to_stdout": True,
        }


def threads_of(cpus: float, threads: int | None) -> dict[str, str | None]:
    """Return the environment of a job that has so many processors."""
    count = str(threads or max(1, round(cpus)))
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return dict.fromkeys(names, count)


def own_devices() -> dict[str, str | None]:
    """Return this process's GPUs for its jobs; submitit's local executor would hide them."""
    return {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no word of it'}"
