"""Hydra's side of the engines: one launcher for all of them.

Hydra's own launchers for these engines compose every job again where it runs, from YAML files as
they are by then; these submit a folder.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from xferlab.config.schema import SweepConfig
from xferlab.errors import ConfigError
from xferlab.sweeps.console import console_for
from xferlab.sweeps.engines.base import EngineSettings
from xferlab.sweeps.engines.registry import (
    ENGINES,
    read_settings,
    refuse_local_gpus,
    target_of,
)
from xferlab.sweeps.launcher import folder_of
from xferlab.sweeps.remote_jobs import RemoteJobMonitor
from xferlab.validation import build_typed, plain


class EngineLauncher(Launcher):
    """Submits the folders of the jobs to an engine, and follows what is written there."""

    def __init__(self, **values: Any) -> None:
        """Accept the values of ``hydra.launcher``, which :meth:`setup` reads."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Check settings, package and engine before any job is submitted."""
        settings = read_settings(plain(config.hydra.launcher))
        assert settings is not None, "an engine is offered under its own target"
        self.settings = settings
        self.sweep = build_typed(SweepConfig, plain(config.sweep), "sweep")
        refuse_local_gpus(self.sweep.gpus, settings)
        _refuse_missing_package(settings)
        settings.check_reachable()

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs and return where; the result of each, or its failure, is in its folder."""
        folders = [folder_of(overrides) for overrides in job_overrides]
        engine = self.settings.start(self.sweep, folders[0].parent)
        with console_for(folders, self.sweep.workers or len(folders)) as watch:
            RemoteJobMonitor(engine, watch, fail_fast=self.sweep.fail_fast).run(folders)
        return [JobReturn(status=JobStatus.COMPLETED, working_dir=str(f)) for f in folders]


def offer_engines() -> None:
    """Let Hydra find the launcher under the target of every engine."""
    plugins = Plugins.instance()
    plugins.register(EngineLauncher)
    for settings in ENGINES.values():
        plugins.class_name_to_class[target_of(settings)] = EngineLauncher


def is_installed(package: str) -> bool:
    """Return whether a package could be imported."""
    return importlib.util.find_spec(package) is not None


def _refuse_missing_package(settings: EngineSettings) -> None:
    if settings.package and not is_installed(settings.package):
        raise ConfigError(
            f"hydra/launcher={settings.name} needs the package {settings.package}",
            where=f"hydra/launcher={settings.name}",
            fix=f"pip install 'xferlab[{settings.extra}]'",
        )
