"""Flags of a command that works on finished runs: argparse, with errors in three lines."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from xferlab.deprecated import current_flag
from xferlab.errors import ConfigError, did_you_mean


class FlagParser(argparse.ArgumentParser):
    """The words of one command: positional ones and flags, in any order.

    ``-h`` prints the help and raises SystemExit(0); every error is a ConfigError.

    Args:
        command: its name after ``python -m xferlab``.
        description: what the command does, one sentence or more.
        epilog: examples, printed as they are.
    """

    def __init__(self, command: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"python -m xferlab {command}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def read(self, argv: list[str]) -> argparse.Namespace:
        """Return the flags of ``argv``, in which positional words may stand between flags.

        Raises:
            ConfigError: a flag is unknown, lacks its value or has a wrong one.
        """
        return self.parse_intermixed_args([current_flag(argument) for argument in argv])

    def error(self, message: str) -> NoReturn:
        """Raise the error in three lines."""
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        fix = f"{self.prog} --help"
        where = self.prog
        what = message
        if unknown and unknown[1].startswith("-"):
            flag = unknown[1].partition("=")[0]
            what = f"{self.prog.split()[-1]} has no flag {flag}"
            where = flag
            fix = did_you_mean(flag, self._flags())
        raise ConfigError(what, where=where, fix=fix)

    def _flags(self) -> list[str]:
        every: list[Any] = self._actions
        return [option for action in every for option in action.option_strings]
