"""The trials of a search, as Optuna keeps them. Optuna is imported here, and only when asked.

A trial that was asked for and not told is ``RUNNING`` in Optuna's storage, with its values. So a
search that was killed finds it there, and its job's folder says how far it got.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xferlab.errors import ConfigError, RunError
from xferlab.sweep.distributions import Distribution
from xferlab.sweep.search.planner import Pruner, Sampler, SearchPlan, masked

RUN_ID, TWIN_OF = "run_id", "twin_of"
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
    """A study of Optuna, asked and told by this process alone.

    Args:
        plan: what is drawn and how.
        url: where the study is kept, an SQLAlchemy URL.
        name: the study's name there.
    """

    def __init__(self, plan: SearchPlan, url: str, name: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._plan = optuna, plan
        with storage_faults(url), _quiet():
            self._study = optuna.create_study(
                storage=_storage(url),
                study_name=name,
                direction="maximize" if plan.mode == "max" else "minimize",
                pruner=_pruner(plan),
                load_if_exists=True,
            )

    def all(self) -> list[Any]:
        """Return every trial so far, as Optuna's frozen ones, in order."""
        return list(self._study.get_trials(deepcopy=False))

    def count(self, *states: str) -> int:
        """Return how many trials stand so: ``WAITING``, ``RUNNING``, ``COMPLETE``, ..."""
        return sum(trial.state.name in states for trial in self.all())

    def running(self) -> list[Trial]:
        """Return the trials that were asked for and not told, to go on with."""
        live, numbered = self._optuna.trial.Trial, self.all()
        return [self._with_values(each.number, live(self._study, each._trial_id))
                for each in numbered if each.state.name == "RUNNING"]  # fmt: skip

    def ask(self, *, by_chance: bool = False) -> Trial:
        """Return a new trial with its values drawn; those that wait come first.

        The sampler is made anew, seeded by the trial's number: so what is drawn does not depend
        on when a search was killed.
        """
        with _quiet():
            trial = self._study.ask()
        return self._with_values(trial.number, trial, by_chance)

    def _with_values(self, number: int, trial: Trial, by_chance: bool = False) -> Trial:
        """Draw what a trial does not have yet: its process may have been killed meanwhile."""
        self._study.sampler = self._sampler(number, by_chance=by_chance)
        with _quiet():
            for draw in self._plan.distributions:
                _suggest(trial, draw)
        return trial

    def again(self, trial: Any) -> None:
        """Put a trial's values first in the line of what is asked for."""
        self._study.enqueue_trial(trial.params)

    def words(self, trial: Trial) -> list[str]:
        """Return the override words that a trial's values are."""
        return [_word(draw, trial.params[draw.key]) for draw in self._plan.distributions]

    def is_too_poor(self, trial: Trial, epoch: int, value: float) -> bool:
        """Note the value that a trial has after ``epoch``, and return whether it should end."""
        with _quiet():
            trial.report(value, epoch)
            return epoch >= self._plan.settings.min_epochs and bool(trial.should_prune())

    def tell(self, trial: Trial, state: str, value: float | None = None) -> None:
        """Close a trial: ``COMPLETE`` with its value, ``PRUNED`` or ``FAIL``."""
        with _quiet():
            self._study.tell(trial, value, state=self._optuna.trial.TrialState[state])

    def _sampler(self, number: int, *, by_chance: bool) -> Any:
        samplers, settings = self._optuna.samplers, self._plan.settings
        seed = (settings.seed * 1_000_003 + number) % 2**32
        if by_chance or settings.sampler is Sampler.random:
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


def _suggest(trial: Trial, draw: Distribution) -> None:
    """Draw a trial's value, unless it has one; choices are words, which any database keeps."""
    if draw.choices:
        trial.suggest_categorical(draw.key, list(dict.fromkeys(map(draw.word, draw.choices))))
    elif draw.is_whole:
        trial.suggest_int(draw.key, draw.low, draw.high, log=draw.is_log)
    else:
        trial.suggest_float(draw.key, draw.low, draw.high, log=draw.is_log)


def _word(draw: Distribution, value: Any) -> str:
    return str(value) if draw.choices else draw.word(draw.rounded(value))


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
def storage_faults(url: str) -> Iterator[None]:
    """Raise RunError where the database cannot be reached or used; no password is in it."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        yield
    except ImportError as e:
        missing = getattr(e.__cause__, "name", None) or e.name
        raise ConfigError(
            f"the database's driver{f' {missing}' * bool(missing)} is not installed",
            where=f"sweep.search.storage={masked(url)}",
            fix="pip install it, or name another one in the URL: DATABASE+DRIVER://...",
        ) from None
    except ArgumentError as e:
        raise ConfigError(
            f"Optuna knows no such database: {masked(str(e)).partition(chr(10))[0]}",
            where=f"sweep.search.storage={masked(url)}",
            fix="sweep.search.storage=sqlite:////tmp/trials.db or postgresql://USER@HOST/NAME",
        ) from None
    except (SQLAlchemyError, StorageInternalError) as e:
        cause = e.__cause__ if isinstance(e, StorageInternalError) and e.__cause__ else e
        why = str(getattr(cause, "orig", None) or cause).strip().partition("\n")[0]
        raise RunError(
            f"the trials' database cannot be used: {masked(why)}",
            where=f"sweep.search.storage={masked(url)}",
            fix="look whether it is there and may be written to; the same command then goes on",
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's remarks on what it calls experimental from the terminal."""
    with warnings.catch_warnings(action="ignore"):
        yield
