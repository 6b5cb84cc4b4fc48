"""The one place that compiles and fits, a phase at a time.

Keras applies a change of ``trainable`` only at ``compile``, and an optimizer accepts only the
variables it was built with. So the optimizer is built once, over every weight that will ever
learn, and its moments and schedule carry on from phase to phase.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from xferlab.assemble import Experiment
from xferlab.batches import Batch, batch_arrays
from xferlab.contracts import Phase, TextModel, TransferPlan
from xferlab.errors import RunError
from xferlab.evaluation import input_names
from xferlab.rates import clip_densely, scale_rates


@dataclass(frozen=True)
class Segment:
    """Whole or cut epochs of one phase that one ``fit`` call trains.

    Attributes:
        phase: index of the phase.
        epoch: first epoch, counted from 0 over the whole run.
        epochs: how many, each of ``batches`` batches.
        batches: batches an epoch.
        start: index of the first batch, counted from 0 over the whole run.
    """

    phase: int
    epoch: int
    epochs: int
    batches: int
    start: int


def segments(
    phases: Sequence[Phase], per_epoch: int, total: int, start: int = 0
) -> Iterator[Segment]:
    """Yield what ``fit`` has to be called for, from batch ``start`` to batch ``total``.

    >>> [(s.epoch, s.epochs, s.batches) for s in segments([Phase(3)], per_epoch=10, total=25)]
    [(0, 2, 10), (2, 1, 5)]
    >>> [(s.epoch, s.epochs, s.batches) for s in segments([Phase(2)], 10, 20, start=4)]
    [(0, 1, 6), (1, 1, 10)]
    """
    epoch = 0
    for index, phase in enumerate(phases):
        last = min(total, (epoch + phase.epochs) * per_epoch)
        while start < last:
            first, offset = divmod(start, per_epoch)
            whole = (last - start) // per_epoch if offset == 0 else 0
            batches = per_epoch if whole else min(per_epoch - offset, last - start)
            yield Segment(index, first, max(1, whole), batches, start)
            start += max(1, whole) * batches
        epoch += phase.epochs


@dataclass(frozen=True)
class Step:
    """One training batch that was done.

    Attributes:
        batch: how many training batches are done, this one included.
        update: how many optimizer steps are done.
        loss: mean loss of this batch.
    """

    batch: int
    update: int
    loss: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training split that was done, perhaps a cut one.

    Attributes:
        epoch: which, counted from 1.
        update: how many optimizer steps are done.
        train: mean loss and metrics over the epoch's training batches.
        validation: loss and metrics over the whole validation split.
        seconds: how long the epoch took, validation included.
    """

    epoch: int
    update: int
    train: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: float


class Listener(Protocol):
    """Follows a run; everything that logs, prints or keeps weights is one."""

    def on_step(self, step: Step) -> None: ...

    def on_epoch(self, epoch: Epoch) -> bool | None:
        """Note an epoch's end; True asks to stop the training."""


def fit(experiment: Experiment, listeners: Sequence[Listener]) -> None:
    """Train all phases; the listeners see every step and epoch, in their order."""
    network, optimizer = experiment.model.network, experiment.optimizer
    _thaw(experiment)
    optimizer.build(network.trainable_variables)
    clip_densely(optimizer)
    scale_rates(optimizer, experiment.model, experiment.plan.rates)
    network.stop_training = False
    phase = None
    for segment in segments(
        experiment.plan.phases, experiment.batches.steps_per_epoch, experiment.total_batches
    ):
        if segment.phase != phase:
            phase = segment.phase
            freeze(experiment.model, experiment.plan, experiment.plan.phases[phase])
            network.compile(
                optimizer=optimizer, loss=experiment.loss, metrics=experiment.train_metrics
            )
        network.fit(
            training_batches(experiment, segment),
            initial_epoch=segment.epoch,
            epochs=segment.epoch + segment.epochs,
            steps_per_epoch=segment.batches,
            callbacks=[_callback(experiment, segment, listeners)],
            shuffle=False,  # the plan has done it
            verbose=0,
        )
        if network.stop_training:
            break


def _callback(experiment: Experiment, segment: Segment, listeners: Sequence[Listener]) -> Any:
    """Return the Keras callback that tells the listeners and runs the validation."""
    import keras

    accumulate = experiment.optimizer.gradient_accumulation_steps or 1

    class Telling(keras.callbacks.Callback):
        done = segment.start

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began, self.rows, self.total = time.monotonic(), 0, 0.0
            self.batches = experiment.batches.epoch(epoch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            trained = self.batches[self.done % len(self.batches)]
            self.done += 1
            loss = self._batch_loss(logs["loss"], len(trained.rows))
            step = Step(self.done, self.done // accumulate, loss)
            if not math.isfinite(loss):
                raise _not_finite(step, trained)
            for listener in listeners:
                listener.on_step(step)

        def _batch_loss(self, running_mean: float, rows: int) -> float:
            """Undo the epoch's running mean, which Keras weights by rows."""
            before, self.rows = self.total, self.rows + rows
            self.total = running_mean * self.rows
            return (self.total - before) / rows

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            train = {name: float(value) for name, value in logs.items()}
            validation = experiment.evaluate("validation")
            seconds = time.monotonic() - self.began
            ended = Epoch(epoch + 1, self.done // accumulate, train, validation, seconds)
            stops = [listener.on_epoch(ended) for listener in listeners]
            self.model.stop_training = any(stops)

    return Telling()


def _not_finite(step: Step, batch: Batch) -> RunError:
    rows = ", ".join(str(row) for row in batch.rows[:8])
    return RunError(
        f"the loss is {step.loss} at step {step.update} (training rows {rows}, ...)",
        where="loss",
        fix="lower optimizer.lr, keep train.clip_norm, or look at those rows",
    )


def training_batches(experiment: Experiment, segment: Segment) -> Any:
    """Return a ``tf.data.Dataset`` of ``(inputs, labels)`` for one segment."""
    import tensorflow as tf

    names = input_names(experiment.model.network)
    encoding, labels = experiment.encodings["train"], experiment.data.train.labels
    pad_id = experiment.model.tokenizer.pad_id
    stop = segment.start + segment.epochs * segment.batches

    def batches() -> Iterator[tuple[dict[str, Any], Any]]:
        for batch in experiment.batches.steps(segment.start, stop):
            inputs, y = batch_arrays(encoding, labels, batch, pad_id)
            yield {name: inputs[name] for name in names}, y

    _, example = next(batches())
    signature = (
        {name: tf.TensorSpec((None, None), "int32") for name in names},
        tf.TensorSpec((None, *example.shape[1:]), example.dtype)
        if encoding.word_ids is None
        else tf.TensorSpec((None, None), "int32"),
    )
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)


def freeze(model: TextModel, plan: TransferPlan, phase: Phase) -> None:
    """Set ``trainable`` on the blocks that ``plan`` names, and on no other."""
    for block in {name for p in plan.phases for name in p.frozen}:
        for layer in model.blocks[block]:
            model.network.get_layer(layer).trainable = block not in phase.frozen


def _thaw(experiment: Experiment) -> None:
    """Make every block trainable that learns in some phase, so that the optimizer knows it."""
    plan = experiment.plan
    always = set.intersection(*(set(phase.frozen) for phase in plan.phases))
    freeze(experiment.model, plan, Phase(epochs=0, frozen=tuple(always)))
