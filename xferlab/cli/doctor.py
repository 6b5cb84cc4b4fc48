"""``doctor``: whether this machine can train, and what is missing."""

from __future__ import annotations

import argparse
import sys

from xferlab.checks.installation import State, check_installation
from xferlab.cli.terminal import print_folded
from xferlab.errors import ConfigError, printable

WIDTH = 19
"""Columns before the text of a finding."""


def doctor(flags: argparse.Namespace, arguments: list[str]) -> int:
    """Print a line for each check as it ends; return 1 if one has failed."""
    if arguments:
        raise ConfigError("doctor has no arguments", where=arguments[0], fix="leave it out")
    has_failed = False
    for finding in check_installation():
        start = f"{finding.subject:<11}{finding.state.value:<8}"
        print_folded(printable(start + finding.text), WIDTH)
        if finding.fix:
            print_folded(printable(f"{'':<11}{'fix':<8}{finding.fix}"), WIDTH)
        sys.stdout.flush()
        has_failed = has_failed or finding.state is State.failed
    return 1 if has_failed else 0
