"""The callbacks of a run: events passed on in order, and plugins held to their contract."""

from __future__ import annotations

import json
import logging
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.callbacks import Callback, Epoch, Evaluation, Result, Step
from xferlab.errors import PluginError, XferlabError, text_of

log = logging.getLogger("xferlab")
PLAIN = (bool, int, float, str, list, tuple, dict, set, type(None))
"""Types of attributes that a resumed run must have again."""


@dataclass(frozen=True)
class Plugin:
    """The plugin that a callback is built by.

    Attributes:
        name: how it is chosen, ``callback=notify``.
        origin: its file and line.
        build: builds the same callback once more.
        is_trusted: whether it ships with xferlab, so that its contract is tested already.
    """

    name: str
    origin: str
    build: Callable[[], Callback]
    is_trusted: bool = False


class CallbackList:
    """Callbacks in the order in which they are called.

    An exception of a plugin's is an error that names its file and line. A plugin of the user's is
    checked while it is used: that it leaves the weights alone, that ``on_epoch`` returns a bool or
    None, and, once, that ``restore`` gives a new callback what ``state`` returned.

    Args:
        callbacks: by instance name, which their state is stored under.
        plugins: of those callbacks that a plugin has built, by the same names.
        network: its weights must not change, a ``keras.Model``.
    """

    def __init__(
        self,
        callbacks: Mapping[str, Callback],
        plugins: Mapping[str, Plugin] | None = None,
        network: Any = None,
    ) -> None:
        self.callbacks = dict(callbacks)
        self._plugins = dict(plugins or {})
        self._network = network
        self._has_checked_step = False
        self._has_checked_state = False
        self._events = {
            event: [name for name, each in self.callbacks.items() if _handles(each, event)]
            for event in vars(Callback)
            if event.startswith("on_")
        }

    @classmethod
    def of(cls, callbacks: CallbackList | Sequence[Callback]) -> CallbackList:
        """Return a sequence of callbacks as a list of them, by the names of their classes."""
        if isinstance(callbacks, CallbackList):
            return callbacks
        return cls(dict(_named(callbacks)))

    @property
    def observes_steps(self) -> bool:
        """Whether a plugin of the user's is called after each batch: it may read the weights."""
        return not set(self._untrusted()).isdisjoint(self._events["on_step"])

    def begin(self, update: int) -> None:
        """Pass on the start of training."""
        self._pass_on("on_begin", update)

    def step(self, step: Step) -> None:
        """Pass on the end of a training batch; the first one's with checks."""
        if not self._has_checked_step:
            self._has_checked_step = True
            self._pass_on("on_step", step)
            return
        for name in self._events["on_step"]:
            self._call(name, "on_step", step)

    def evaluation(self, evaluation: Evaluation) -> None:
        """Pass on the outputs of a split."""
        self._pass_on("on_evaluation", evaluation)

    def epoch(self, epoch: Epoch) -> bool:
        """Pass on the end of an epoch; return whether one requests to stop."""
        return any(self._pass_on("on_epoch", epoch))

    def checkpoint(self, folder: Path) -> None:
        """Pass on that a checkpoint has been written."""
        self._pass_on("on_checkpoint", folder)

    def end(self, result: Result) -> None:
        """Pass on the end of the run."""
        self._pass_on("on_end", result)

    def failure(self, error: BaseException) -> None:
        """Pass on what ended the run early; an exception of a callback's is a line of the log."""
        for name in self._events["on_failure"]:
            try:
                self.callbacks[name].on_failure(error)
            except Exception as e:  # noqa: BLE001 - the first failure is the one to report
                log.warning("note       %s: on_failure: %s", name, text_of(e) or type(e).__name__)

    def states(self) -> dict[str, Any]:
        """Return what each callback remembers, by its name."""
        states = {name: self._call(name, "state") for name in self.callbacks}
        if not self._has_checked_state:
            self._has_checked_state = True
            for name in self._untrusted():
                self._check_state(name, states[name])
        return states

    def restore(self, states: Mapping[str, Any]) -> None:
        """Give each callback what it remembered; one that was not there then begins anew."""
        for name in self.callbacks:
            if name in states:
                self._call(name, "restore", states[name])

    def files(self, checkpoints: Path) -> list[Path]:
        """Return the files that belong to the state, all in the folder of the checkpoints."""
        found: list[Path] = []
        for name in self.callbacks:
            for path in self._call(name, "files"):
                if name in self._plugins and Path(path).parent != checkpoints:
                    what = f"names a file outside the run's folder checkpoints: {path}"
                    raise self._violation(name, "files", what, "keep it in that folder")
                found.append(path)
        return found

    def _pass_on(self, event: str, *arguments: Any) -> list[Any]:
        """Call the callbacks that handle an event; return their answers."""
        names = self._events[event]
        checked = set(self._untrusted()) & set(names)
        before = self._weights() if checked else 0
        answers = []
        for name in names:
            answer = self._call(name, event, *arguments)
            answers.append(answer)
            if name in checked:
                self._check_call(name, event, answer, before)
        return answers

    def _call(self, name: str, method: str, *arguments: Any) -> Any:
        """Call a callback; what a plugin raises is an error with its file and line."""
        plugin = self._plugins.get(name)
        if plugin is None:
            return getattr(self.callbacks[name], method)(*arguments)
        try:
            return getattr(self.callbacks[name], method)(*arguments)
        except XferlabError:
            raise
        except Exception as e:  # a plugin of others may raise anything
            file = plugin.origin.rpartition(":")[0]
            frames = traceback.extract_tb(e.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == file]
            message = text_of(e).partition("\n")[0][:200]
            raise PluginError(
                f"{plugin.name} fails in {method}: {type(e).__name__}: {message}",
                where=f"{file}:{lines[-1]}" if lines else plugin.origin,
                fix="correct that line, then resume the run with --recover",
            ) from e

    def _untrusted(self) -> list[str]:
        return [name for name, plugin in self._plugins.items() if not plugin.is_trusted]

    def _weights(self) -> int:
        """Return a checksum of the network's weights."""
        import numpy as np

        checksum = 0
        for variable in self._network.weights if self._network is not None else ():
            checksum = zlib.crc32(np.ascontiguousarray(variable).view(np.uint8).data, checksum)
        return checksum

    def _check_call(self, name: str, event: str, answer: Any, before: int) -> None:
        """Raise PluginError if a callback has changed the weights, or answers nonsense."""
        if self._weights() != before:
            what = f"changes the network's weights in {event}"
            raise self._violation(name, event, what, "read the network, and change nothing in it")
        expected = "True, False or None" if event == "on_epoch" else "None"
        if answer is not None and not (event == "on_epoch" and isinstance(answer, bool)):
            what = f"returns {answer!r:.80} from {event}"
            raise self._violation(name, event, what, f"return {expected}")

    def _check_state(self, name: str, state: Any) -> None:
        """Raise PluginError unless a new callback remembers the same once it is restored."""
        stored = self._as_json(name, state)
        plugin = self._plugins[name]
        again = plugin.build()
        try:
            again.restore(json.loads(stored))
            restored = again.state()
        except Exception as e:
            what = f"cannot restore its own state: {type(e).__name__}: {text_of(e)[:200]}"
            fix = "let restore() take what state() returns"
            raise self._violation(name, "restore", what, fix) from e
        if self._as_json(name, restored) != stored:
            what = f"has another state once it is restored: {restored!r:.80}, not {state!r:.80}"
            raise self._violation(name, "restore", what, "set in restore() all of what state() has")
        for key, here, there in _differences(self.callbacks[name], again):
            what = f"forgets '{key}': it is {here!r:.40}, and {there!r:.40} once it is restored"
            fix = f"return it in state() and set it in restore(), or declare transient = ('{key}',)"
            raise self._violation(name, "state", what, fix)

    def _as_json(self, name: str, state: Any) -> str:
        try:
            if isinstance(state, dict):
                return json.dumps(state, sort_keys=True, allow_nan=True)
        except (TypeError, ValueError):
            pass
        what = f"returns no JSON data from state(): {state!r:.80}"
        fix = "return a dict of numbers, texts, lists and dicts"
        raise self._violation(name, "state", what, fix)

    def _violation(self, name: str, method: str, what: str, fix: str) -> PluginError:
        """Return the error for a callback that breaks its contract, with the method's line."""
        plugin = self._plugins[name]
        code = getattr(getattr(type(self.callbacks[name]), method), "__code__", None)
        file = plugin.origin.rpartition(":")[0]
        is_own = code is not None and code.co_filename == file
        where = f"{file}:{code.co_firstlineno}" if is_own and code else plugin.origin
        return PluginError(f"{plugin.name} {what}", where=where, fix=fix)


def _named(callbacks: Sequence[Callback]) -> Iterator[tuple[str, Callback]]:
    """Yield callbacks with the names of their classes, numbered from the second on."""
    counts: dict[str, int] = {}
    for callback in callbacks:
        name = type(callback).__name__
        counts[name] = counts.get(name, 0) + 1
        yield (name if counts[name] == 1 else f"{name} {counts[name]}"), callback


def _handles(callback: Callback, event: str) -> bool:
    """Return whether a callback does anything at an event."""
    return getattr(type(callback), event, None) is not getattr(Callback, event)


def _differences(callback: Callback, again: Callback) -> Iterator[tuple[str, Any, Any]]:
    """Yield the attributes of plain data that differ between a callback and a restored one."""
    missing = object()
    for key, here in vars(callback).items():
        there = vars(again).get(key, missing)
        if key not in callback.transient and isinstance(here, PLAIN) and here != there:
            yield key, here, None if there is missing else there
