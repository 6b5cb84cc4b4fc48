"""Hydra's launchers: which one a sweep has chosen, and the one that runs jobs on this machine.

Any Hydra launcher can run the jobs of a sweep: it gets each job's folder, and the task function
reads the config in that folder's ``job.json``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.plugin import Plugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from xferlab.backend.device import THREAD_VARIABLES, available_cores
from xferlab.config.compose import compose_with_context
from xferlab.config.overrides import format_override, parse_overrides
from xferlab.config.schema import SweepConfig
from xferlab.discovery import load_plugins
from xferlab.runs.failure import report_failure
from xferlab.runs.os_errors import as_run_error
from xferlab.sweeps.console import console_for
from xferlab.sweeps.job_processes import FreshProcesses, WarmProcesses
from xferlab.sweeps.local_pool import JobObserver, Pool
from xferlab.sweeps.planner import Plan
from xferlab.sweeps.worker import run_planned_job
from xferlab.validation import build_typed, plain

NAMESPACE = "hydra_plugins.xferlab"
"""Hydra accepts launchers from this namespace only; a file there would be imported by every
Hydra program of the environment, so ours have that name in this process alone."""


def register_launchers(*classes: type[Plugin]) -> None:
    """Let Hydra find launchers under :data:`NAMESPACE`."""
    plugins = Plugins.instance()
    for plugin in classes:
        plugins.register(plugin)
        plugins.class_name_to_class[f"{NAMESPACE}.{plugin.__name__}"] = plugin


def launcher_for(plan: Plan, folder: Path) -> Launcher:
    """Return the launcher that a plan chooses, set up for the jobs in ``folder``."""
    register_launchers(LocalLauncher)
    overrides = [*plan.hydra_overrides, format_override("hydra.sweep.dir", os.path.abspath(folder))]
    config, context = compose_with_context(overrides, plan.config_name)
    return Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=run_launched_job, config=config
    )


def launch(launcher: Launcher, folders: Sequence[Path]) -> None:
    """Run the jobs in ``folders`` and wait for them."""
    launcher.launch([job_overrides(folder.absolute()) for folder in folders], 0)


def run_launched_job(config: DictConfig) -> float | None:
    """Train the job whose folder a launcher has set up; the task function of all launchers.

    A failure is reported, not raised: Hydra would print it again and lose the other jobs'
    results. A job's ``status.json`` says how it ended.
    """
    runtime = HydraConfig.get().runtime
    load_plugins(Path(runtime.cwd))
    try:
        return run_planned_job(Path(runtime.output_dir))
    except Exception as e:  # noqa: BLE001 - a plugin may raise anything
        report_failure(as_run_error(e) or e)
        return None


def job_overrides(folder: Path) -> list[str]:
    """Return the overrides that give a launcher a job's folder, which is all it needs."""
    return [
        format_override("hydra.sweep.dir", str(folder.parent)),
        format_override("hydra.sweep.subdir", folder.name),
        "hydra.output_subdir=null",
    ]


def folder_of(overrides: Sequence[str]) -> Path:
    """Return the folder that :func:`job_overrides` were made of."""
    sweep_folder, name = (override.value() for override in parse_overrides(overrides[:2]))
    return Path(str(sweep_folder)) / str(name)


class LocalLauncher(Launcher):
    """Runs every job in a process of its own, with its part of the cores and GPUs."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Read how many jobs run at once and on what; the task function runs in the workers."""
        self.sweep = build_typed(SweepConfig, plain(config.sweep), "sweep")

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs and return their folders, which hold their results or failures."""
        folders = [folder_of(overrides) for overrides in job_overrides]
        with console_for(folders, len(self.slots())) as watch:
            self.pool(watch).run(folders)
        return [JobReturn(status=JobStatus.COMPLETED, working_dir=str(f)) for f in folders]

    def slots(self) -> list[dict[str, str]]:
        """Return the environment of each worker."""
        return slots(self.sweep.workers, self.sweep.gpus, self.sweep.threads)

    def pool(self, watch: JobObserver) -> Pool:
        """Return the processes that run the jobs; ``watch`` follows them."""
        slots = self.slots()
        isolated = self.sweep.isolate or sys.platform != "linux"  # elsewhere forks are not safe
        return Pool(
            FreshProcesses(worker_command) if isolated else WarmProcesses(slots),
            slots,
            watch,
            fail_fast=self.sweep.fail_fast,
            time_limit=self.sweep.limit_seconds,
        )


def worker_command(folder: Path) -> list[str]:
    """Return the command of one job; the job stops when its standard input closes."""
    return [sys.executable, "-m", "xferlab.sweeps.worker", str(folder), "--tied"]


def slots(
    workers: int | None, gpus: Sequence[str], threads: int | None = None
) -> list[dict[str, str]]:
    """Return the environment of each worker.

    One worker without ``threads`` has all cores and the very environment of a single run, so
    that its results are the same bits.
    """
    count = workers or max(1, len(gpus))
    threads = threads or (max(1, available_cores() // count) if count > 1 else None)
    shared: dict[str, Any] = dict.fromkeys(THREAD_VARIABLES, str(threads)) if threads else {}
    return [
        {**shared, **({"CUDA_VISIBLE_DEVICES": str(gpus[slot])} if gpus else {})}
        for slot in range(count)
    ]
