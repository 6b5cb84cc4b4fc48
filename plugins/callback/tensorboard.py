"""TensorBoard."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Callback, Run, register


@register("callback", "tensorboard")
@dataclass(frozen=True)
class TensorBoard:
    """Logs for TensorBoard: losses and rates of all steps, scores of all epochs, HParams."""

    def build(self, run: Run) -> Callback:
        """Return what writes the run's folder ``tensorboard``."""
        from xferlab import TensorBoardLog

        return TensorBoardLog(run)

    def identity(self) -> None:
        """Return None: logs are no part of what a run computes."""
