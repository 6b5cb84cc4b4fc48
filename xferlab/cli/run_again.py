"""``python -m xferlab run again RUN``: train a finished run anew and compare the bits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from xferlab.backend.device import THREAD_VARIABLES, available_cores
from xferlab.cli.flags import FlagParser
from xferlab.cli.terminal import print_folded
from xferlab.config.allowlist import read_config_data
from xferlab.config.recipe import read_plain
from xferlab.errors import ConfigError, XferlabError, printable
from xferlab.formatting import format_path
from xferlab.runs.failure import report_failure
from xferlab.runs.folder_access import refuse_unusable
from xferlab.runs.inputs import changed_since, inputs_of, read_fixed_inputs, read_inputs
from xferlab.runs.lock import refuse_links
from xferlab.runs.log_file import logging_to
from xferlab.runs.metadata import read_run, read_status
from xferlab.runs.outside_paths import refuse_places_outside
from xferlab.runs.recorded_plugins import load_plugins_of
from xferlab.runs.repetition import Repetition, compare_runs

ABOUT = "Train a finished run anew from its folder, and say whether the bits are the same."
EXAMPLES = """\
It compares the loss of each step, where the run has a TensorBoard log, the scores of each epoch,
the weights and the outputs, and names the first that differs and which versions have changed. The
run that is trained has a folder of its own; of the callbacks it has TensorBoard alone. Exit code 0
if all bits are the same, 1 if not, 2 if the run cannot be repeated.

  python -m xferlab run again outputs/runs/NAME
  python -m xferlab run again outputs/sweeps/NAME/1a2b3c4d --output outputs/runs/again
"""


def run_again(argv: list[str]) -> int:
    """Train a run anew and print how the two compare; return the exit code."""
    parser = FlagParser("run", ABOUT, EXAMPLES)
    parser.add_argument("action", metavar="again", choices=["again"], help="the only action")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, help="the new folder; default: below outputs/runs"
    )
    flags = parser.read(argv)
    config = _config_of(flags.run)
    folder = flags.output or _new_folder(flags.run)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(
            "the folder is not empty", where=f"--output {folder}", fix="name a new folder"
        )
    refuse_unusable(folder, "name another folder with --output")
    _use_threads_of(flags.run)
    error = _train(config, folder)
    if error is not None:
        return error.exit_code if isinstance(error, XferlabError) else 1
    return _print_comparison(flags.run, folder, compare_runs(flags.run, folder))


def _config_of(folder: Path) -> dict[str, Any]:
    """Return the config of a finished run; everything that it reads is as it was then.

    Raises:
        ConfigError: it is no finished run, it leads out of itself, or an input has changed.
    """
    if not (folder / "status.json").exists():
        what = "this is no run" if folder.exists() else "there is no such folder"
        raise ConfigError(what, where=str(folder), fix="name the folder of a finished run")
    refuse_links(folder)
    status = read_status(folder)["status"]
    if status != "finished":
        fix = f"python -m xferlab --recover={folder}  resumes it"
        raise ConfigError(f"the run is {status}, not finished", where=str(folder), fix=fix)
    config = read_config_data(folder / "config.yaml")
    load_plugins_of(folder)
    refuse_places_outside(folder, config, read_inputs(folder))
    before = read_fixed_inputs(folder)
    changed = changed_since(before, inputs_of(config), config) if before else []
    if changed:
        raise ConfigError(
            f"{changed[0]} has changed since the run was trained",
            where=str(folder),
            fix="put it back as it was; with other inputs it is another run",
        )
    config["callback"] = {k: v for k, v in config.get("callback", {}).items() if k == "tensorboard"}
    return config


def _new_folder(run: Path) -> Path:
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return Path("outputs/runs") / f"{now}-again-{read_run(run)['run_id']}"


def _use_threads_of(run: Path) -> None:
    """Give TensorFlow, before it is imported, as many threads as the run had."""
    threads = read_run(run).get("environment", {}).get("threads")
    if threads is not None and int(threads) != available_cores():
        os.environ |= dict.fromkeys(THREAD_VARIABLES, str(threads))


def _train(config: Mapping[str, Any], folder: Path) -> Exception | None:
    """Train in a new folder; return the error that ended it, which its log has."""
    from xferlab.experiment.run import run

    with logging_to(folder / "train.log", echo=True):
        try:
            run(read_plain(config), folder)
        except Exception as e:  # noqa: BLE001 - a plugin may raise anything
            report_failure(e)
            return e
    return None


def _print_comparison(before: Path, now: Path, found: Repetition) -> int:
    for change in found.changes:
        print_folded(f"changed    {printable(change)}")
    if found.difference:
        print_folded(f"differs    {printable(found.difference)}")
        if not found.changes:
            print_folded("           no version, processor or number of threads has changed")
    else:
        print_folded(f"same bits  {printable(', '.join(found.compared))}")
    print_folded(f"compared   {printable(format_path(before))} {printable(format_path(now))}")
    return int(bool(found.difference))
