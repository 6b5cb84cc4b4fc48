"""``hydra/launcher=ray``: every job is a task of a running Ray cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.config.schema import SweepConfig
from xferlab.errors import ConfigError
from xferlab.sweeps.engines.base import (
    KEY,
    WORKER,
    Engine,
    EngineSettings,
    job_variables,
    workspace,
)
from xferlab.sweeps.engines.registry import register
from xferlab.sweeps.node_runner import NodeRunner

MAX_TASKS = 1000
"""Tasks at once where ``sweep.workers`` does not say."""


@register
@dataclass(frozen=True)
class RaySettings(EngineSettings):
    """How a job runs on Ray; the names are Ray's.

    Attributes:
        address: of the head, ``HOST:PORT``; ``auto`` is the cluster of this machine.
        auth: ``token``, as ``ray start`` has it, or ``disabled``.
        num_cpus: processors of a job; its number of threads, rounded up.
        num_gpus: GPUs of a job.
        max_retries: how often a job whose node died is started again.
    """

    address: str = "auto"
    auth: str = "token"
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    max_retries: int = 3

    name = "ray"
    launcher = "RayLauncher"
    package = "ray"
    extra = "ray"
    gpu_key = "num_gpus"
    minimums = {"num_cpus": 0.1, "num_gpus": 0, "max_retries": 0}
    in_files = {"address": "auto"}  # what a cluster answers is unpickled

    def __post_init__(self) -> None:
        if self.auth not in ("token", "disabled"):
            raise ValueError(f"auth must be token or disabled, got '{self.auth}'")
        super().__post_init__()

    def check_reachable(self) -> None:
        """Connect to the cluster."""
        if self.address != "auto" and not _listens(self.address):
            raise self._unreachable("nothing answers there")
        os.environ.setdefault("RAY_AUTH_MODE", self.auth)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        try:
            # not object_store_memory: a cluster that runs has its own
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
        except Exception as e:  # Ray raises many kinds, gRPC's among them
            raise self._unreachable(f"{type(e).__name__}") from e

    def _unreachable(self, reason: str) -> ConfigError:
        mode = os.environ.get("RAY_AUTH_MODE", self.auth)
        return ConfigError(
            f"no Ray cluster can be reached at {self.address} ({reason}; RAY_AUTH_MODE is {mode})",
            where=f"{KEY}.address",
            fix="`ray status` shows one that runs, `ray start --head` starts one; both sides need"
            " the same RAY_AUTH_MODE",
        )

    def start(self, sweep: SweepConfig, folder: Path) -> Engine:
        """Return Ray."""
        return RayEngine(self, sweep)


class RayEngine:
    """Every job is a Ray task; one whose node died is started again on another."""

    def __init__(self, settings: RaySettings, sweep: SweepConfig) -> None:
        import ray

        self._ray = ray
        self._job = NodeRunner(WORKER, workspace(), job_variables(settings.num_cpus, sweep.threads))
        self.capacity = sweep.workers or MAX_TASKS
        self.delay = 30.0
        self._task = ray.remote(
            num_cpus=settings.num_cpus,
            num_gpus=settings.num_gpus,
            max_retries=settings.max_retries,
            max_calls=1,
        )(run_job)
        self._tasks: dict[Any, Path] = {}

    def adopt(self, folders: Sequence[Path]) -> list[Path]:
        """Return none: Ray ends the tasks of a command that is gone."""
        return []

    def submit(self, folders: Sequence[Path]) -> None:
        """Start a task for each job."""
        for folder in folders:
            self._tasks[self._task.remote(self._job, str(folder))] = folder

    def released(self) -> dict[Path, str]:
        """Return the tasks that have ended."""
        if not self._tasks:
            return {}
        tasks = list(self._tasks)
        ended, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)
        return {self._tasks.pop(task): self._describe_end(task) for task in ended}

    def _describe_end(self, task: Any) -> str:
        try:
            return f"the task ended with code {self._ray.get(task)}"
        except Exception as e:  # noqa: BLE001 - whatever the task raised, or Ray about it
            return f"Ray reports {_last_line(e)}"

    def cancel(self, folders: Iterable[Path]) -> None:
        """Interrupt the tasks."""
        wanted = set(folders)
        for task in [task for task, folder in self._tasks.items() if folder in wanted]:
            self._ray.cancel(task, force=False)


def run_job(job: NodeRunner, folder: str) -> int:
    """Run a job; what Ray finds by name on every machine."""
    return job(folder)


def _listens(address: str) -> bool:
    """Return whether something answers at ``HOST:PORT``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"
