"""``history.csv``: the scores of every epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xferlab.callbacks import Callback, Epoch
from xferlab.io.atomic import atomic_write


class HistoryFile(Callback):
    """``history.csv``: a line for each epoch; the file is written whole each time."""

    def __init__(self, path: Path, rate_of: Callable[[int], float]) -> None:
        self.rows: list[dict[str, float]] = []
        self._path = path
        self._rate_of = rate_of

    def on_epoch(self, epoch: Epoch) -> None:
        """Add the epoch's line and write the file."""
        row: dict[str, float] = {"epoch": epoch.epoch, "step": epoch.update}
        row |= dict(epoch.train)
        row |= {f"val_{name}": value for name, value in epoch.validation.items()}
        row["learning_rate"] = self._rate_of(epoch.update)
        row["seconds"] = round(epoch.seconds, 3)
        self.rows.append(row)
        self._write()

    def state(self) -> dict[str, Any]:
        """Return the lines so far."""
        return {"rows": self.rows}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Write the file with those lines."""
        self.rows = list(state["rows"])
        if self.rows:
            self._write()

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write(self._path, text.getvalue())
