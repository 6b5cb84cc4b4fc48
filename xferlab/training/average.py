"""The average of a run's weights: taken after optimizer steps, scored, saved and resumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from xferlab.backend.weight_average import WeightSlots
from xferlab.compatibility import contract_violation, name_and_origin, plugin_failure
from xferlab.config.recipe import Recipe
from xferlab.contracts import Budget
from xferlab.errors import XferlabError
from xferlab.step_contracts import Moment, Take

GROUP = "average"


@dataclass(frozen=True)
class StepPlan:
    """Which batches end an optimizer step, and which of those an epoch.

    Attributes:
        per_epoch: batches of a whole epoch.
        total: batches of the run.
        accumulation: batches for each optimizer step.
        budget: the same in optimizer steps.
    """

    per_epoch: int
    total: int
    accumulation: int
    budget: Budget

    def moment(self, batch: int, taken: int) -> Moment | None:
        """Return the moment after ``batch`` batches; None if they do not end an optimizer step."""
        if batch % self.accumulation:
            return None
        epoch = (batch - 1) // self.per_epoch + 1
        end = min(self.total, epoch * self.per_epoch)
        ends_epoch = batch + self.accumulation > end
        return Moment(batch // self.accumulation, epoch, ends_epoch, taken, self.budget)

    def moments(self) -> Iterator[Moment]:
        """Yield the moments of the whole run, of an average that has taken nothing."""
        for batch in range(self.accumulation, self.total + 1, self.accumulation):
            moment = self.moment(batch, 0)
            assert moment is not None
            yield moment


class RunAverage:
    """An average plugin, bound to a run.

    Args:
        plugin: the instance.
        plan: of the run's steps.
    """

    def __init__(self, plugin: Any, plan: StepPlan) -> None:
        self.plugin = plugin
        self.plan = plan
        self._slots: WeightSlots | None = None
        self._taken: int | None = None  # read once: of a resumed run it is in the checkpoint

    def build(self, weights: Sequence[Any]) -> None:
        """Create its sets of weights, of what is trained in some phase."""
        self._slots = WeightSlots(weights, slots_of(self.plugin))

    @property
    def name(self) -> str:
        """As it is chosen: ``average=ema``."""
        return name_and_origin(GROUP, self.plugin)[0]

    @property
    def slots(self) -> WeightSlots:
        """Its sets of weights."""
        assert self._slots is not None
        return self._slots

    def after_batch(self, batch: int) -> None:
        """Take the weights after ``batch`` batches of the run, if the plugin does."""
        if self._taken is None:
            self._taken = self.slots.taken()
        moment = self.plan.moment(batch, self._taken)
        take = None if moment is None else take_at(self.plugin, moment)
        if take is not None:
            self.slots.take(take.slot, take.fraction)
            self._taken += 1


def chosen_average(recipe: Recipe) -> Any:
    """Return the recipe's average plugin, or None for the default, the weights themselves."""
    plugin = recipe.average
    return None if plugin is None or getattr(plugin, "is_default", False) else plugin


def averaged(average: RunAverage | None) -> AbstractContextManager[None]:
    """Give the network the average's weights in the block; without an average do nothing."""
    return nullcontext() if average is None else average.slots.in_place()


def slots_of(plugin: Any) -> int:
    """Return how many sets of weights an average keeps."""
    return int(getattr(plugin, "slots", 1))


def take_at(plugin: Any, moment: Moment) -> Take | None:
    """Return what an average takes at a moment.

    Raises:
        PluginError: it returns something else, or raises.
    """
    try:
        take = plugin.take(moment)
    except XferlabError:
        raise
    except Exception as e:
        raise plugin_failure(GROUP, plugin, e, f"fails at step {moment.step}") from e
    if take is None:
        return None
    if not isinstance(take, Take):
        what = f"returns a {type(take).__name__} at step {moment.step}"
        raise contract_violation(GROUP, plugin, what, "return Take(fraction, slot) or None")
    if not 0 < take.fraction <= 1:
        what = f"takes the fraction {take.fraction} at step {moment.step}"
        raise contract_violation(GROUP, plugin, what, "a fraction is above 0 and at most 1")
    if take.slot not in range(slots_of(plugin)):
        what = f"takes slot {take.slot} at step {moment.step}, of {slots_of(plugin)}"
        raise contract_violation(GROUP, plugin, what, "declare as many slots as it uses")
    return take
