"""Runs one planned job of a sweep: ``python -m xferlab.sweeps.worker FOLDER``."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from xferlab.config.overrides import flatten, format_override
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError, XferlabError
from xferlab.runs.failure import report_failure
from xferlab.runs.lock import refuse_links
from xferlab.runs.log_file import logging_to
from xferlab.runs.metadata import write_error, write_status
from xferlab.runs.outside_paths import refuse_places_outside
from xferlab.runs.recorded_plugins import load_plugins_of
from xferlab.runs.signals import Interrupted, StopRequest
from xferlab.sweeps.job_state import FINISHED, state_of
from xferlab.sweeps.local_pool import DUMP_STACKS
from xferlab.sweeps.manifest import manifest_recipe, read_job

log = logging.getLogger("xferlab")


def main(argv: list[str] | None = None, command_line: Sequence[str] = ()) -> int:
    """Run the job and return the exit code: 0 done, 1 failed, 2 refused, 130 or 143 stopped.

    Args:
        argv: the arguments of this command.
        typed: paths that its config may have outside the working directory, ``key=value``.
    """
    parser = argparse.ArgumentParser(prog="python -m xferlab.sweeps.worker", description=__doc__)
    parser.add_argument("folder", type=Path, help="a job's folder, with its job.json")
    parser.add_argument(
        "--tied", action="store_true", help="stop when standard input closes: its owner is gone"
    )
    arguments = parser.parse_args(argv)
    faulthandler.register(DUMP_STACKS, file=2)
    if arguments.tied:
        _tie_to_input()
    try:
        refuse_links(arguments.folder)
        if (
            not arguments.tied
        ):  # no sweep of this machine started it: the folder may be somebody else's
            record = read_job(arguments.folder)
            refuse_places_outside(arguments.folder, record["config"], record, command_line)
    except XferlabError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    with logging_to(arguments.folder / "train.log", echo=sys.stderr.isatty()):
        try:
            with StopRequest():  # also where the shell had switched a signal off
                run_planned_job(arguments.folder)
        except Interrupted as e:
            return e.exit_code
        except Exception as e:  # noqa: BLE001 - a plugin may raise anything
            report_failure(e)  # an error before the run started is not in the log yet
            return e.exit_code if isinstance(e, XferlabError) else 1
    return 0


def recover_job(folder: Path, command_line: Sequence[str]) -> int:
    """Resume a job of a sweep.

    Raises:
        ConfigError: an override differs from what the job was planned with.
    """
    known = dict(flatten(read_job(folder)["config"]))
    for override in command_line:
        key, _, value = override.partition("=")
        if format_override(key, known.get(key)) != override and known.get(key) != value:
            raise ConfigError(
                f"a job of a sweep is resumed as planned, and '{override}' differs from that",
                where=f"--recover={folder}",
                fix="leave the override out, or run the sweep's command again",
            )
    return main([str(folder)], command_line)


def run_planned_job(folder: Path) -> float | None:
    """Train the planned job in ``folder``; a failure is written there, and raised."""
    load_plugins(Path.cwd())
    load_plugins_of(folder)
    try:
        recipe = manifest_recipe(folder)
    except XferlabError as e:
        if state_of(folder).status != FINISHED:  # what is done stays done
            write_error(folder, e)
            write_status(folder, "failed", error=e.what)
        report_failure(e)
        raise
    from xferlab.experiment.run import run

    # the run records the command that trains this job alone
    sys.argv = [sys.argv[0], *read_job(folder)["overrides"]]
    return run(recipe, folder)


@cache
def _tie_to_input() -> None:
    """Stop this process when standard input closes; a second call does nothing."""
    threading.Thread(target=_stop_when_input_closes, daemon=True).start()


def _stop_when_input_closes() -> None:
    """Wait for the end of standard input, which also comes when its owner is killed."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
