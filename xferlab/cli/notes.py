"""Notes of a command that is no training, on the terminal."""

from __future__ import annotations

import logging

from xferlab.escaping import guard_logs


def show_notes() -> None:
    """Show the notes of reading and tokenising on the terminal, as a training does."""
    log = logging.getLogger("xferlab")
    log.setLevel(logging.INFO)
    if not log.handlers and not logging.getLogger().handlers:
        log.addHandler(logging.StreamHandler())
    guard_logs()
