"""The ``search`` part of a sweep: space, sampler, pruner, and a check that all of it can be run.

Nothing here needs Optuna.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from math import prod
from typing import Any

from xferlab.config.overrides import key_of, parse_overrides
from xferlab.config.recipe import Recipe
from xferlab.config.schema import FEWEST_EPOCHS
from xferlab.deprecated import current_config
from xferlab.errors import ConfigError, XferlabError, collect_errors, raise_together
from xferlab.runs.inputs import Inputs, InputsReader
from xferlab.sweeps.compose import Composer
from xferlab.sweeps.distributions import Distribution, read_distributions
from xferlab.validation import build_typed

WHERE = "sweep.search"


class Sampler(Enum):
    """What suggests the next trial: tree-structured Parzen estimators, chance, a Sobol sequence."""

    tpe = "tpe"
    random = "random"
    qmc = "qmc"


class Pruner(Enum):
    """What decides that a trial is too poor to continue."""

    median = "median"
    successive_halving = "successive_halving"
    hyperband = "hyperband"
    none = "none"


@dataclass(frozen=True)
class SearchConfig:
    """A search for the best setting.

    Attributes:
        space: the distribution of each key, as in ``sweep.random``.
        trials: different jobs in all, those of earlier commands included.
        sampler: what suggests the next one: ``tpe`` (Bergstra et al. 2011), ``random``, ``qmc``.
        pruner: what ends poor ones early: ``median``, ``successive_halving`` (Li et al. 2020),
            ``hyperband`` (Li et al. 2018) or ``none``.
        seed: of the samples.
        startup: trials that are sampled at random, and finished before ``median`` ends one.
        min_epochs: no trial is ended before this number of epochs.
        storage: an SQLAlchemy URL where Optuna keeps the trials; None is a file in the sweep's
            folder.
    """

    space: dict[str, Any] = field(default_factory=dict)
    trials: int = 20
    sampler: Sampler = Sampler.tpe
    pruner: Pruner = Pruner.median
    seed: int = 0
    startup: int = 5
    min_epochs: int = 1
    storage: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("min_epochs", 1), ("startup", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"{name} must be at least {least}, got {getattr(self, name)}",
                    where=f"{WHERE}.{name}",
                    fix=f"{WHERE}.{name}={type(self).__dataclass_fields__[name].default}",
                )
        if self.storage is not None and not re.match(r"[a-z][a-z0-9+_]*://", self.storage):
            raise ConfigError(
                "the storage is no URL of a database",
                where=f"{WHERE}.storage",
                fix=f"{WHERE}.storage=sqlite:////tmp/trials.db or postgresql://USER@HOST/NAME",
            )


@dataclass(frozen=True)
class SearchPlan:
    """A search of which every end of a range and every choice was composed and checked.

    Attributes:
        settings: of the search.
        distributions: of each key.
        common: the overrides of every job.
        composer: makes a job's recipe of overrides.
        search_id: eight hexadecimal digits; commands with the same one continue one search.
        monitor: the logged name that trials are compared by, by the config.
        mode: ``max`` or ``min``.
        epochs: the most that a trial can have.
        checked: how many configs were composed.
        configs: of the job at each end and choice.
    """

    settings: SearchConfig
    distributions: tuple[Distribution, ...]
    common: tuple[str, ...]
    composer: Composer
    search_id: str
    monitor: str
    mode: str
    epochs: int
    checked: int
    configs: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def inputs(self) -> Inputs:
        """What its jobs read, all choices together."""
        reader = InputsReader()
        found = [reader.of(config) for config in self.configs]
        return Inputs(
            {key: sha for each in found for key, sha in each.content.items()},
            reader.plugins,
            {key: why for each in found for key, why in each.unknown.items()},
        )

    @property
    def first_overrides(self) -> list[str]:
        """The overrides of one job of the space."""
        return [
            *self.common,
            *(distribution.override(distribution.ends[0]) for distribution in self.distributions),
        ]

    @property
    def size(self) -> float:
        """How many different points the space has; infinite if a range is continuous."""
        return prod(_size(distribution) for distribution in self.distributions)


def plan_search(
    part: Any, common: Sequence[str], axes: Sequence[Any], composer: Composer
) -> SearchPlan:
    """Read ``sweep.search`` and check every job that differs from the first in one value.

    Raises:
        ConfigError: with every error.
    """
    settings = build_typed(SearchConfig, current_config(part, WHERE, report=True), WHERE)
    distributions = read_distributions(settings.space, f"{WHERE}.space")
    _refuse_other_axes(distributions, common, axes)
    recipes = _probes(distributions, common, composer)
    _refuse_two_monitors(recipes)
    first = recipes[0]
    return SearchPlan(
        settings=settings,
        distributions=distributions,
        common=tuple(common),
        composer=composer,
        search_id=_search_id(settings, first),
        monitor=first.monitor,
        mode=first.mode,
        epochs=max(recipe.train.epochs or FEWEST_EPOCHS for recipe in recipes),
        checked=len(recipes),
        configs=tuple(recipe.config for recipe in recipes),
    )


def refuse_written_storage(storage: str | None, settings: Sequence[str]) -> None:
    """Raise ConfigError for a database that a file names: it could be any that can be reached.

    Args:
        storage: the URL, or None.
        settings: the overrides of the command line about the sweep.
    """
    if storage is None or any(_sets_storage(override) for override in settings):
        return
    raise ConfigError(
        f"a file names the trials' database, {masked(storage)}, which only the command line may do",
        where=f"{WHERE}.storage",
        fix=f"type it: {WHERE}.storage='{masked(storage)}'; or write null for a file in the sweep's"
        " folder",
    )


def _sets_storage(text: str) -> bool:
    """Return whether an override sets ``sweep.search.storage``, by itself or in a table."""
    (override,) = parse_overrides([text])
    value: Any = override.value()
    for part in [*f"{WHERE}.storage".removeprefix(override.key_or_group).split(".")]:
        if part:
            value = value.get(part) if isinstance(value, Mapping) else None
    return f"{WHERE}.storage.".startswith(f"{override.key_or_group}.") and value is not None


def _refuse_other_axes(
    distributions: Sequence[Distribution], common: Sequence[str], axes: Sequence[Any]
) -> None:
    if axes:
        key = key_of(axes[0][0][0])
        raise ConfigError(
            f"a search chooses its jobs one by one, and {key} has several values",
            where=key,
            fix=f"put {key} into {WHERE}.space: {{{key}: {{choice: [...]}}}}, or give it one value",
        )
    set_already = {key_of(override) for override in common}
    for distribution in distributions:
        if distribution.key in set_already:
            raise ConfigError(
                f"{distribution.key} is sampled by the search and has a value too",
                where=distribution.key,
                fix="leave one of the two out",
            )


def _probes(
    distributions: Sequence[Distribution], common: Sequence[str], composer: Composer
) -> list[Recipe]:
    """Return a recipe for each end and choice of each key, the other keys at their first."""
    first = {
        distribution.key: distribution.override(distribution.ends[0])
        for distribution in distributions
    }
    points = [first]
    points += [{**first, d.key: d.override(end)} for d in distributions for end in d.ends[1:]]
    errors: list[XferlabError] = []
    recipes: list[Recipe] = []
    for point in points:
        with collect_errors(errors):
            recipes.append(composer.recipe([*common, *point.values()]))
    raise_together(errors)
    return recipes


def _refuse_two_monitors(recipes: Sequence[Recipe]) -> None:
    monitors = sorted({recipe.monitor for recipe in recipes})
    if len(monitors) > 1:
        raise ConfigError(
            f"trials are compared by one value, and these have {' and '.join(monitors)}",
            where=f"{WHERE}.space",
            fix=f"train.monitor={monitors[0]}, and metrics that every trial has",
        )


def _search_id(settings: SearchConfig, first: Recipe) -> str:
    how = [settings.sampler.value, settings.pruner.value]
    numbers = [settings.seed, settings.startup, settings.min_epochs]
    text = json.dumps([first.run_id, settings.space, how, numbers], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _size(distribution: Distribution) -> float:
    if distribution.choices:
        return len({distribution.override(choice) for choice in distribution.choices})
    return distribution.high - distribution.low + 1 if distribution.is_integer else float("inf")


def masked(text: str) -> str:
    """Return ``text`` with the password of each URL in it left out.

    >>> masked("postgresql://me:secret@host/db"), masked("sqlite:///trials.db")
    ('postgresql://me:***@host/db', 'sqlite:///trials.db')
    """
    text = re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", text)
    return re.sub(r"(?i)([?&]pass(?:word|wd)?=)[^&\s]*", r"\1***", text)
