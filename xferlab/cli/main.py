"""The command line: ``python -m xferlab [command] [overrides]``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xferlab.cli.arguments import parse
from xferlab.cli.help import show_help
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError, XferlabError
from xferlab.registry import REGISTRY
from xferlab.runs.os_errors import as_run_error
from xferlab.runs.signals import Interrupted
from xferlab.sweeps.engines import publish_engines

Command = Callable[[argparse.Namespace, list[str]], int]
RunCommand = Callable[[list[str]], int]

COMMANDS = {
    "train": "train:train",
    "check": "check:check",
    "list": "list:show_list",
    "describe": "list:describe",
    "find-lr": "find_lr:find_lr",
    "report": "report:report",
    "help": "help:show_help",
}
"""Commands that take flags and overrides: ``module:function``, imported when called."""

RUN_COMMANDS = {
    "combine": "combine:combine_runs",
    "evaluate": "evaluate:evaluate",
    "export": "export:export",
    "predict": "predict:predict",
}
"""Commands on finished runs, each with flags of its own."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 is success, 1 a run that failed, 2 an invalid command, config or plugin, 130 and 143 SIGINT
    and SIGTERM.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    command = argv.pop(0) if argv and argv[0] in (*COMMANDS, *RUN_COMMANDS) else "train"
    debug = "--debug" in argv
    try:
        _open_closed_streams(command, argv)
        _refuse_invalid_utf8(argv)
        code = _run_command(command, [argument for argument in argv if argument != "--debug"])
        sys.stdout.flush()
        return code
    except SystemExit as e:  # argparse has printed a command's help
        return int(e.code or 0)
    except XferlabError as e:
        if debug:
            traceback.print_exception(e)
        print(e, file=sys.stderr)
        return e.exit_code
    except BrokenPipeError:  # the reader, e.g. ``head``, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Interrupted as e:
        return e.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as e:
        error = as_run_error(e)
        if error is None or debug:
            raise
        print(error, file=sys.stderr)
        return error.exit_code


def _run_command(name: str, argv: list[str]) -> int:
    """Load the plugins, then import and call the command."""
    if name in RUN_COMMANDS:
        load_workspace(None)
        run_command: RunCommand = _imported(RUN_COMMANDS[name])
        return run_command(argv)
    flags, overrides = parse(argv)
    load_workspace(Path(flags.config_dir) if flags.config_dir else None)
    if flags.help:
        return show_help(flags, overrides)
    command: Command = _imported(COMMANDS[name])
    return command(flags, overrides)


def load_workspace(config_dir: Path | None) -> None:
    """Register the plugins and configs of the working directory; print broken plugin files."""
    load_plugins(Path.cwd())
    for error in REGISTRY.broken:
        print(error, file=sys.stderr)
    publish(Path.cwd(), config_dir)
    publish_engines()


def _imported(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(f"xferlab.cli.{module}"), function)


def _refuse_invalid_utf8(argv: list[str]) -> None:
    """Raise ConfigError for an argument that is not UTF-8: no file of the run could hold it."""
    for argument in argv:
        try:
            argument.encode()
        except UnicodeEncodeError as e:
            raise ConfigError(
                f"the argument {argument[:60]!r} is not UTF-8",
                where="command line",
                fix="rename the file, or give its folder and a * in place of the letter",
            ) from e


def _open_closed_streams(command: str, argv: list[str]) -> None:
    """Open the streams that the shell has closed, so that no other file takes their place.

    Raises:
        ConfigError: the command writes to standard output, and that is closed.
    """
    closed = sys.stdout is None
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    prints = {"-h", "--help", "-c", "--cfg", "-i", "--info", "--dry-run"}.intersection(argv)
    if closed and (prints or command not in ("train", "find-lr")):
        raise ConfigError(
            "standard output is closed, and there is nowhere to write to",
            where=command,
            fix="leave >&- out; > /dev/null discards the output",
        )
