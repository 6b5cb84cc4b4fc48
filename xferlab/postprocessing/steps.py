"""Fitted postprocess plugins, applied to outputs one after another, in NumPy or in a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xferlab.contracts import OutputKind, Processed, TaskSpec
from xferlab.functional.probabilities import to_logits, to_probabilities
from xferlab.functional.unseen_words import is_unseen
from xferlab.registry import REGISTRY

if TYPE_CHECKING:
    import numpy as np

GROUP = "postprocess"


@dataclass(frozen=True)
class Step:
    """A plugin with what it has fitted.

    Attributes:
        name: of the plugin.
        plugin: the instance.
        parameters: float32 arrays by name.
    """

    name: str
    plugin: Any
    parameters: Mapping[str, np.ndarray]

    def describe(self, spec: TaskSpec) -> str:
        """Return what it has fitted in a few words."""
        if hasattr(self.plugin, "describe"):
            return str(self.plugin.describe(self.parameters, spec))
        return f"{self.name}: {', '.join(self.parameters)}"


@dataclass(frozen=True)
class Postprocessor:
    """The fitted steps of a run, in order.

    Attributes:
        spec: the task.
        steps: each is given the outputs of the one before.
        weights: SHA-256 of the weights whose outputs they are fitted on.
    """

    spec: TaskSpec
    steps: Sequence[Step]
    weights: str = ""

    def __call__(self, outputs: Any, xp: Any = None) -> Processed:
        """Return what the steps make of outputs; ``outputs`` of it are never None.

        Args:
            outputs: float32 (..., num_outputs), of the task's output kind. Words without a token
                stay as they are.
            xp: ``keras.ops`` in a graph; NumPy by default.
        """
        if xp is None:
            import numpy as xp
        scores = to_logits(outputs, self.spec, xp)
        done = Processed(scores)
        for step in self.steps:
            done = merge(done, apply_step(step, done.outputs, xp))
        return replace(
            done,
            outputs=self._kept(outputs, scores, done.outputs, xp),
            decisive=self._kept(outputs, scores, done.decisive, xp),
        )

    def of_examples(self, outputs: Any) -> Processed:
        """Return the same of a run's outputs: an array, or a list of one (words, ...) an example.

        The rows of words without a token are NaN, and stay so.
        """
        import numpy as np

        if not isinstance(outputs, list):
            return self(outputs)
        if not outputs:
            return Processed(outputs)
        ends = np.cumsum([len(words) for words in outputs])[:-1]
        done = self(np.concatenate(outputs))
        parts = {k: None if v is None else np.split(v, ends) for k, v in vars(done).items()}
        return Processed(**parts)

    @property
    def factor(self) -> float | None:
        """The number that logits are multiplied by, if the steps do nothing else; or None."""
        if not all(hasattr(step.plugin, "factor") for step in self.steps):
            return None
        return math.prod(step.plugin.factor(step.parameters) for step in self.steps)

    @property
    def columns(self) -> list[str]:
        """The columns that a table of predictions has for sets and intervals."""
        import numpy as np

        done = self(np.zeros((1, self.spec.num_outputs), "float32"))
        columns = [] if done.included is None else ["set"]
        return columns + ([] if done.interval is None else ["low", "high"])

    def describe(self) -> str:
        """Return what the steps have fitted in a few words."""
        return "; ".join(step.describe(self.spec) for step in self.steps)

    def _kept(self, before: Any, scores: Any, after: Any, xp: Any) -> Any:
        """Return scores in the task's output kind; words without a token keep their outputs."""
        if after is None:
            return None
        if after is scores:
            return before
        if self.spec.output_kind is OutputKind.probabilities:
            after = to_probabilities(after, self.spec, xp)
        if self.spec.task.is_per_word and xp.__name__ == "numpy":
            return xp.where(is_unseen(before)[..., None], before, after)
        return after


def merge(before: Processed, after: Processed) -> Processed:
    """Return what a step gives, with what earlier steps gave where it gives nothing."""
    given = {name: value for name, value in vars(after).items() if value is not None}
    return replace(before, **given)


def apply_step(step: Step, outputs: Any, xp: Any) -> Processed:
    """Return what one step makes of logits or values, as floats of their type."""
    parameters = {name: xp.array(value, dtype="float32") for name, value in step.parameters.items()}
    found: Processed = step.plugin.apply(outputs, parameters, xp)
    return found


def chosen_steps(chosen: Any) -> dict[str, Any]:
    """Return the postprocess plugins that a config chooses, by name; none is an empty dict."""
    if chosen is None:
        return {}
    if isinstance(chosen, Mapping):
        return dict(chosen)
    entry = REGISTRY.entry_of(GROUP, type(chosen))
    return {entry.name if entry else GROUP: chosen}
