"""Prints lines that fit into the terminal."""

from __future__ import annotations

import sys

from xferlab.formatting import LABEL_WIDTH, fold, terminal_width


def print_folded(line: str, indent: int = LABEL_WIDTH) -> None:
    """Print a line; where standard output is a narrower terminal, on several, indented below."""
    print(fold(line, terminal_width(sys.stdout), indent))
