"""Ends a trial of a search when the search requests it."""

from __future__ import annotations

import time
from pathlib import Path

from xferlab.callbacks import Callback, Epoch, Step
from xferlab.runs.pruning import obey_pruning

CHECK_SECONDS = 0.5
"""The folder may be on another machine, so it is not checked at every step."""


class PruningRequest(Callback):
    """Ends the run by :class:`~xferlab.runs.pruning.Pruned` soon after a search requests it.

    It must be the last callback: the others handle the epoch first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checked = 0.0

    def on_step(self, step: Step) -> None:
        """Check for a request, twice a second at most."""
        if time.monotonic() - self._checked >= CHECK_SECONDS:
            self._checked = time.monotonic()
            obey_pruning(self._folder)

    def on_epoch(self, epoch: Epoch) -> None:
        """Check for a request."""
        obey_pruning(self._folder)
