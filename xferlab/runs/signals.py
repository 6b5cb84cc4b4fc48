"""Signals that request a run to stop: handled between two steps, elsewhere at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

LIMITS = (signal.SIGUSR1, signal.SIGUSR2)
"""What a scheduler sends before its time limit; submitit configures Slurm to send the second."""
STOPPING = (signal.SIGINT, signal.SIGTERM, *LIMITS)
"""An interactive stop, an ordinary one, and a scheduler's."""


@contextmanager
def handled(
    numbers: Sequence[int], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Handle these signals with ``handler`` in the block, and restore the handlers afterwards."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class Interrupted(KeyboardInterrupt):
    """A signal requested the run to stop.

    Args:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process that this signal ended."""
        return 128 + self.number

    @property
    def status(self) -> str:
        """``preempted`` if a scheduler announced its limit, else ``interrupted``."""
        return "preempted" if self.number in LIMITS else "interrupted"


class StopRequest:
    """Turns the signals of :data:`STOPPING` into :class:`Interrupted` while it is entered.

    Inside :meth:`held` a signal is only recorded; the body checks :attr:`number` when it can
    stop. A second SIGINT ends the process at once, whatever it is doing.

    Attributes:
        number: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._handle) for each in STOPPING}
        return self

    def __exit__(self, *error: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    @contextmanager
    def held(self, hold: bool = True) -> Iterator[None]:
        """Record a signal until the body is done; with ``hold=False`` handle it at once again."""
        before = self._held
        self._held = hold
        try:
            if not hold:
                self.obey()
            yield
        finally:
            self._held = before

    def obey(self) -> None:
        """Raise Interrupted if a signal requested to stop."""
        if self.number is not None:
            raise Interrupted(self.number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            if number == signal.SIGINT:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self.number = number
        if not self._held:
            self.obey()
