"""A trial of a search listens for the search's word to end it."""

from __future__ import annotations

import time
from pathlib import Path

from xferlab.runs.pruning import obey_pruning
from xferlab.training.events import Callback, Epoch, Step

LOOK_SECONDS = 0.5
"""The folder may be on another machine: no look at it every step."""


class PruningRequest(Callback):
    """Ends the run by :class:`~xferlab.runs.pruning.Pruned` soon after a search asked for it.

    Of several listeners it has to be the last: the others keep the epoch first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._looked = folder, 0.0

    def on_step(self, step: Step) -> None:
        """Look, twice a second at most."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            obey_pruning(self._folder)

    def on_epoch(self, epoch: Epoch) -> None:
        """Look."""
        obey_pruning(self._folder)
