"""When a run's state is saved, what belongs to it, and how it comes back."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.config.schema import Interval
from xferlab.errors import RunError
from xferlab.runs.checkpoints import (
    TrainingCheckpoint,
    delete_weights,
    latest_checkpoint,
    write_checkpoint,
)
from xferlab.runs.signals import StopRequest
from xferlab.training.events import Callback, Checkpointer, Diverged, TrainState
from xferlab.training.random_state import random_state, set_random_state

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
COST_SHARE = 1 / 50
"""What saving may cost of a run's time, unless steps were asked for."""
BYTES_A_SECOND = 5e8
"""A guess at the speed of saving, until the first save has been timed."""
STATE_SHAPE = {
    "position": {
        "batch": range(2**62),
        "scored": range(2**62),
        "rows": range(2**62),
        "loss_sum": float,
        "seconds": float,
        "stopped": bool,
    },
    "callbacks": {
        "TensorBoardLog?": {"*": range(2**62)},
        "HistoryFile?": {"rows": [{"*": float}]},
        "BestWeights?": {
            "best": (float, None),
            "best_epoch": (int, None),
            "better_epoch?": (int, None),
            "validation": {"*": float},
        },
        "ReactiveLearningRate?": {"values": [float]},
        "*": dict,
    },
    "random": {"python": list, "numpy": list, "keras": [int]},
    "environment": dict,
}
"""What is no array in a snapshot, see ``records.Shape``."""


class FolderCheckpointer(Checkpointer):
    """Saves a run's whole state into its folder, and gives the newest one back.

    Args:
        folder: the run's folder; its snapshots are below ``checkpoints``.
        listeners: they are told what they remembered, at once.
        interval: how often to save.
        accumulate: batches an optimizer step.
        environment_fingerprint: what the exactness of a resume depends on:
            versions, processor, threads.
        stop: who may ask to stop.
    """

    def __init__(
        self,
        folder: Path,
        callbacks: Sequence[Callback],
        interval: Interval,
        gradient_accumulation_steps: int,
        environment_fingerprint: Mapping[str, Any],
        stop: StopRequest,
    ) -> None:
        self._folder, self._listeners, self._stop = folder, callbacks, stop
        self._interval, self._accumulate, self._environment = (
            interval,
            gradient_accumulation_steps,
            environment_fingerprint,
        )
        self._saved_at, self._cost = time.monotonic(), 0.0
        self._checkpoint = latest_checkpoint(folder / "checkpoints", STATE_SHAPE)
        if self._checkpoint is None:
            delete_weights(folder / "checkpoints")
        else:
            self.start = TrainState(**self._checkpoint.state["position"])
            self._remind(self._checkpoint)

    def _remind(self, checkpoint: TrainingCheckpoint) -> None:
        """Give the listeners their memory and files, and report where the run resumes."""
        checkpoint.restore_files()
        for callback in self._listeners:
            callback.restore(checkpoint.state["callbacks"].get(type(callback).__name__, {}))
        log.info("goes on    after batch %d, from %s", self.start.batch, checkpoint.folder.name)
        before = checkpoint.state["environment"]
        changed = [key for key in self._environment if before.get(key) != self._environment[key]]
        if changed:
            log.warning(
                "note       %s changed since (%s): the last digits of the results may differ",
                ", ".join(changed),
                ", ".join(f"{before.get(key)}, now {self._environment[key]}" for key in changed),
            )

    def restore(self, network: Any) -> None:
        """Assign every variable's value at ``start``, and set the random generators."""
        if self._checkpoint is None:
            return
        variables, arrays = _variables(network), self._checkpoint.arrays()
        if variables.keys() != arrays.keys():
            odd = min(variables.keys() ^ arrays.keys())
            raise RunError(
                f"this checkpoint is of another network: '{odd}' is only in one of the two",
                where=str(self._checkpoint.folder),
                fix="begin anew with --force, or take the plugin back to what it was",
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])
        set_random_state(self._checkpoint.state["random"])

    def after_step(self, network: Any, position: TrainState) -> None:
        """Save if it is time or if somebody has asked to stop."""
        asked = self._stop.number is not None
        if asked or self._is_due(network, position):
            self._save(network, position)
        self._stop.obey()

    def after_epoch(self, network: Any, position: TrainState) -> None:
        """Save unless it is never wanted, or the epoch so short that it would cost too much."""
        asked = self._stop.number is not None
        wanted = self._interval != Interval()
        if asked or (wanted and self._waited() >= self._cost_of(network) / COST_SHARE):
            self._save(network, position)
        self._stop.obey()

    @contextmanager
    def scoring(self, network: Any, position: TrainState) -> Iterator[None]:
        """Let the body be interrupted at once: what was trained is saved first."""
        self._refuse_vanished()
        try:
            with self._stop.held(False):
                yield
        except KeyboardInterrupt:
            self._save(network, position)
            raise

    def _is_due(self, network: Any, position: TrainState) -> bool:
        if self._interval.steps is not None:
            return position.batch % (self._interval.steps * self._accumulate) == 0
        if self._interval.seconds is None:
            return False
        longest = max(self._interval.seconds, self._cost_of(network) / COST_SHARE)
        return self._waited() >= longest

    def _waited(self) -> float:
        return time.monotonic() - self._saved_at

    def _cost_of(self, network: Any) -> float:
        """Return the seconds that a save takes: the last one's, or a guess by size."""
        if not self._cost:
            variables = _variables(network).values()
            self._cost = sum(v.value.dtype.size * _count(v.shape) for v in variables)
            self._cost /= BYTES_A_SECOND
        return self._cost

    def _save(self, network: Any, position: TrainState) -> None:
        self._refuse_vanished()
        began = time.monotonic()
        arrays = {name: _array(variable) for name, variable in _variables(network).items()}
        _refuse_not_finite(arrays, position)
        state = {
            "position": asdict(position),
            "callbacks": {type(one).__name__: one.state() for one in self._listeners},
            "random": random_state(),
            "environment": dict(self._environment),
        }
        name = f"step-{position.batch:08d}-{position.scored:05d}"
        files = [path for callback in self._listeners for path in callback.files()]
        write_checkpoint(self._folder / "checkpoints", name, arrays, state, files)
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began

    def _refuse_vanished(self) -> None:
        """A folder that was deleted under the run must not come back half filled."""
        if not (self._folder / "status.json").exists():
            raise RunError(
                "the run's folder has vanished", where=str(self._folder), fix="start the run again"
            )


def _variables(network: Any) -> dict[str, Any]:
    """Return all that a compiled network computes with, by kind, position and path.

    Paths alone do not name a variable: Keras numbers unnamed layers differently in each process.
    """
    kinds = {
        "network": network.variables,  # the seeds of dropout are among them
        "optimizer": network.optimizer.variables,
        "metrics": network.metrics_variables,
    }
    return {f"{kind} {i:04d}": v for kind, every in kinds.items() for i, v in enumerate(every)}


def _array(variable: Any) -> np.ndarray:
    import numpy as np
    from keras import ops

    return np.asarray(ops.convert_to_numpy(variable), order="C")


def _count(shape: Sequence[int]) -> int:
    from math import prod

    return prod(shape)


def _refuse_not_finite(arrays: Mapping[str, np.ndarray], position: TrainState) -> None:
    """A checkpoint with a weight that is no number would replace a good one."""
    import numpy as np

    for name, array in arrays.items():
        if name.startswith("network") and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Diverged(
                f"a weight is not a finite number after batch {position.batch}",
                where="optimizer.lr",
                fix="lower optimizer.lr, or keep train.max_grad_norm;"
                " the checkpoint before is kept",
            )
