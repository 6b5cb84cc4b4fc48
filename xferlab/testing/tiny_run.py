"""Trains a plugin for six steps in this process: twice, and killed and resumed."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.backend.process import kept_generators, kept_settings, prepare_backend
from xferlab.callbacks import Callback, Evaluation, Result, Run
from xferlab.checks.data import check_data
from xferlab.checks.experiment import inspect
from xferlab.config.recipe import Recipe, fitted_to, monitored
from xferlab.config.schema import TrainConfig
from xferlab.contracts import OutputKind, Task
from xferlab.groups import GROUPS
from xferlab.origin import is_own_plugin
from xferlab.registry import REGISTRY
from xferlab.testing.finding import Subject
from xferlab.testing.tiny_parts import BATCH, TinyData, TinyModel
from xferlab.training.assemble import Experiment, assemble
from xferlab.training.callback_list import CallbackList, Plugin
from xferlab.training.events import Checkpointer, TrainState
from xferlab.training.loop import fit
from xferlab.training.schedule_plot import schedule_figure
from xferlab.training.summary import planned_rates

KILLED_AFTER = 4
"""Batches of six; an epoch has three."""
CHEAPEST = {
    "loss": "auto",
    "optimizer": "adamw",
    "schedule": "constant",
    "transfer": "full",
    "head": "auto",
    "objective": "supervised",
    "average": "none",
}
ENCODER = {"name": "encoder", "checkpoint": "bundled:bert"}


class Killed(Exception):
    """The run was ended in the midst of an epoch."""


class MemoryCheckpointer(Checkpointer):
    """Keeps the state after some batch in memory, ends the run there, and restores it.

    Args:
        batch: number of the last batch before the end.
        callbacks: whose state is kept, too.
    """

    def __init__(self, batch: int, callbacks: CallbackList | None = None) -> None:
        self._batch = batch
        self._callbacks = callbacks
        self._arrays: dict[str, Any] = {}
        self._states = "{}"

    def resumed(self, callbacks: CallbackList | None = None) -> MemoryCheckpointer:
        """Return one that restores the state."""
        other = MemoryCheckpointer(-1, callbacks)
        other.start = self.start
        other._arrays = self._arrays
        other._states = self._states
        return other

    def after_step(self, network: Any, state: TrainState) -> None:
        """End the run if it is time."""
        import numpy as np

        if state.batch == self._batch:
            self.start = dataclasses.replace(state)
            self._arrays = {n: np.array(v) for n, v in network.variables().items()}
            self._states = json.dumps(self._callbacks.states() if self._callbacks else {})
            raise Killed

    def restore(self, network: Any) -> None:
        """Set every variable, and what callbacks remember."""
        for name, variable in network.variables().items():
            variable.assign(self._arrays[name])
        if self._callbacks is not None:
            self._callbacks.restore(json.loads(self._states))


@dataclass(frozen=True)
class Trained:
    """What a run leaves.

    Attributes:
        weights: of the network.
        scores: of the validation split.
        states: what callbacks remember.
    """

    weights: list[Any]
    scores: dict[str, float]
    states: str

    def difference(self, other: Trained) -> str:
        """Return what differs from another run, to the last bit; empty if nothing does."""
        import numpy as np

        pairs = zip(self.weights, other.weights, strict=True)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
            return "weights"
        if repr(self.scores) != repr(other.scores):
            return "scores"
        return "states of callbacks" if self.states != other.states else ""


@dataclass(frozen=True)
class TinyRun:
    """Six steps of training with one plugin; everything else is the smallest there is.

    Attributes:
        subject: the plugin.
        task: of the made-up data.
        kind: of the model's outputs; None for the task's own.
        folder: of the run, for callbacks.
    """

    subject: Subject
    task: Task
    kind: OutputKind | None
    folder: Path

    def uninterrupted(self) -> Trained:
        """Train to the end, after the checks that every run makes before its first step."""
        experiment, callbacks = self._assembled(checked=True)
        fit(experiment, callbacks)
        return self._ended(experiment, callbacks)

    def killed_and_resumed(self) -> Trained:
        """End the run within its second epoch, and resume it with new objects."""
        experiment, callbacks = self._assembled()
        killed = MemoryCheckpointer(KILLED_AFTER, callbacks)
        try:
            fit(experiment, callbacks, killed)
        except Killed:
            callbacks.failure(KeyboardInterrupt("stopped"))
        experiment, callbacks = self._assembled()
        fit(experiment, callbacks, killed.resumed(callbacks))
        return self._ended(experiment, callbacks)

    @property
    def _is_built_in(self) -> bool:
        """Whether a callback's state is held to its contract by tests of its own."""
        return is_own_plugin(self.subject.path)

    def _ended(self, experiment: Experiment, callbacks: CallbackList) -> Trained:
        labels, outputs = experiment.outputs("validation")
        scores = experiment.scores(labels, outputs)
        final = {f"validation/{name}": value for name, value in scores.items()}
        callbacks.evaluation(Evaluation("validation", 6, labels, outputs, scores))
        states = json.dumps(callbacks.states(), sort_keys=True)  # as in the last checkpoint
        if self._is_built_in:  # an event file's name has the time in it
            states = ""
        callbacks.end(Result("finished", final, {"validation": scores}))
        weights = [weight.numpy() for weight in experiment.model.network.weights]
        return Trained(weights, scores, states)

    def _assembled(self, *, checked: bool = False) -> tuple[Experiment, CallbackList]:
        recipe = self._recipe()
        data = recipe.data.build(recipe.seed)
        check_data(recipe.data, data)
        prepare_backend(recipe.seed, "float32", deterministic=True)
        recipe = fitted_to(recipe, data.spec.task)
        experiment = assemble(recipe, data)
        if checked:
            rates = planned_rates(experiment.learning_rate, experiment.budget.total_steps)
            inspect(experiment, recipe, rates)
        return experiment, self._callbacks(recipe, experiment)

    def _callbacks(self, recipe: Recipe, experiment: Experiment) -> CallbackList:
        """Return the plugin's callback, held to its contract as in any run."""
        if self.subject.entry.group != "callback":
            return CallbackList({})
        run = Run(
            folder=self.folder,
            run_id="0" * 8,
            config={},
            settings={"seed": 0},
            spec=experiment.spec,
            splits=experiment.data.splits,
            budget=experiment.budget,
            monitor=recipe.monitor,
            mode=recipe.mode,
            network=experiment.model.network,
            learning_rate=lambda step: 0.01,
        )
        rates = planned_rates(experiment.learning_rate, experiment.budget.total_steps)
        plan = self.folder / "plan.png"  # as every run has it before its callbacks
        schedule_figure(rates, experiment, recipe.schedule.__class__.__name__.lower(), plan)
        (plugin,) = recipe.callback.values()

        def build() -> Callback:
            callback: Callback = plugin.build(run)
            return callback

        name = self.subject.name
        plugins = {name: Plugin(name, self.subject.entry.origin, build, self._is_built_in)}
        return CallbackList({name: build()}, plugins, experiment.model.network)

    def _recipe(self) -> Recipe:
        group = self.subject.entry.group
        nodes: dict[str, Any] = {key: {"name": name} for key, name in CHEAPEST.items()}
        nodes |= {"metric": {}, "callback": {}, "postprocess": None}
        nodes["optimizer"] = {"name": "adamw", "lr": 0.01}
        if group == "head":
            nodes["model"] = ENCODER
        is_nested = GROUPS[group].holds_several
        node = self.subject.node
        nodes[group] = {self.subject.entry.name: node} if is_nested else node
        plugins = {key: REGISTRY.create_chosen(GROUPS[key], each) for key, each in nodes.items()}
        plugins.setdefault("data", TinyData(self.task))
        plugins.setdefault("model", TinyModel(self.kind, 2 if group == "transfer" else 0))
        train = TrainConfig(epochs=2, max_steps=6, batch_size=BATCH, cache_frozen=False)
        monitor, mode = monitored("loss", plugins["metric"])
        return Recipe(
            plugins, train=train, seed=0, monitor=monitor, mode=mode, config={}, run_id="0" * 8
        )


@contextmanager
def _errors_alone(log: logging.Logger) -> Iterator[None]:
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def apart() -> Iterator[Path]:
    """Yield an empty folder; caches, settings and generators of the process stay as they are.

    What the plugin logs, and TensorFlow's warnings of functions that each run traces, are left out.
    """
    with ExitStack() as stack:
        for name in ("xferlab", "tensorflow"):
            stack.enter_context(_errors_alone(logging.getLogger(name)))
        stack.enter_context(kept_generators())
        stack.enter_context(kept_settings())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="xferlab-check-"))
        before = os.environ.get("XFERLAB_CACHE")
        os.environ["XFERLAB_CACHE"] = f"{folder}/cache"
        try:
            yield Path(folder)
        finally:
            os.environ.pop("XFERLAB_CACHE")
            if before is not None:
                os.environ["XFERLAB_CACHE"] = before
