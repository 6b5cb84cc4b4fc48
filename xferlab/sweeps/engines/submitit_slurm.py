"""``hydra/launcher=submitit_slurm``: jobs are tasks of Slurm's job arrays."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.config.schema import SweepConfig
from xferlab.errors import ConfigError, did_you_mean
from xferlab.io.atomic import write_json
from xferlab.io.records import read_record
from xferlab.runs.lock import ENGINE_FOLDER
from xferlab.sweeps.engines.base import (
    KEY,
    WORKER,
    Engine,
    EngineSettings,
    job_variables,
    workspace,
)
from xferlab.sweeps.engines.registry import register
from xferlab.sweeps.engines.submitit_local import SubmititJob

MAX_ARRAY = 1000
"""Slurm's MaxArraySize is 1001 unless its administrator has raised it."""
SUBMITTED = "slurm.json"
"""In the sweep's folder: Slurm's id of every job that was ever queued, by run id."""
ALIVE = ("PENDING", "RUNNING", "REQUEUED", "COMPLETING", "CONFIGURING", "SUSPENDED")
NOT_ENDED = (*ALIVE, "UNKNOWN", "READY", "PREEMPTED")
ANSWER_SECONDS = 30
"""How long a command of Slurm may take."""


@register
@dataclass(frozen=True)
class SlurmSettings(EngineSettings):
    """How a job runs on Slurm; the names are submitit's.

    Attributes:
        partition: where; null is the cluster's default, here and below.
        account: who is charged.
        qos: quality of service.
        constraint: features of the node.
        timeout_min: minutes after which a job is saved and queued again.
        signal_delay_s: seconds before that at which it is signalled to save.
        max_num_timeout: how often it is queued again.
        cpus_per_task: processors of a job, and its number of threads.
        gpus_per_node: GPUs of a job.
        mem_gb: memory of a job.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    timeout_min: int = 240
    signal_delay_s: int = 120
    max_num_timeout: int = 20
    cpus_per_task: int = 1
    gpus_per_node: int | None = None
    mem_gb: float | None = None

    name = "submitit_slurm"
    launcher = "SlurmLauncher"
    package = "submitit"
    extra = "slurm"
    gpu_key = "gpus_per_node"
    minimums = {
        "timeout_min": 1,
        "signal_delay_s": 1,
        "max_num_timeout": 0,
        "cpus_per_task": 1,
        "gpus_per_node": 0,
        "mem_gb": 0.001,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.signal_delay_s >= self.timeout_min * 60:
            raise ValueError(
                f"signal_delay_s must be less than timeout_min, {self.timeout_min * 60} s,"
                f" got {self.signal_delay_s}"
            )

    def check_reachable(self) -> None:
        """Request Slurm's partitions, and any answer of its accounting."""
        missing = [name for name in ("sbatch", "srun", "sacct") if shutil.which(name) is None]
        if missing:
            raise ConfigError(
                f"Slurm's command {missing[0]} is not here",
                where=f"hydra/launcher={self.name}",
                fix="start the sweep on a login node; hydra/launcher=local runs it here",
            )
        partitions = _output_of(["sinfo", "-h", "-o", "%R"], "Slurm's controller").split()
        wanted = self.partition.split(",") if self.partition else []
        for name in wanted:
            if name not in partitions:
                raise ConfigError(
                    f"there is no partition named '{name}'",
                    where=f"{KEY}.partition",
                    fix=did_you_mean(name, partitions),
                )
        # without accounting the end of a job that was killed hard would never be seen
        _output_of(["sacct", "-n", "-X", "-o", "JobID"], "Slurm's accounting")

    def start(self, sweep: SweepConfig, folder: Path) -> Engine:
        """Return Slurm."""
        return SlurmEngine(self, sweep, folder)

    def parameters(self, at_once: int) -> dict[str, Any]:
        """Return what submitit needs for an array of which ``at_once`` jobs run at a time."""
        optional = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "gpus_per_node": self.gpus_per_node,
            "mem": None if self.mem_gb is None else f"{round(self.mem_gb * 1024)}M",
        }
        return {
            **{name: value for name, value in optional.items() if value is not None},
            "job_name": "xferlab",
            "time": self.timeout_min,
            "signal_delay_s": self.signal_delay_s,
            "cpus_per_task": self.cpus_per_task,
            "array_parallelism": at_once,
            "additional_parameters": {"requeue": True},
            "stderr_to_stdout": True,
        }


class SlurmEngine:
    """Slurm's queue; jobs continue when the command that submitted them is gone."""

    def __init__(self, settings: SlurmSettings, sweep: SweepConfig, folder: Path) -> None:
        from submitit import SlurmExecutor
        from submitit.slurm.slurm import SlurmInfoWatcher

        environment = job_variables(settings.cpus_per_task, sweep.threads)
        self._job = SubmititJob(WORKER, workspace(), environment)
        self._settings = settings
        self._at_once = sweep.workers
        self._folder = folder
        self.capacity = None
        self.delay = 60.0
        logs = folder / ENGINE_FOLDER / "%j"
        self._executor = SlurmExecutor(logs, max_num_timeout=settings.max_num_timeout)
        self._watcher = SlurmInfoWatcher(delay_s=60)
        self._ids: dict[Path, str] = {}

    def adopt(self, folders: Sequence[Path]) -> list[Path]:
        """Return the jobs that an earlier command queued and that are still queued or running."""
        submitted = self._read_submitted()
        ids = {folder: submitted[folder.name] for folder in folders if folder.name in submitted}
        for number in ids.values():
            self._watcher.register_job(number)
        if ids:
            self._watcher.update()
        self._ids |= {f: number for f, number in ids.items() if self._state(number) in ALIVE}
        return [folder for folder in folders if folder in self._ids]

    def submit(self, folders: Sequence[Path]) -> None:
        """Queue job arrays."""
        arrays = [folders[i : i + MAX_ARRAY] for i in range(0, len(folders), MAX_ARRAY)]
        for number, array in enumerate(arrays):
            quotient, rest = divmod(self._at_once or len(folders), len(arrays))
            at_once = quotient + 1 if number < rest else quotient
            self._executor.update_parameters(**self._settings.parameters(max(1, at_once)))
            jobs = self._executor.map_array(self._job, [str(folder) for folder in array])
            self._ids |= {f: str(job.job_id) for f, job in zip(array, jobs, strict=True)}
            for job in jobs:
                self._watcher.register_job(str(job.job_id))
            ids = {folder.name: job_id for folder, job_id in self._ids.items()}
            write_json(self._folder / SUBMITTED, {**self._read_submitted(), **ids})

    def released(self) -> dict[Path, str]:
        """Return the jobs that have ended by Slurm's accounting, read at most once a minute."""
        if self._ids:
            self._watcher.update_if_long_enough("standard")
        states = {folder: self._state(number) for folder, number in self._ids.items()}
        ended = {folder: state for folder, state in states.items() if state not in NOT_ENDED}
        return {f: f"Slurm reports {state}: job {self._ids.pop(f)}" for f, state in ended.items()}

    def cancel(self, folders: Iterable[Path]) -> None:
        """Take the jobs out of the queue; those that run get SIGTERM, and save."""
        ids = [self._ids[folder] for folder in folders if folder in self._ids]
        for start in range(0, len(ids), MAX_ARRAY):
            subprocess.run(["scancel", *ids[start : start + MAX_ARRAY]], check=False)

    def _read_submitted(self) -> dict[str, str]:
        path = self._folder / SUBMITTED
        if not path.exists():
            return {}
        record: dict[str, str] = read_record(path, {"*": str})
        return {name: id_ for name, id_ in record.items() if id_.replace("_", "").isdigit()}

    def _state(self, number: str) -> str:
        """Return Slurm's state of a job: ``CANCELLED by 0`` is CANCELLED."""
        info = self._watcher.get_info(number, mode="cache")
        return (info.get("State") or "UNKNOWN").partition(" ")[0]


def _output_of(command: Sequence[str], who: str) -> str:
    """Return what a command of Slurm prints, or raise ConfigError."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
        if done.returncode == 0:
            return done.stdout
        reason = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"no answer for {ANSWER_SECONDS} s"
    raise ConfigError(
        f"{who} does not answer: {reason}",
        where=f"hydra/launcher={SlurmSettings.name}",
        fix=f"`{command[0]}` must work here; nothing was submitted",
    )
