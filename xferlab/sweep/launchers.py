"""``hydra/launcher=ray``, ``submitit_slurm`` and ``submitit_local``: jobs on other machines.

Hydra's own launchers for these engines compose every job again where it runs, from YAML files as
they are by then; ours hand over a folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from xferlab.config.schema import SweepConfig
from xferlab.errors import ConfigError, did_you_mean
from xferlab.sweep.console import console_for
from xferlab.sweep.engine_settings import (
    KEY,
    RaySettings,
    SlurmSettings,
    refuse_devices,
    settings_of,
)
from xferlab.sweep.engines import (
    Engine,
    RayEngine,
    SlurmEngine,
    SubmititEngine,
    own_devices,
    threads_of,
)
from xferlab.sweep.launcher import folder_of, register_launchers
from xferlab.sweep.node_runner import JobOnNode
from xferlab.sweep.remote_jobs import RemoteJobMonitor
from xferlab.validation import build_typed, plain

COMMAND = ("-m", "xferlab.sweep.worker", "--tied")
"""A job's, without its folder; it ends when its standard input closes."""
ANSWER_SECONDS = 30


class EngineLauncher(Launcher):
    """Gives an engine the folders of the jobs, and follows what they write there.

    Attributes:
        word: the choice of ``hydra/launcher`` that means this one.
        package: what must be installed, and the extra that installs it.
    """

    word: str
    package: tuple[str, str]

    def __init__(self, **settings: Any) -> None:
        self._given = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Read the settings and see whether the engine is there, before any job is given to it."""
        self.sweep = build_typed(SweepConfig, plain(config.sweep), "sweep")
        self.settings = settings_of({**plain(config.hydra.launcher)})
        refuse_devices(self.sweep.gpus)
        module, extra = self.package
        if not is_installed(module):
            raise ConfigError(
                f"hydra/launcher={self.word} needs the package {module}",
                where=f"hydra/launcher={self.word}",
                fix=f"pip install 'xferlab[{extra}]'",
            )
        self.reach()

    def reach(self) -> None:
        """Raise ConfigError unless the engine answers."""

    @abstractmethod
    def engine(self, folder: Path) -> Engine:
        """Return the engine for the jobs of the sweep in ``folder``."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs and return where; what each gave, or its failure, is in its folder."""
        folders = [folder_of(words) for words in job_overrides]
        engine = self.engine(folders[0].parent)
        with console_for(folders, self.sweep.workers or len(folders)) as watch:
            RemoteJobMonitor(engine, watch, fail_fast=self.sweep.fail_fast).run(folders)
        return [JobReturn(status=JobStatus.COMPLETED, working_dir=str(f)) for f in folders]

    def job(self, environment: dict[str, str | None]) -> JobOnNode:
        """Return what the engine runs for every folder."""
        return JobOnNode(COMMAND, os.getcwd(), environment)


class RayLauncher(EngineLauncher):
    """A running Ray cluster."""

    word, package = "ray", ("ray", "ray")
    settings: RaySettings

    def reach(self) -> None:
        """Connect to the cluster."""
        settings = self.settings
        if settings.address != "auto" and not _listens(settings.address):
            raise self._unreachable("nothing answers there")
        os.environ.setdefault("RAY_AUTH_MODE", settings.auth)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        try:
            # not object_store_memory: a cluster that runs has its own
            ray.init(address=settings.address, log_to_driver=False, logging_level="ERROR")
        except Exception as e:  # Ray raises many kinds, gRPC's among them
            raise self._unreachable(f"{type(e).__name__}") from e

    def _unreachable(self, why: str) -> ConfigError:
        mode = os.environ.get("RAY_AUTH_MODE", self.settings.auth)
        return ConfigError(
            f"no Ray cluster can be reached at {self.settings.address} ({why}; RAY_AUTH_MODE is"
            f" {mode})",
            where=f"{KEY}.address",
            fix="`ray status` shows one that runs, `ray start --head` begins one; both sides need"
            " the same RAY_AUTH_MODE",
        )

    def engine(self, folder: Path) -> Engine:
        """Return Ray."""
        job = self.job(threads_of(self.settings.num_cpus, self.sweep.threads))
        return RayEngine(job, self.settings, self.sweep.workers)


class SubmititLauncher(EngineLauncher):
    """Processes on this machine that submitit keeps."""

    word, package = "submitit_local", ("submitit", "slurm")

    def engine(self, folder: Path) -> Engine:
        """Return submitit's local executor."""
        threads = threads_of(1, self.sweep.threads) if self.sweep.threads else {}
        job = self.job({**threads, **own_devices()})
        return SubmititEngine(job, self.settings, self.sweep.workers, folder)


class SlurmLauncher(EngineLauncher):
    """A Slurm cluster, from a machine where its commands work."""

    word, package = "submitit_slurm", ("submitit", "slurm")
    settings: SlurmSettings

    def reach(self) -> None:
        """Ask Slurm for its partitions, and its accounting for anything."""
        missing = [name for name in ("sbatch", "srun", "sacct") if shutil.which(name) is None]
        if missing:
            raise ConfigError(
                f"Slurm's command {missing[0]} is not here",
                where=f"hydra/launcher={self.word}",
                fix="start the sweep on a login node; hydra/launcher=local runs it here",
            )
        known = _answer(["sinfo", "-h", "-o", "%R"], "Slurm's controller", "sinfo").split()
        if self.settings.partition is not None:
            unknown = [p for p in self.settings.partition.split(",") if p not in known]
            if unknown:
                raise ConfigError(
                    f"there is no partition named '{unknown[0]}'",
                    where=f"{KEY}.partition",
                    fix=did_you_mean(unknown[0], known),
                )
        # without it a job that dies hard would never be known to have ended
        _answer(["sacct", "-n", "-X", "-o", "JobID"], "Slurm's accounting", "sacct")

    def engine(self, folder: Path) -> Engine:
        """Return Slurm."""
        job = self.job(threads_of(self.settings.cpus_per_task, self.sweep.threads))
        return SlurmEngine(job, self.settings, self.sweep.workers, folder)


def is_installed(module: str) -> bool:
    """Return whether a module could be imported."""
    return importlib.util.find_spec(module) is not None


def offer_engines() -> None:
    """Let Hydra find the launchers of this module."""
    register_launchers(RayLauncher, SubmititLauncher, SlurmLauncher)


def _listens(address: str) -> bool:
    """Return whether something answers at ``HOST:PORT``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _answer(command: Sequence[str], who: str, name: str) -> str:
    """Return what a command of Slurm prints, or raise ConfigError."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
        told = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
        if done.returncode == 0:
            return done.stdout
    except subprocess.TimeoutExpired:
        told = f"no answer for {ANSWER_SECONDS} s"
    raise ConfigError(
        f"{who} does not answer: {told}",
        where=f"hydra/launcher={SlurmLauncher.word}",
        fix=f"`{name}` must work here; nothing was submitted",
    )
