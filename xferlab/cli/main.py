"""The command line: ``python -m xferlab [command] [overrides]``."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from xferlab.cli.arguments import parse, take_plugin_folders
from xferlab.cli.commands import COMMANDS
from xferlab.cli.help import show_help_of
from xferlab.config.compose import publish
from xferlab.discovery import add_folders, load_plugins
from xferlab.errors import ConfigError, XferlabError, nearest
from xferlab.registry import REGISTRY
from xferlab.runs.os_errors import as_run_error
from xferlab.runs.signals import Interrupted
from xferlab.sweeps.engines import publish_engines

OverridesCommand = Callable[[argparse.Namespace, list[str]], int]
ArgumentsCommand = Callable[[list[str]], int]
WORD = re.compile(r"[a-z][a-z_-]*")
"""What an override is not, and a flag neither: a command."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 is success, 1 a run that failed, 2 an invalid command, config or plugin, 130 and 143 SIGINT
    and SIGTERM.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    try:
        command = _pop_command(argv)
        _open_closed_streams(command, argv)
        _refuse_invalid_utf8(argv)
        add_folders(take_plugin_folders(argv))
        code = _run_command(command, [argument for argument in argv if argument != "--debug"])
        sys.stdout.flush()
        return code
    except SystemExit as e:
        if not e.code:  # argparse has printed a command's help
            return 0
        error = as_run_error(e)
        print(error, file=sys.stderr)
        return 1
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
    if COMMANDS[name].parses_flags:
        load_workspace(None)
        run_command: ArgumentsCommand = _imported(COMMANDS[name].target)
        return run_command(argv)
    flags, overrides = parse(argv)
    if flags.version:
        print(f"xferlab {version('xferlab')}")
        return 0
    if COMMANDS[name].first_line and not flags.help:
        print(COMMANDS[name].first_line, file=sys.stderr, flush=True)
    load_workspace(Path(flags.config_dir) if flags.config_dir else None)
    if flags.help:
        return show_help_of(name)
    command: OverridesCommand = _imported(COMMANDS[name].target)
    return command(flags, overrides)


def _pop_command(argv: list[str]) -> str:
    """Take the command off the arguments; without one it is ``train``.

    Raises:
        ConfigError: the first argument is almost a command.
    """
    if argv and argv[0] in COMMANDS:
        return argv.pop(0)
    near = nearest(argv[0], COMMANDS) if argv and WORD.fullmatch(argv[0]) else None
    if near:
        raise ConfigError(
            f"there is no command '{argv[0]}'", where=argv[0], fix=f"did you mean '{near}'?"
        )
    return "train"


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
