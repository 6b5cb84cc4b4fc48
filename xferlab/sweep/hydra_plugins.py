"""Hydra's side of a sweep: a sweeper that runs what was frozen, a launcher for this machine.

Any other Hydra launcher can run the same jobs: all it is told is each job's folder, and the task
function reads the frozen config that lies there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.plugin import Plugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from xferlab.config.overrides import as_word, parse_overrides
from xferlab.config.schema import SweepConfig
from xferlab.sweep.console import console_for
from xferlab.sweep.job_state import DONE, state_of
from xferlab.sweep.local_pool import JobObserver, Pool, worker_command
from xferlab.sweep.manifest import PLAN, read_plan
from xferlab.sweep.search.controller import Search
from xferlab.sweep.search.runner import run_here, run_rounds
from xferlab.validation import build_typed, plain

NAMESPACE = "hydra_plugins.xferlab"
"""Hydra takes sweepers and launchers from this namespace only; a file there would be imported by
every Hydra program of the environment, so ours are known by that name in this process alone."""


def publish_sweeper(search: Search | None = None) -> None:
    """Offer ``hydra/sweeper=manifest`` and ``hydra/launcher=local`` to this process alone.

    Args:
        search: what finds the jobs; None for those of the sweep's plan.
    """
    ManifestSweeper.search = search
    offer(ManifestSweeper, LocalLauncher)


def offer(*classes: type[Plugin]) -> None:
    """Let Hydra find sweepers and launchers under :data:`NAMESPACE`."""
    plugins = Plugins.instance()
    for plugin in classes:
        plugins.register(plugin)
        plugins.class_name_to_class[f"{NAMESPACE}.{plugin.__name__}"] = plugin


class ManifestSweeper(Sweeper):
    """Hands the unfinished jobs of ``hydra.sweep.dir``'s plan to the launcher, or a search's.

    Attributes:
        search: what finds the jobs, if that is not the plan.
    """

    search: Search | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Remember where the plan is and make the launcher."""
        self.folder = Path(config.hydra.sweep.dir).resolve()
        self.sweep_settings = build_typed(SweepConfig, plain(config.sweep), "sweep")
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Launch the jobs that the last command asked for and that have not finished."""
        if self.search is None:
            return self._launch(unfinished(self.folder))
        if isinstance(self.launcher, LocalLauncher):
            return self.launcher.run_search(self.search)
        run_rounds(self.search, self._launch, self.sweep_settings.workers or 1)

    def _launch(self, jobs: Sequence[Path]) -> Any:
        return self.launcher.launch([job_words(job) for job in jobs], 0)


def unfinished(folder: Path) -> list[Path]:
    """Return the folders of the jobs that the last command asked for and are not done."""
    jobs = [folder / run_id for run_id in read_plan(folder)["asked"]]
    return [job for job in jobs if state_of(job).status not in DONE]


def job_words(folder: Path) -> list[str]:
    """Return the overrides that tell a launcher a job's folder, which is all it needs."""
    return [
        as_word("hydra.sweep.dir", str(folder.parent)),
        as_word("hydra.sweep.subdir", folder.name),
        "hydra.output_subdir=null",
    ]


def folder_of(words: Sequence[str]) -> Path:
    """Return the folder that :func:`job_words` were made of."""
    sweep_folder, name = (override.value() for override in parse_overrides(words[:2]))
    return Path(str(sweep_folder)) / str(name)


class LocalLauncher(Launcher):
    """Runs every job in a process of its own, with its share of cores and GPUs."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Read how many at once, on what; the task function runs in the workers."""
        self.sweep = build_typed(SweepConfig, plain(config.sweep), "sweep")

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs and return where; what each gave, or its failure, is in its folder."""
        folders = [folder_of(words) for words in job_overrides]
        places = self._places()
        with console_for(folders, len(places)) as watch:
            self._pool(watch).run(folders)
        return [JobReturn(status=JobStatus.COMPLETED, working_dir=str(f)) for f in folders]

    def run_search(self, search: Search) -> None:
        """Run the jobs of a search as it finds them."""
        places = len(self._places())
        with console_for([search.folder / PLAN], places, total=search.left) as watch:
            run_here(search, self._pool, places, watch)

    def _places(self) -> list[dict[str, str]]:
        return slots(self.sweep.workers, self.sweep.gpus, self.sweep.threads)

    def _pool(self, watch: JobObserver) -> Pool:
        return Pool(
            worker_command,
            self._places(),
            watch,
            fail_fast=self.sweep.fail_fast,
            time_limit=self.sweep.limit_seconds,
        )


def slots(
    workers: int | None, gpus: Sequence[str], threads: int | None = None
) -> list[dict[str, str]]:
    """Return the environment of each worker.

    One worker without ``threads`` has all cores and the very environment of a single run, so
    that its results are the same bits.
    """
    count = workers or max(1, len(gpus))
    threads = threads or (max(1, cores() // count) if count > 1 else None)
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    shared = dict.fromkeys(names, str(threads)) if threads else {}
    return [
        {**shared, **({"CUDA_VISIBLE_DEVICES": str(gpus[slot])} if gpus else {})}
        for slot in range(count)
    ]


def cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
