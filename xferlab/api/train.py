"""``xferlab.train`` and ``xferlab.sweep``: the commands of the same names, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xferlab.api.data_in_memory import data_overrides
from xferlab.api.process import kept_process
from xferlab.api.sweep_result import Sweep
from xferlab.cli.arguments import parse, take_plugin_folders
from xferlab.cli.main import load_workspace
from xferlab.cli.sweep import folder_of, run_plan
from xferlab.cli.train import choose_folder, recovered_overrides, train_in
from xferlab.config.compose import compose_experiment
from xferlab.discovery import add_folders
from xferlab.errors import ConfigError
from xferlab.inference.load import load_run
from xferlab.inference.run import Run
from xferlab.sweeps.planner import plan_sweep


def train(
    *overrides: str,
    data: Any = None,
    config_name: str = "config",
    recover: str | Path | None = None,
    force: bool = False,
) -> Run:
    """Train one experiment as the command line does, and return the finished run.

    Folder, record, log and errors are those of the command line. Logging, random generators and
    Keras's precision are afterwards as they were.

    Args:
        overrides: such as ``"model=bert"`` and ``"optimizer.lr=3e-5"``.
        data: examples instead of a data plugin: a DataFrame, a ``datasets.Dataset``, a list of
            dicts, texts and labels as a tuple, or a dict of these by split. They are written to
            ``outputs/data``, as JSON lines.
        config_name: the config to start from.
        recover: the folder of an interrupted run, which is resumed; "" finds it.
        force: replace what is in the run's folder.

    Raises:
        ConfigError: an invalid config or data, before anything slow starts.
        Exception: what ended the run.
    """
    folder = None if recover is None else str(recover)
    own = _checked(overrides)
    words = [*data_overrides(data, own), *own]
    with kept_process(words):
        load_workspace(None)
        stored = recovered_overrides(Path(folder)) if folder else []
        experiment = compose_experiment([*stored, *words], config_name)
        chosen = choose_folder(experiment, words, recover=folder, force=force)
        error = train_in(chosen, experiment)
        if error is not None:
            raise error
        return load_run(chosen)


def sweep(*overrides: str, data: Any = None, config_name: str = "config") -> Sweep:
    """Run the jobs of a sweep as the command line does with ``-m``, and return them.

    Jobs run in processes of their own: plugins must be in files. The same call again continues an
    interrupted sweep. A job that fails ends no other; see ``Sweep.failed``.

    Args:
        overrides: such as ``"optimizer.lr=1e-5,3e-5"``.
        data: see :func:`train`.
        config_name: the config to start from.

    Raises:
        ConfigError: an invalid config or data, before anything slow starts.
        KeyboardInterrupt: a signal stopped it.
    """
    own = _checked(overrides)
    words = [*data_overrides(data, own), *own]
    with kept_process(["-m", *words]):
        load_workspace(None)
        plan = plan_sweep(words, config_name)
        folder = folder_of(plan)
        if run_plan(plan) > 128:
            raise KeyboardInterrupt("the sweep is stopped; the same call continues it")
    return Sweep(folder)


def _checked(overrides: Sequence[str]) -> list[str]:
    """Return overrides by their present names, without ``plugins.paths``, which is obeyed.

    Raises:
        ConfigError: one of them is a flag, or no text.
    """
    for override in overrides:
        if not isinstance(override, str) or override.startswith("-"):
            raise ConfigError(
                f"{override!r} is no override",
                where="overrides",
                fix="give texts such as 'optimizer.lr=3e-5'; flags are arguments: recover, force",
            )
    words = list(overrides)
    add_folders(take_plugin_folders(words))
    return parse(words)[1]
