"""Several transfer strategies as one plan: rates multiply, frozen sets unite, phases combine."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xferlab.contracts import Budget, Phase, TextModel, TransferPlan
from xferlab.errors import ConfigError
from xferlab.training.phases import phase_of


def strategies_of(transfer: Any) -> dict[str, Any]:
    """Return the strategies of a config in their order; a single one has the name ``""``."""
    return dict(transfer) if isinstance(transfer, Mapping) else {"": transfer}


@dataclass
class NamedVariable:
    """A variable of which no more than its path is known."""

    path: str
    trainable: bool = True


class NamedVariables:
    """What a strategy can see of a network that is not built: the paths of its variables.

    Args:
        paths: all that its variables can have.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.weights = [NamedVariable(path) for path in paths]

    @property
    def trainable_variables(self) -> list[NamedVariable]:
        """The variables that no strategy has frozen."""
        return [variable for variable in self.weights if variable.trainable]


def apply_transfer(transfer: Any, model: TextModel, budget: Budget) -> TransferPlan:
    """Apply one strategy, or several in order, and return the plan of all.

    Args:
        transfer: a strategy, or strategies by name.
        model: may be changed.
        budget: of the run.

    Raises:
        ConfigError: a strategy does not fit the model or the budget, or two contradict each other.
    """
    strategies = strategies_of(transfer)
    was_trainable = [v for v in model.network.weights if v.trainable]
    plans = {}
    for name, strategy in strategies.items():
        with_errors_of = _Errors(name)
        plans[name] = with_errors_of(strategy.apply, model, budget)
    plan = combine(plans, budget.epochs)
    refuse_unknown_blocks(plan, model)
    refuse_conflicts(strategies, plans, tuple(model.blocks))
    fixed = tuple(v.path for v in was_trainable if not v.trainable)
    return replace(plan, fixed=tuple(dict.fromkeys([*plan.fixed, *fixed]))) if fixed else plan


def check_transfer(transfer: Any, model: TextModel, budget: Budget) -> TransferPlan:
    """Return the plan as far as it is known without a network.

    A strategy that needs a network counts as one that freezes nothing.

    Raises:
        ConfigError: what :func:`apply_transfer` would refuse of the model's blocks.
    """
    strategies = strategies_of(transfer)
    plans = {}
    for name, strategy in strategies.items():
        try:
            plans[name] = _Errors(name)(strategy.apply, model, budget)
        except ConfigError:
            raise
        except Exception:  # noqa: BLE001 - it needs the network, which does not exist yet
            plans[name] = TransferPlan((Phase(budget.epochs),))
    plan = combine(plans, budget.epochs)
    refuse_conflicts(strategies, plans, tuple(model.blocks))
    return plan


class _Errors:
    """Calls a strategy's method; a ValueError becomes a ConfigError with the strategy's key.

    Where the error begins with the name of a field, ``groups[0]: ...``, the key is the field's.
    """

    def __init__(self, name: str) -> None:
        self._key = f"transfer.{name}" if name else "transfer"

    def __call__(self, method: Any, *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except ConfigError:
            raise
        except ValueError as error:
            field = re.match(r"(\w+)(?:\[\d+\])?: ", str(error))
            if field and hasattr(getattr(method, "__self__", None), field[1]):
                where = f"{self._key}.{field[1]}"
                raise ConfigError(str(error), where=where, fix=f"change {where}") from error
            fix = f"change {self._key} or the length of the run"
            raise ConfigError(str(error), where=self._key, fix=fix) from error


def combine(plans: Mapping[str, TransferPlan], epochs: int) -> TransferPlan:
    """Return one plan for several; that of one strategy is as it is.

    A block is frozen where any plan freezes it, and has the product of its rates. A phase ends
    where one of any plan does.

    >>> first = TransferPlan((Phase(1, ("a", "b")), Phase(3)), {"a": 0.5})
    >>> second = TransferPlan((Phase(2, ("a",)), Phase(2)), {"a": 0.5, "b": 0.9})
    >>> combine({"x": first, "y": second}, 4).phases
    (Phase(epochs=1, frozen=('a', 'b')), Phase(epochs=1, frozen=('a',)), Phase(epochs=2, frozen=()))
    >>> combine({"x": first, "y": second}, 4).rates
    {'a': 0.25, 'b': 0.9}

    Raises:
        ConfigError: the phases of a plan are not as long as the run.
    """
    for name, plan in plans.items():
        if sum(phase.epochs for phase in plan.phases) != epochs:
            raise ConfigError(
                f"the phases of the transfer strategy are {[p.epochs for p in plan.phases]} epochs"
                f" long and the run has {epochs}",
                where=f"transfer.{name}" if name else "transfer",
                fix="change train.epochs or the strategy's own lengths",
            )
    if len(plans) == 1:
        return next(iter(plans.values()))
    lengths = ([phase.epochs for phase in plan.phases] for plan in plans.values())
    edges = sorted({0, *(end for each in lengths for end in itertools.accumulate(each))})
    rates: dict[str, float] = {}
    for plan in plans.values():
        for block, rate in plan.rates.items():
            rates[block] = rates.get(block, 1.0) * rate
    return TransferPlan(
        tuple(
            Phase(end - begin, _frozen_at(plans, begin)) for begin, end in itertools.pairwise(edges)
        ),
        rates,
        tuple(group for plan in plans.values() for group in plan.groups),
        tuple(dict.fromkeys(path for plan in plans.values() for path in plan.fixed)),
        tuple(dict.fromkeys(block for plan in plans.values() for block in plan.fresh)),
    )


def _frozen_at(plans: Mapping[str, TransferPlan], epoch: int) -> tuple[str, ...]:
    """Return the blocks that some plan freezes in an epoch, counted from 0."""
    found: dict[str, None] = {}
    for plan in plans.values():
        phase = plan.phases[phase_of(plan.phases, epoch)]
        found |= dict.fromkeys(phase.frozen)
    return tuple(found)


def refuse_unknown_blocks(plan: TransferPlan, model: TextModel) -> None:
    """Raise ConfigError for a block or a variable that the model does not have."""
    named = {block for phase in plan.phases for block in phase.frozen} | set(plan.rates)
    for block in sorted(named - set(model.blocks)):
        raise ConfigError(
            f"the transfer strategy names a block '{block}' that the model does not have",
            where="transfer",
            fix=f"its blocks are: {', '.join(model.blocks)}",
        )
    paths = {variable.path for variable in model.network.weights}
    for path in sorted({*plan.fixed, *(p for g in plan.groups for p in g.paths)} - paths):
        raise ConfigError(
            f"the transfer strategy names a variable '{path}' that the network does not have",
            where="transfer",
            fix="use variable.path of the network's weights",
        )


def refuse_conflicts(
    strategies: Mapping[str, Any], plans: Mapping[str, TransferPlan], blocks: Sequence[str]
) -> None:
    """Raise ConfigError where a strategy can do nothing beside the others."""
    epochs = sum(phase.epochs for phase in next(iter(plans.values())).phases)
    plan = combine(plans, epochs)
    reasons = [*_conflicts(strategies, plans, blocks), *_refusals(strategies, plan, blocks)]
    if not reasons:
        return
    if len(strategies) == 1:
        raise ConfigError(reasons[0], where="transfer", fix="change transfer")
    raise ConfigError(
        f"these transfer strategies contradict each other: {reasons[0]}",
        where=f"transfer=[{','.join(strategies)}]",
        fix="leave one of them out, or let the other train those blocks",
    )


def _conflicts(
    strategies: Mapping[str, Any], plans: Mapping[str, TransferPlan], blocks: Sequence[str]
) -> Iterator[str]:
    choosing = [name for name, each in strategies.items() if _chooses_weights(each)]
    if len(choosing) > 1:
        yield f"{' and '.join(choosing)} each choose the weights inside blocks that are trained"
    idle = {block: _freezers(plans, block) for block in blocks}
    never = [block for block in blocks if idle[block]]
    if len(never) == len(blocks):
        yield "nothing is trained"
    for name, plan in plans.items():
        changed = [block for block, rate in plan.rates.items() if not math.isclose(rate, 1.0)]
        others = [freezer for block in changed for freezer in idle[block] if freezer != name]
        if changed and set(changed) <= set(never) and others:
            yield f"{name} sets rates of blocks that {others[0]} freezes throughout"


def _chooses_weights(strategy: Any) -> bool:
    return bool(getattr(strategy, "chooses_weights", False))


def _freezers(plans: Mapping[str, TransferPlan], block: str) -> list[str]:
    """Return the strategies that freeze a block, if together they do so in every epoch."""
    epochs = sum(phase.epochs for phase in next(iter(plans.values())).phases)
    if not all(block in _frozen_at(plans, epoch) for epoch in range(epochs)):
        return []
    return [n for n, plan in plans.items() if any(block in phase.frozen for phase in plan.phases)]


def _refusals(
    strategies: Mapping[str, Any], plan: TransferPlan, blocks: Sequence[str]
) -> Iterator[str]:
    """Yield what the strategies' own ``check_plan`` says of the plan of all."""
    for strategy in strategies.values():
        check = getattr(strategy, "check_plan", None)
        if check is None:
            continue
        try:
            check(plan, tuple(blocks))
        except ValueError as error:
            yield str(error)
