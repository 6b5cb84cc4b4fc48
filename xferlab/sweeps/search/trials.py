"""The trials of a search in Optuna's storage; the one module that imports Optuna.

A trial without a result is ``RUNNING`` in the storage, with its values. So a search that was killed
finds it there, and its job's folder says how far it got.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xferlab.errors import ConfigError, RunError
from xferlab.sweeps.distributions import Distribution
from xferlab.sweeps.search.planner import Pruner, Sampler, SearchPlan, masked

RUN_ID = "run_id"
TWIN_OF = "twin_of"
Trial = Any
"""Optuna's live trial."""


def refuse_no_optuna() -> None:
    """Raise ConfigError if Optuna is not installed; it is not imported for that."""
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError(
            "a search needs Optuna, which is not installed",
            where="sweep.search",
            fix="pip install 'xferlab[optuna]'",
        )


class Trials:
    """A study of Optuna, used by this process alone.

    Args:
        plan: of the search.
        url: of the database, in SQLAlchemy's form.
        name: of the study.
    """

    def __init__(self, plan: SearchPlan, url: str, name: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._plan = plan
        with storage_errors(url), _quiet():
            self._study = optuna.create_study(
                storage=_storage(url),
                study_name=name,
                direction="maximize" if plan.mode == "max" else "minimize",
                pruner=_pruner(plan),
                load_if_exists=True,
            )

    def all(self) -> list[Any]:
        """Return every trial so far as Optuna's ``FrozenTrial``, in order."""
        return list(self._study.get_trials(deepcopy=False))

    def count(self, *states: str) -> int:
        """Return how many trials have one of the states, like ``WAITING`` and ``RUNNING``."""
        return sum(trial.state.name in states for trial in self.all())

    def running(self) -> list[Trial]:
        """Return the trials without a result, to resume them."""
        live = self._optuna.trial.Trial
        open_trials = [trial for trial in self.all() if trial.state.name == "RUNNING"]
        return [
            self._with_values(each.number, live(self._study, each._trial_id))
            for each in open_trials
        ]

    def ask(self, *, at_random: bool = False) -> Trial:
        """Return a new trial with its values sampled; those that wait come first.

        Each trial has a new sampler, seeded by its number: so the samples do not depend on when a
        search was killed.
        """
        with _quiet():
            trial = self._study.ask()
        return self._with_values(trial.number, trial, at_random)

    def _with_values(self, number: int, trial: Trial, at_random: bool = False) -> Trial:
        """Sample the values that a trial does not have yet: its process may have been killed."""
        self._study.sampler = self._sampler(number, at_random=at_random)
        with _quiet():
            for distribution in self._plan.distributions:
                _suggest(trial, distribution)
        return trial

    def retry(self, trial: Any) -> None:
        """Queue a trial's values for the next :meth:`ask`."""
        self._study.enqueue_trial(trial.params)

    def overrides(self, trial: Trial) -> list[str]:
        """Return a trial's values as overrides."""
        return [
            _override(distribution, trial.params[distribution.key])
            for distribution in self._plan.distributions
        ]

    def report(self, trial: Trial, epoch: int, value: float) -> bool:
        """Report the value of a trial after ``epoch``, and return whether the pruner ends it."""
        with _quiet():
            trial.report(value, epoch)
            return epoch >= self._plan.settings.min_epochs and bool(trial.should_prune())

    def tell(self, trial: Trial, state: str, value: float | None = None) -> None:
        """Close a trial: ``COMPLETE`` with its value, ``PRUNED`` or ``FAIL``."""
        with _quiet():
            self._study.tell(trial, value, state=self._optuna.trial.TrialState[state])

    def _sampler(self, number: int, *, at_random: bool) -> Any:
        samplers = self._optuna.samplers
        settings = self._plan.settings
        seed = (settings.seed * 1_000_003 + number) % 2**32
        if at_random or settings.sampler is Sampler.random:
            return samplers.RandomSampler(seed=seed)
        with _quiet():
            if settings.sampler is Sampler.qmc:
                return samplers.QMCSampler(
                    scramble=True,
                    seed=settings.seed,
                    independent_sampler=samplers.RandomSampler(seed=seed),
                    warn_independent_sampling=False,
                )
            return samplers.TPESampler(
                n_startup_trials=settings.startup, multivariate=True, constant_liar=True, seed=seed
            )


def _suggest(trial: Trial, distribution: Distribution) -> None:
    """Sample a trial's value, unless it has one; choices are text, which any database stores."""
    if distribution.choices:
        trial.suggest_categorical(
            distribution.key, list(dict.fromkeys(map(distribution.override, distribution.choices)))
        )
    elif distribution.is_integer:
        trial.suggest_int(
            distribution.key, distribution.low, distribution.high, log=distribution.is_log
        )
    else:
        trial.suggest_float(
            distribution.key, distribution.low, distribution.high, log=distribution.is_log
        )


def _override(distribution: Distribution, value: Any) -> str:
    return (
        str(value) if distribution.choices else distribution.override(distribution.rounded(value))
    )


def _pruner(plan: SearchPlan) -> Any:
    from optuna import pruners

    settings = plan.settings
    if settings.pruner is Pruner.median:
        return pruners.MedianPruner(
            n_startup_trials=settings.startup, n_warmup_steps=settings.min_epochs
        )
    if settings.pruner is Pruner.successive_halving:
        return pruners.SuccessiveHalvingPruner(min_resource=settings.min_epochs, reduction_factor=2)
    if settings.pruner is Pruner.hyperband:
        return pruners.HyperbandPruner(
            min_resource=settings.min_epochs,
            max_resource=max(plan.epochs, settings.min_epochs),
            reduction_factor=2,
        )
    return pruners.NopPruner()


def _storage(url: str) -> Any:
    from optuna.storages import RDBStorage

    served = not url.startswith("sqlite")
    return RDBStorage(url, engine_kwargs={"pool_pre_ping": True} if served else {})


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Raise RunError where the database cannot be reached or used; its text has no password."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        yield
    except ImportError as e:
        missing = getattr(e.__cause__, "name", None) or e.name
        raise ConfigError(
            f"the database's driver {missing or ''}".rstrip() + " is not installed",
            where=f"sweep.search.storage={masked(url)}",
            fix="pip install it, or name another one in the URL: DATABASE+DRIVER://...",
        ) from None
    except ArgumentError as e:
        raise ConfigError(
            f"Optuna has no such database: {masked(str(e)).partition(chr(10))[0]}",
            where=f"sweep.search.storage={masked(url)}",
            fix="sweep.search.storage=sqlite:////tmp/trials.db or postgresql://USER@HOST/NAME",
        ) from None
    except (SQLAlchemyError, StorageInternalError) as e:
        cause = e.__cause__ if isinstance(e, StorageInternalError) and e.__cause__ else e
        why = str(getattr(cause, "orig", None) or cause).strip().partition("\n")[0]
        raise RunError(
            f"the trials' database cannot be used: {masked(why)}",
            where=f"sweep.search.storage={masked(url)}",
            fix="check that it exists and is writable; the same command then resumes the search",
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's warnings about what it calls experimental."""
    with warnings.catch_warnings(action="ignore"):
        yield
