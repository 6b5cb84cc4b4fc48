"""Runs a function as Hydra runs a job: its folder, its logging, its ``.hydra`` files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hydra.core.utils import run_job, setup_globals
from omegaconf import DictConfig, open_dict

from xferlab.config.compose import Composed
from xferlab.runs.failure import report_failure
from xferlab.runs.os_errors import as_run_error


def run_as_hydra_job(
    experiment: Composed, folder: Path, train: Callable[[], object]
) -> Exception | None:
    """Call ``train`` as the Hydra job of a config that is composed already.

    Returns:
        The exception that ended it, which is reported in the run's log; None after success.
    """
    error: list[Exception] = []

    def task(_: DictConfig) -> None:
        try:
            train()
        except Exception as e:  # noqa: BLE001 - a plugin may raise anything
            known = as_run_error(e) or e
            report_failure(known)
            error.append(known)

    with open_dict(experiment.config):
        experiment.config.hydra.run.dir = str(folder)
    setup_globals()
    run_job(task, experiment.config, "hydra.run.dir", None, experiment.context)
    return error[0] if error else None
