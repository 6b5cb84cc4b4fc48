"""Checkpoints of a run: when its state is saved, what it consists of, how it is restored."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.backend.process import random_state, set_random_state
from xferlab.callbacks import Callback
from xferlab.config.schema import Interval
from xferlab.errors import RunError
from xferlab.runs.checkpoints import (
    TrainingCheckpoint,
    delete_weights,
    latest_checkpoint,
    write_checkpoint,
)
from xferlab.runs.signals import StopRequest
from xferlab.training.callback_list import CallbackList
from xferlab.training.events import Checkpointer, Diverged, TrainState
from xferlab.training.phase_network import PhaseNetwork, variables_by_kind

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
COST_FRACTION = 1 / 50
"""The fraction of a run's time that saving may cost, unless an interval in steps is set."""
BYTES_A_SECOND = 5e8
"""Assumed speed of saving until the first save has been timed."""
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
        "callback.tensorboard?": {"*": range(2**62)},
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
"""What a checkpoint holds beside arrays, see ``records.Shape``."""


class FolderCheckpointer(Checkpointer):
    """Saves a run's whole state into its folder and restores the latest one.

    Args:
        folder: the run's folder; its checkpoints are below ``checkpoints``.
        callbacks: their state is restored at once.
        interval: how often to save.
        gradient_accumulation_steps: batches for each optimizer step.
        environment: what the exactness of a resume depends on: versions, processor, threads.
        stop: says whether a signal requests to stop.
    """

    def __init__(
        self,
        folder: Path,
        callbacks: CallbackList | Sequence[Callback],
        interval: Interval,
        gradient_accumulation_steps: int,
        environment: Mapping[str, Any],
        stop: StopRequest,
    ) -> None:
        self._folder = folder
        self._callbacks = CallbackList.of(callbacks)
        self._interval = interval
        self.observes_steps = interval.steps is not None
        self._accumulation = gradient_accumulation_steps
        self._environment = environment
        self._stop = stop
        self._saved_at = time.monotonic()
        self._cost = 0.0
        self._checkpoint = latest_checkpoint(folder / "checkpoints", STATE_SHAPE)
        if self._checkpoint is None:
            delete_weights(folder / "checkpoints")
        else:
            self.start = TrainState(**self._checkpoint.state["position"])
            self._restore_callbacks(self._checkpoint)

    def _restore_callbacks(self, checkpoint: TrainingCheckpoint) -> None:
        """Restore the callbacks' state and files, and report where the run resumes."""
        checkpoint.restore_files()
        self._callbacks.restore(checkpoint.state["callbacks"])
        log.info("resumed    at batch %d from %s", self.start.batch, checkpoint.folder.name)
        before = checkpoint.state["environment"]
        changed = [key for key in self._environment if before.get(key) != self._environment[key]]
        if changed:
            log.warning(
                "note       %s changed since (%s): the last digits of the results may differ",
                ", ".join(changed),
                ", ".join(f"{before.get(key)}, now {self._environment[key]}" for key in changed),
            )

    def restore_weights(self, network: Any) -> None:
        """Assign the weights' values at ``start``: what is frozen may have been trained before."""
        if self._checkpoint is not None:
            variables = variables_by_kind({"network": network.variables})
            arrays = self._checkpoint.arrays()
            self._assign(variables, {name: arrays[name] for name in variables if name in arrays})

    def restore(self, network: PhaseNetwork) -> None:
        """Assign every variable's value at ``start``, and restore the random generators."""
        if self._checkpoint is not None:
            self._assign(network.variables(), self._checkpoint.arrays())
            set_random_state(self._checkpoint.state["random"])

    def _assign(self, variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Assign arrays to the variables of the same names; all shapes have to be the same."""
        assert self._checkpoint is not None
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        saved = {name: array.shape for name, array in arrays.items()}
        if shapes != saved:
            name = min(each for each, _ in shapes.items() ^ saved.items())
            raise RunError(
                f"this checkpoint is of another network: '{name}' has the shape"
                f" {saved.get(name, 'none')} there and {shapes.get(name, 'none')} here",
                where=str(self._checkpoint.folder),
                fix="begin again with --force, or restore the plugin as it was",
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])

    def after_step(self, network: PhaseNetwork, state: TrainState) -> None:
        """Save if it is time or if a signal requests to stop."""
        if self._stop.number is not None or self._is_due(network, state):
            self._save(network, state)
        self._stop.obey()

    def after_epoch(self, network: PhaseNetwork, state: TrainState) -> None:
        """Save unless checkpoints are off, or the epoch is so short that saving costs too much."""
        is_on = self._interval != Interval()
        is_due = is_on and self._waited() >= self._cost_of(network) / COST_FRACTION
        if self._stop.number is not None or is_due:
            self._save(network, state)
        self._stop.obey()

    @contextmanager
    def interruptible(self, network: PhaseNetwork | None, state: TrainState) -> Iterator[None]:
        """Let the body be interrupted at once: the state is saved first, if there is a network."""
        self._refuse_vanished()
        try:
            with self._stop.held(False):
                yield
        except KeyboardInterrupt:
            if network is not None:
                self._save(network, state)
            raise

    def _is_due(self, network: PhaseNetwork, state: TrainState) -> bool:
        if self._interval.steps is not None:
            return state.batch % (self._interval.steps * self._accumulation) == 0
        if self._interval.seconds is None:
            return False
        longest = max(self._interval.seconds, self._cost_of(network) / COST_FRACTION)
        return self._waited() >= longest

    def _waited(self) -> float:
        return time.monotonic() - self._saved_at

    def _cost_of(self, network: PhaseNetwork) -> float:
        """Return the seconds that a save takes: the last one's, or a guess by size."""
        if not self._cost:
            variables = network.variables().values()
            self._cost = sum(v.value.dtype.size * _count(v.shape) for v in variables)
            self._cost /= BYTES_A_SECOND
        return self._cost

    def _save(self, network: PhaseNetwork, state: TrainState) -> None:
        self._refuse_vanished()
        began = time.monotonic()
        arrays = {
            name: _array(network.own_value(variable))
            for name, variable in network.variables().items()
        }
        _refuse_not_finite(arrays, state)
        record = {
            "position": asdict(state),
            "callbacks": self._callbacks.states(),
            "random": random_state(),
            "environment": dict(self._environment),
        }
        name = f"step-{state.batch:08d}-{state.scored:05d}"
        checkpoints = self._folder / "checkpoints"
        write_checkpoint(checkpoints, name, arrays, record, self._callbacks.files(checkpoints))
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began
        self._callbacks.checkpoint(checkpoints / name)

    def _refuse_vanished(self) -> None:
        """Raise RunError if the run's folder is deleted, instead of creating a part of it again."""
        if not (self._folder / "status.json").exists():
            raise RunError(
                "the run's folder has vanished", where=str(self._folder), fix="start the run again"
            )


def _array(variable: Any) -> np.ndarray:
    import numpy as np
    from keras import ops

    return np.asarray(ops.convert_to_numpy(variable), order="C")


def _count(shape: Sequence[int]) -> int:
    from math import prod

    return prod(shape)


def _refuse_not_finite(arrays: Mapping[str, np.ndarray], state: TrainState) -> None:
    """Raise Diverged for a weight that is not finite: the checkpoint would replace a good one."""
    import numpy as np

    for name, array in arrays.items():
        if name.startswith("network") and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Diverged(
                f"a weight is not a finite number after batch {state.batch}",
                where="optimizer.lr",
                fix="lower optimizer.lr, or keep train.max_grad_norm;"
                " the previous checkpoint stays",
            )
