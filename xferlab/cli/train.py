"""``python -m xferlab [OVERRIDES]``: one run, or with ``-m`` a sweep."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from xferlab.config.compose import (
    Composed,
    compose_experiment,
    print_config,
    publish_plugins,
)
from xferlab.config.recipe import Recipe
from xferlab.errors import ConfigError, PluginError, XferlabError
from xferlab.experiment.hydra_job import run_as_hydra_job
from xferlab.runs.folder_access import refuse_unusable
from xferlab.runs.inputs import read_inputs
from xferlab.runs.lock import locked, refuse_links
from xferlab.runs.outside_paths import refuse_places_outside
from xferlab.runs.recorded_plugins import load_plugins_of
from xferlab.runs.refused_run import left_if_begun
from xferlab.runs.resume import refuse_changed, run_folder, stored_overrides


def train(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Train one experiment, or with ``-m`` several; return the exit code."""
    _refuse_contradictions(flags)
    if flags.multirun:
        from xferlab.cli.sweep import sweep

        return sweep(overrides, flags.config_name, dry_run=flags.dry_run)
    if flags.recover and os.path.exists(Path(flags.recover) / "job.json"):
        from xferlab.sweeps.worker import recover_job

        return recover_job(Path(flags.recover), overrides)
    stored = recovered_overrides(Path(flags.recover)) if flags.recover else []
    experiment = compose_experiment([*stored, *overrides], flags.config_name)
    if flags.cfg or flags.info:
        print_config(experiment, flags)
        return 0
    folder = choose_folder(experiment, overrides, recover=flags.recover, force=flags.force)
    error = train_in(folder, experiment)
    if error is None:
        return 0
    return error.exit_code if isinstance(error, XferlabError) else 1


def recovered_overrides(folder: Path) -> list[str]:
    """Return the overrides of an interrupted run, whose own plugin files are loaded."""
    stored = stored_overrides(folder)
    load_plugins_of(folder)
    publish_plugins()
    return stored


def _refuse_contradictions(flags: argparse.Namespace) -> None:
    """Raise ConfigError for flags that exclude each other."""
    if flags.multirun and (flags.cfg or flags.info):
        flag = "--cfg" if flags.cfg else "--info"
        raise ConfigError(
            f"{flag} prints one config, and -m runs several", where=flag, fix="leave -m out"
        )
    if flags.multirun and (flags.force or flags.recover is not None):
        flag = "--force" if flags.force else "--recover"
        raise ConfigError(
            f"{flag} is for one run", where=flag, fix="the same sweep command resumes the sweep"
        )
    if flags.dry_run and not flags.multirun:
        raise ConfigError("--dry-run prints the jobs of a sweep", where="--dry-run", fix="add -m")


def choose_folder(
    experiment: Composed, command_line: list[str], *, recover: str | None, force: bool
) -> Path:
    """Return the folder that the run is trained in: a new one, or one that it resumes.

    Args:
        experiment: the checked config.
        command_line: its overrides, without those of a run that is resumed.
        recover: the folder to resume; "" to find it, None for a new run.
        force: replace what is in the folder.
    """
    named = any(each.startswith("hydra.run.dir=") for each in experiment.overrides)
    default = Path(experiment.config.hydra.run.dir)
    refuse_unusable(Path(recover or default), "choose another hydra.run.dir")
    recipe = experiment.recipe
    folder = run_folder(recipe, default, named=named, recover=recover, force=force)
    if recover:
        _refuse_untrusted(folder, recipe, command_line)
    refuse_changed(folder, recipe)
    return folder


def _refuse_untrusted(folder: Path, recipe: Recipe, command_line: list[str]) -> None:
    """Raise ConfigError if a folder leads out of itself, by links or by paths in its config."""
    refuse_links(folder)
    inputs = read_inputs(folder)
    if inputs is not None:
        refuse_changed(folder, recipe)  # of one's own run that is the better answer
    refuse_places_outside(folder, recipe.config, inputs, command_line)


def train_in(folder: Path, experiment: Composed) -> Exception | None:
    """Train as a Hydra job in ``folder``; an invalid config leaves no new folder behind.

    Returns:
        The error that ended the run, which its log has; None after success.
    """
    from xferlab.experiment.run import run

    with left_if_begun(folder) as attempt:
        with locked(folder):  # the folder can be made and written to
            pass
        error = run_as_hydra_job(experiment, folder, lambda: run(experiment.recipe, folder))
        attempt.refused = isinstance(error, ConfigError | PluginError)
    return error
