"""The contract of callbacks, and what a training run reports to them; nothing heavy here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from xferlab.contracts import Budget, Split, TaskSpec
from xferlab.formatting import format_learning_rate

if TYPE_CHECKING:
    import keras
    import numpy as np


def one_rate(update: int) -> Mapping[str, float]:
    """Return the rates by block where none has its own."""
    return {}


@dataclass(frozen=True)
class Run:
    """The run that a callback follows.

    Attributes:
        folder: of the run; whatever a callback writes goes there.
        run_id: what the run computes, in eight hexadecimal digits.
        config: everything that was chosen, as plain data; ``name``, where the user gave one.
        settings: the same as flat ``key: value`` pairs, without what changes no result.
        spec: the task.
        splits: texts and labels by split.
        budget: how long training lasts.
        monitor: logged name of the value that picks the best epoch.
        mode: ``max`` or ``min``, for that value.
        network: the model, to be read only.
        learning_rate: the rate of an optimizer step, counted from 1.
        block_rates: the rate of each block that some phase trains in an optimizer step, 0 while
            it is frozen; empty where they have one rate all the time.
        sweep: the folder of the sweep that the run is a job of, or None.
        swept: the keys that the sweep varies.
    """

    folder: Path
    run_id: str
    config: Mapping[str, Any]
    settings: Mapping[str, Any]
    spec: TaskSpec
    splits: Mapping[str, Split]
    budget: Budget
    monitor: str
    mode: str
    network: keras.Model
    learning_rate: Callable[[int], float]
    block_rates: Callable[[int], Mapping[str, float]] = one_rate
    sweep: Path | None = None
    swept: Sequence[str] = ()

    @property
    def label(self) -> str:
        """What a sweep varies with this job's values, ``lr=3e-5,seed=1``; empty for other runs."""
        values = ((key, self.settings[key]) for key in self.swept if key in self.settings)
        return ",".join(
            f"{key.rpartition('.')[2]}={format_learning_rate(value, 4)}"
            if isinstance(value, float)
            else f"{key.rpartition('.')[2]}={value}"
            for key, value in values
        )

    @property
    def name(self) -> str:
        """The user's name for the run, or its folder's; both for a job of a sweep."""
        name = str(self.config.get("name") or "")
        own = self.folder.name
        return f"{name} {own}" if name and self.sweep is not None else name or own


@dataclass(frozen=True)
class Step:
    """One training batch.

    Attributes:
        batch: number of training batches done, this one included.
        update: number of optimizer steps done.
        loss: mean loss of this batch.
    """

    batch: int
    update: int
    loss: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training split; the last one may be cut short.

    Attributes:
        epoch: its number, counted from 1.
        update: number of optimizer steps done.
        train: mean loss and metrics over the epoch's training batches.
        validation: loss and metrics over the whole validation split.
        seconds: duration of the epoch, validation included.
    """

    epoch: int
    update: int
    train: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: float

    def value(self, name: str) -> float:
        """Return a logged value, such as ``val_accuracy`` or ``loss``; raises KeyError."""
        if name.startswith("val_"):
            return self.validation[name.removeprefix("val_")]
        return self.train[name]


@dataclass(frozen=True)
class Evaluation:
    """The outputs of a whole split.

    Attributes:
        split: ``validation`` after each epoch, the last split once at the end.
        update: number of optimizer steps done.
        labels: one row for each example, in order.
        outputs: float32, likewise, as the model gives them.
        scores: loss and metrics; of the last split after the run's postprocess.
    """

    split: str
    update: int
    labels: np.ndarray
    outputs: np.ndarray
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        status: ``finished``, or ``pruned`` by a search.
        scores: the final scores by ``validation/accuracy``.
        metrics: the content of ``metrics.json``.
    """

    status: str
    scores: Mapping[str, float]
    metrics: Mapping[str, Any]


class Callback:
    """Follows a run: everything that logs, prints or saves weights is one.

    What it remembers from one call to another must be in its :meth:`state`, or a resumed run would
    not equal an uninterrupted one. It may read the network and may not change it.
    """

    transient: ClassVar[tuple[str, ...]] = ()
    """Names of attributes that a resumed run may begin without, such as a time or an open file."""

    def on_begin(self, update: int) -> None:
        """Handle the start of training after optimizer step ``update``, 0 in a new run."""

    def on_step(self, step: Step) -> None:
        """Handle the end of a training batch."""

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Handle the outputs of a split, before :meth:`on_epoch`."""

    def on_epoch(self, epoch: Epoch) -> bool | None:
        """Handle the end of an epoch; True requests to stop the training."""

    def on_checkpoint(self, folder: Path) -> None:
        """Handle a checkpoint that has been written to ``folder``."""

    def on_end(self, result: Result) -> None:
        """Handle the end of a run, with its files written."""

    def on_failure(self, error: BaseException) -> None:
        """Handle what ended the run early, a failure or a request to stop."""

    def state(self) -> dict[str, Any]:
        """Return what it remembers, as JSON data."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set what it remembers to what :meth:`state` returned."""

    def files(self) -> list[Path]:
        """Return the files in the run's folder ``checkpoints`` that belong to :meth:`state`.

        A checkpoint holds them as they are now and a resumed run gets them back: what was written
        after the checkpoint is of steps that are trained again, perhaps with another result.
        """
        return []
