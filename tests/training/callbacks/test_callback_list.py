"""Callbacks are called in order, kept by instance, and held to their contract."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xferlab.callbacks import Callback, Epoch, Evaluation, Result, Step
from xferlab.errors import PluginError
from xferlab.training.callback_list import CallbackList, Plugin

STEP = Step(1, 1, 0.5)
EPOCH = Epoch(1, 1, {"loss": 0.5}, {"loss": 0.4}, 1.0)
FILE = Path(__file__)


class Counting(Callback):
    def __init__(self, log=None):
        self.count = 0
        self._log = [] if log is None else log
        self.transient = ("_log",)

    def on_step(self, step):
        self.count += 1
        self._log.append("step")

    def on_epoch(self, epoch):
        self._log.append("epoch")
        return self.count > 1

    def state(self):
        return {"count": self.count}

    def restore(self, state):
        self.count = state["count"]


def of(cls, name="mine", network=None, trusted=False):
    """Return a list of one callback that a plugin of this file builds."""
    plugin = Plugin(f"callback={name}", f"{FILE}:1", cls, trusted)
    return CallbackList({f"callback.{name}": cls()}, {f"callback.{name}": plugin}, network)


def network():
    return SimpleNamespace(weights=[np.zeros((2, 3), "float32"), np.float32(1)])


def test_two_of_one_class_have_each_their_state():
    pair = {"callback.a": Counting(), "callback.b": Counting()}
    callbacks = CallbackList(pair)
    callbacks.step(STEP)
    pair["callback.b"].count = 7
    states = callbacks.states()
    assert states == {"callback.a": {"count": 1}, "callback.b": {"count": 7}}
    again = {"callback.b": Counting(), "callback.a": Counting()}
    CallbackList(again).restore(states)
    assert [again[name].count for name in ("callback.a", "callback.b")] == [1, 7]


def test_a_sequence_is_named_by_classes():
    assert list(CallbackList.of([Counting(), Counting()]).callbacks) == ["Counting", "Counting 2"]


def test_they_are_called_in_order_and_all_of_them():
    log = []
    callbacks = CallbackList.of([Counting(log), Counting(log)])
    callbacks.callbacks["Counting"].count = 5
    assert callbacks.epoch(EPOCH) is True
    assert log == ["epoch", "epoch"]


def test_who_handles_no_steps_is_not_called_for_them():
    callbacks = CallbackList.of([Callback()])
    assert callbacks._events["on_step"] == []


def test_one_that_is_new_begins_anew():
    callbacks = CallbackList({"callback.new": Counting()})
    callbacks.restore({"callback.old": {"count": 3}})
    assert callbacks.callbacks["callback.new"].count == 0


# -- violations ------------------------------------------------------------------------------------


class RaisesInStep(Callback):
    def on_step(self, step):
        raise ZeroDivisionError("no\nluck")  # here


class ChangesWeightsInBegin(Callback):
    net = network()

    def on_begin(self, update):
        self.net.weights[0] += 1


class ChangesWeightsInStep(ChangesWeightsInBegin):
    def on_begin(self, update): ...

    def on_step(self, step):
        self.net.weights[0][0, 0] = np.nan


class ChangesWeightsInEvaluation(ChangesWeightsInBegin):
    def on_begin(self, update): ...

    def on_evaluation(self, evaluation):
        self.net.weights[0] *= 0.5
        self.net.weights[0] += 1


class ReturnsAScore(Callback):
    def on_epoch(self, epoch):
        return 0.4


class ReturnsFromStep(Callback):
    def on_step(self, step):
        return True


class ForgetsItsState(Callback):
    def __init__(self):
        self.best = 0.0

    def on_step(self, step):
        self.best = step.loss


class RestoresNothing(Counting):
    def restore(self, state): ...


class RestoresOtherwise(Counting):
    def restore(self, state):
        self.count = state["counter"]


class StateIsNoData(Callback):
    def state(self):
        return {"path": Path("x")}


class StateIsNoTable(Callback):
    def state(self):
        return [1]


class FilesElsewhere(Callback):
    def files(self):
        return [Path("/elsewhere/x")]


VIOLATIONS = {
    RaisesInStep: ("fails in on_step: ZeroDivisionError: no", "on_step"),
    ChangesWeightsInBegin: ("changes the network's weights in on_begin", "on_begin"),
    ChangesWeightsInStep: ("changes the network's weights in on_step", "on_step"),
    ChangesWeightsInEvaluation: ("changes the network's weights in on_evaluation", "on_evaluation"),
    ReturnsAScore: ("returns 0.4 from on_epoch", "on_epoch"),
    ReturnsFromStep: ("returns True from on_step", "on_step"),
    ForgetsItsState: ("forgets 'best': it is 0.5, and 0.0 once it is restored", None),
    RestoresNothing: ("has another state once it is restored", "restore"),
    RestoresOtherwise: ("cannot restore its own state: KeyError", "restore"),
    StateIsNoData: ("returns no JSON data from state()", "state"),
    StateIsNoTable: ("returns no JSON data from state()", "state"),
    FilesElsewhere: ("names a file outside the run's folder checkpoints", "files"),
}
"""Callbacks that violate their contract, what is reported, and the method whose line is named."""


def until_the_first_checkpoint(callbacks):
    callbacks.begin(0)
    callbacks.step(STEP)
    outputs = np.zeros((1, 2), "float32")
    callbacks.evaluation(Evaluation("validation", 1, np.zeros(1), outputs, {"loss": 0.4}))
    callbacks.epoch(EPOCH)
    callbacks.states()
    callbacks.files(Path("/run/checkpoints"))


@pytest.mark.parametrize("cls", VIOLATIONS, ids=lambda cls: cls.__name__)
def test_a_violation_is_named_with_its_file_and_line(cls):
    what, method = VIOLATIONS[cls]
    with pytest.raises(PluginError) as caught:
        until_the_first_checkpoint(of(cls, network=getattr(cls, "net", None)))
    assert what in caught.value.what
    assert caught.value.what.startswith("callback=mine ")
    lines, first = inspect.getsourcelines(getattr(cls, method)) if method else ([], 1)
    number = int(caught.value.where.removeprefix(f"{FILE}:"))
    assert first <= number <= first + len(lines)


def test_honest_ones_pass():
    callbacks = of(Counting, network=network())
    until_the_first_checkpoint(callbacks)
    assert callbacks.states() == {"callback.mine": {"count": 1}}


def test_what_is_declared_transient_may_be_forgotten():
    callbacks = of(type("Timed", (ForgetsItsState,), {"transient": ("best",)}))
    until_the_first_checkpoint(callbacks)
    assert callbacks.states() == {"callback.mine": {}}


def test_a_failure_within_on_failure_is_a_line(caplog):
    class Fails(Callback):
        def on_failure(self, error):
            raise OSError("gone")

    of(Fails).failure(ValueError())
    assert "callback.mine: on_failure: gone" in caplog.text


def test_the_end_is_passed_on():
    results = []

    class Ends(Callback):
        def on_end(self, result):
            results.append(result.status)

    CallbackList.of([Ends()]).end(Result("finished", {}, {}))
    assert results == ["finished"]
