"""``hydra/launcher=submitit_local``: every job is a process that submitit keeps on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.config.schema import SweepConfig
from xferlab.runs.lock import ENGINE_FOLDER
from xferlab.sweeps.engines.base import (
    WORKER,
    Engine,
    EngineSettings,
    job_variables,
    workspace,
)
from xferlab.sweeps.engines.registry import register
from xferlab.sweeps.node_runner import NodeRunner


@register
@dataclass(frozen=True)
class SubmititSettings(EngineSettings):
    """How a job runs in a process that submitit keeps; the names are submitit's.

    Attributes:
        timeout_min: minutes after which a job is saved and started again.
        max_num_timeout: how often.
    """

    timeout_min: int = 10080
    max_num_timeout: int = 20

    name = "submitit_local"
    launcher = "SubmititLauncher"
    package = "submitit"
    extra = "slurm"
    minimums = {"timeout_min": 1, "max_num_timeout": 0}

    def start(self, sweep: SweepConfig, folder: Path) -> Engine:
        """Return submitit's local executor."""
        return SubmititEngine(self, sweep, folder)


class SubmititJob(NodeRunner):
    """A job that submitit requeues at its time limit."""

    def checkpoint(self, folder: str) -> Any:
        """Save the job; submitit calls this in a signal handler before it requeues it."""
        from submitit.helpers import DelayedSubmission

        self.preempt()
        again = SubmititJob(self.command, self.workspace, self.environment)
        return DelayedSubmission(again, folder)


class SubmititEngine:
    """Processes of submitit's local executor."""

    def __init__(self, settings: SubmititSettings, sweep: SweepConfig, folder: Path) -> None:
        from submitit import LocalExecutor

        # submitit's local executor would hide this process's GPUs
        environment = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}
        if sweep.threads:
            environment |= job_variables(1, sweep.threads)
        self._job = SubmititJob(WORKER, workspace(), environment)
        self.capacity = sweep.workers or 1
        self.delay = 0.0
        logs = folder / ENGINE_FOLDER / "%j"
        self._executor = LocalExecutor(logs, max_num_timeout=settings.max_num_timeout)
        self._executor.update_parameters(timeout_min=settings.timeout_min, signal_delay_s=60)
        self._jobs: dict[Path, Any] = {}

    def adopt(self, folders: Sequence[Path]) -> list[Path]:
        """Return none: those that run hold their locks."""
        return []

    def submit(self, folders: Sequence[Path]) -> None:
        """Start a process for each job."""
        for folder in folders:
            self._jobs[folder] = self._executor.submit(self._job, str(folder))

    def released(self) -> dict[Path, str]:
        """Return the jobs whose process has ended."""
        ended = [folder for folder, job in self._jobs.items() if job.done()]
        logs = {folder: self._jobs.pop(folder).paths.stderr for folder in ended}
        return {folder: f"submitit's log is {log}" for folder, log in logs.items()}

    def cancel(self, folders: Iterable[Path]) -> None:
        """Send SIGTERM to the processes."""
        for folder in folders:
            if folder in self._jobs:
                self._jobs[folder]._process.send_signal(signal.SIGTERM)
