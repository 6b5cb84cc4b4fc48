"""The training loop: compile and fit, phase by phase.

Keras applies a change of ``trainable`` only at ``compile``, and an optimizer accepts only the
variables it was built with. So the optimizer is built once, over every weight that is trainable in
some phase, and its moments and schedule carry on from phase to phase.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xferlab.backend.graphs import batch_dataset
from xferlab.backend.grouped_steps import joined
from xferlab.callbacks import Callback, Epoch, Evaluation, Step
from xferlab.contracts import Phase
from xferlab.data.batching import Batch
from xferlab.training.assemble import Experiment
from xferlab.training.average import averaged
from xferlab.training.callback_list import CallbackList
from xferlab.training.events import Checkpointer, Diverged, TrainState
from xferlab.training.optimizer_extensions import extend_optimizer
from xferlab.training.phase_network import PhaseNetwork, build_phase, unfreeze, whole_network
from xferlab.training.phases import phase_of

AT_ONCE = 16
"""Training batches of one call of a graph, where a batch takes a millisecond or less."""


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


def fit(
    experiment: Experiment,
    callbacks: CallbackList | Sequence[Callback],
    checkpointer: Checkpointer | None = None,
) -> PhaseNetwork:
    """Train all phases from where ``checkpointer`` starts, and return what was trained last.

    Args:
        experiment: the live objects of the run.
        callbacks: informed of every step and epoch.
        checkpointer: saves and restores the state; None saves nothing.
    """
    checkpointer = checkpointer or Checkpointer()
    callbacks = CallbackList.of(callbacks)
    _build_optimizer(experiment)
    loop = TrainingLoop(experiment, callbacks, checkpointer)
    callbacks.begin(loop.update)
    phase = loop.resume() if checkpointer.start.batch else None
    phases = experiment.plan.phases
    per_epoch = experiment.batches.steps_per_epoch
    for segment in segments(phases, per_epoch, experiment.total_batches, loop.batch):
        if loop.stopped:
            break
        if segment.phase != phase:
            phase = segment.phase
            loop.begin_phase(phase)
        loop.network.trained.fit(
            training_batches(experiment, loop.network, segment, loop.group),
            initial_epoch=segment.epoch,
            epochs=segment.epoch + segment.epochs,
            steps_per_epoch=-(-segment.batches // (loop.group or 1)),
            callbacks=[_keras_callback(loop)],
            shuffle=False,  # the batches are in their final order
            verbose=0,
        )
    if experiment.average is not None:
        experiment.average.slots.assign()
    return loop.network


def _build_optimizer(experiment: Experiment) -> None:
    """Build the optimizer on every weight that is trainable in some phase."""
    network = experiment.model.network
    optimizer = experiment.optimizer
    unfreeze(experiment)
    if not optimizer.built:
        optimizer.build(network.trainable_variables)
        plan = experiment.plan
        extend_optimizer(optimizer, experiment.model, plan.rates, plan.groups)
    if experiment.step is not None:
        experiment.step.begin()
    if experiment.average is not None:
        experiment.average.build(network.trainable_variables)


def network_of_epoch(experiment: Experiment, network: PhaseNetwork, epoch: int) -> PhaseNetwork:
    """Return what scores the weights of an epoch, counted from 0, once they are restored.

    In another phase the frozen part may have had other weights than its features are of.
    """
    is_same = phase_of(experiment.plan.phases, epoch) == network.phase
    return network if is_same else whole_network(experiment, network.phase)


class TrainingLoop:
    """Counts batches, scores the validation split, informs the callbacks and the checkpointer.

    Attributes:
        batch: training batches done.
        stopped: a callback has requested to stop.
        network: what the present phase trains.
        group: most batches that one call of its graph trains; None where its steps are not grouped.
    """

    network: PhaseNetwork
    group: int | None = None

    def __init__(
        self, experiment: Experiment, callbacks: CallbackList, checkpointer: Checkpointer
    ) -> None:
        self._experiment = experiment
        self._callbacks = callbacks
        self._checkpointer = checkpointer
        self._accumulation = experiment.optimizer.gradient_accumulation_steps or 1
        self._per_epoch = experiment.batches.steps_per_epoch
        self._total = experiment.total_batches
        start = checkpointer.start
        self.batch = start.batch
        self.stopped = start.stopped
        self._scored = start.scored
        self._rows = start.rows
        self._loss_sum = start.loss_sum
        self._began = time.monotonic() - start.seconds
        self._resumes = start.rows > 0

    @property
    def state(self) -> TrainState:
        """Where the run is."""
        seconds = time.monotonic() - self._began
        return TrainState(
            self.batch, self._scored, self._rows, self._loss_sum, seconds, self.stopped
        )

    @property
    def update(self) -> int:
        """Optimizer steps done."""
        return self.batch // self._accumulation

    def resume(self) -> int:
        """Restore the network at a checkpoint's state and return the phase it is in.

        An epoch that was trained to its end and not scored yet is scored.
        """
        phase = phase_of(self._experiment.plan.phases, (self.batch - 1) // self._per_epoch)
        self._checkpointer.restore_weights(self._experiment.model.network)
        self.begin_phase(phase)
        self.network.create_metric_variables(self._experiment)
        self._checkpointer.restore(self.network)
        ended = self.batch % self._per_epoch == 0 or self.batch == self._total
        if self._rows > 0 and ended:
            self.end_epoch(self.network.trained.get_metrics_result())
        return phase

    def begin_phase(self, phase: int) -> None:
        """Compile what a phase trains; the outputs of its frozen blocks may take long."""
        before = getattr(self, "network", None)
        with self._checkpointer.interruptible(before, self.state):
            self.network = build_phase(self._experiment, phase)
        self.network.compile(self._experiment)
        self.group = None
        if self.network.has_small_steps(self._experiment):
            self.network.group_steps(self._experiment)
            is_observed = self._callbacks.observes_steps or self._checkpointer.observes_steps
            self.group = 1 if is_observed or self._experiment.average else AT_ONCE

    def begin_epoch(self, epoch: int) -> None:
        """Start an epoch, counted from 0, or resume in the middle of it."""
        self._batches = self._experiment.batches.epoch(epoch)
        if self._resumes:
            self._resumes = False
            self._checkpointer.restore(self.network)  # fit has just reset the running means
        elif self._rows == 0:
            self._began = time.monotonic()

    def end_call(self, running_means: Sequence[float]) -> None:
        """Report the batches of a call of the graph, and save if it is time.

        Args:
            running_means: the epoch's mean loss so far, over examples, after each batch.
        """
        for mean in running_means:
            self._end_step(mean)
        self._checkpointer.after_step(self.network, self.state)

    def _end_step(self, running_mean: float) -> None:
        trained = self._batches[self.batch % self._per_epoch]
        self.batch += 1
        self._rows += len(trained.rows)
        loss_before = self._loss_sum
        self._loss_sum = running_mean * self._rows
        loss = (self._loss_sum - loss_before) / len(trained.rows)
        step = Step(self.batch, self.update, loss)
        if not math.isfinite(loss):
            raise _not_finite(step, trained)
        if self._experiment.average is not None:
            self._experiment.average.after_batch(self.batch)
        self._callbacks.step(step)

    def end_epoch(self, means: Mapping[str, Any]) -> None:
        """Score the validation split and report the epoch."""
        order = sorted(means, key=lambda name: (name != "loss", name))
        train = {name: float(means[name]) for name in order}
        with averaged(self._experiment.average):
            with self._checkpointer.interruptible(self.network, self.state):
                self._experiment.fit_head()
                labels, outputs = self.network.outputs(self._experiment, "validation")
                validation = self._experiment.scores(labels, outputs)
            seconds = time.monotonic() - self._began
            evaluation = Evaluation("validation", self.update, labels, outputs, validation)
            epoch = Epoch(self._scored + 1, self.update, train, validation, seconds)
            self._callbacks.evaluation(evaluation)
            self.stopped = self._callbacks.epoch(epoch)
        self._scored = epoch.epoch
        self._rows = 0
        self._loss_sum = 0.0
        self._resumes = False
        self._checkpointer.after_epoch(self.network, self.state)


def _keras_callback(loop: TrainingLoop) -> Any:
    """Return the Keras callback that passes the events of ``fit`` to the loop."""
    import keras
    import numpy as np

    class KerasAdapter(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            loop.begin_epoch(epoch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            loop.end_call(np.atleast_1d(logs["loss"]).tolist())

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            loop.end_epoch(logs)
            self.model.stop_training = loop.stopped

    return KerasAdapter()


def _not_finite(step: Step, batch: Batch) -> Diverged:
    rows = ", ".join(str(row) for row in batch.rows[:8])
    return Diverged(
        f"the loss is {step.loss} at step {step.update} (training examples {rows}, ...)",
        where="loss",
        fix="lower optimizer.lr, keep train.max_grad_norm, or inspect those examples",
    )


def training_batches(
    experiment: Experiment, network: PhaseNetwork, segment: Segment, group: int | None = None
) -> Any:
    """Return a dataset of ``(inputs, labels)`` for one segment.

    Args:
        experiment: gives the order of the batches.
        network: reads them.
        segment: which batches.
        group: most batches of an element, see :func:`xferlab.backend.grouped_steps.joined`; None
            for elements that are batches.
    """
    batches_of = lru_cache(maxsize=1)(experiment.batches.epoch)
    calls = -(-segment.batches // (group or 1))

    def batch_of(number: int) -> tuple[dict[str, Any], Any]:
        epoch, position = divmod(number, experiment.batches.steps_per_epoch)
        return network.batch(experiment, batches_of(epoch)[position], number)

    def element(call: int) -> tuple[dict[str, Any], Any]:
        if group is None:
            return batch_of(segment.start + call)
        epoch, position = divmod(call, calls)
        start = segment.start + epoch * segment.batches
        numbers = range(segment.batches)[position * group : (position + 1) * group]
        return joined([batch_of(start + number) for number in numbers])

    return batch_dataset(element, segment.epochs * calls, network.trained, network.forward.names)
