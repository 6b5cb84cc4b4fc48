"""Notes of a command that is no training, on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from xferlab.escaping import guard_logs


def show_notes() -> None:
    """Show the notes of reading and tokenising on the terminal, as a training does."""
    log = logging.getLogger("xferlab")
    log.setLevel(logging.INFO)
    if not log.handlers and not logging.getLogger().handlers:
        log.addHandler(logging.StreamHandler())
    guard_logs()


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage().removeprefix("note").strip()
        if line not in self.lines:
            self.lines.append(line)


@contextmanager
def collected_notes() -> Iterator[list[str]]:
    """Collect what is logged within the block, each line once, instead of showing it."""
    log = logging.getLogger("xferlab")
    before = (log.level, log.propagate)
    collector = _Collector()
    log.addHandler(collector)
    log.setLevel(logging.INFO)
    log.propagate = False
    guard_logs()
    try:
        yield collector.lines
    finally:
        log.removeHandler(collector)
        log.setLevel(before[0])
        log.propagate = before[1]
