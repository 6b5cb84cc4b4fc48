"""The jobs of a sweep: every one composed and checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xferlab.config.compose import compose_config
from xferlab.config.overrides import expand_override, key_of, parse_overrides
from xferlab.config.provenance import COMMAND_LINE, PlainOverride
from xferlab.config.recipe import Recipe, read_plain
from xferlab.config.schema import SweepConfig
from xferlab.config.yaml_files import find, line_of_key, shown
from xferlab.errors import ConfigError, XferlabError
from xferlab.sweep.compose import Composer
from xferlab.sweep.engines.registry import read_settings
from xferlab.sweep.grid import Point, axes_of, product
from xferlab.sweep.search.planner import SearchPlan, plan_search, refuse_written_storage
from xferlab.validation import build_typed, plain


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        run_id: eight hexadecimal digits, the name of its folder.
        words: the overrides that make this job.
        config: the resolved experiment.
    """

    run_id: str
    words: tuple[str, ...]
    config: Mapping[str, Any] = field(compare=False)


@dataclass(frozen=True)
class Plan:
    """A sweep as it was typed.

    Attributes:
        words: the overrides of the command.
        jobs: what is to be run, in the order of the axes.
        swept: the keys that differ by intent, in the order typed.
        sweep: how the jobs are run here.
        folder: where the config says that a new sweep is to be kept.
        name: the experiment's ``name``; sweeps of other names are other sweeps.
        hydra_overrides: what Hydra must be told to run the plan with the chosen launcher.
        search: how further jobs are found, if this is a search; it has no ``jobs`` of its own.
        config_name: the config that the jobs start from.
    """

    words: tuple[str, ...]
    jobs: tuple[Job, ...]
    swept: tuple[str, ...]
    sweep: SweepConfig
    folder: Path
    name: str | None
    hydra_overrides: tuple[str, ...]
    search: SearchPlan | None = None
    config_name: str = "config"

    @property
    def checked(self) -> int:
        """How many configs were composed and checked."""
        return self.search.checked if self.search else len(self.jobs)

    def recipes(self) -> Iterator[Recipe]:
        """Yield the recipe of each job; of a search, of its first point."""
        if self.search:
            yield self.search.composer.recipe(list(self.search.first_words))
        for job in self.jobs:
            yield read_plain(job.config)


def plan_sweep(words: Sequence[str], config_name: str = "config") -> Plan:
    """Expand a command into jobs, compose and check each, or raise ConfigError."""
    settings, common, typed_axes = _sorted_words(words)
    first = [*common, *(axis[0][0] for axis in typed_axes)]
    master = compose_config([*settings, *first], config_name)
    read_settings(plain(master.hydra.launcher))
    jobs: dict[str, Job] = {}
    search = None
    with _blaming_file(settings):
        sweep = _sweep_of(master)
        axes = _all_axes(axes_of(sweep), typed_axes, common)
        composer = Composer(config_name)
        if sweep.search is None:
            jobs = _jobs(axes, common, composer, drawn=bool(sweep.random))
            chosen = [*settings, *next(iter(jobs.values())).words]
            swept = [key_of(word) for axis in axes for point in axis for word in point]
        else:
            search = plan_search(sweep.search, common, axes, composer)
            refuse_written_storage(search.settings.storage, settings)
            chosen, swept = (
                [*settings, *search.first_words],
                [draw.key for draw in search.distributions],
            )
    return Plan(
        words=tuple(words),
        jobs=tuple(jobs.values()),
        swept=tuple(dict.fromkeys(swept)),
        sweep=sweep,
        folder=Path(str(master.hydra.sweep.dir)),
        name=OmegaConf.select(master, "name"),
        hydra_overrides=(*chosen, *_engine(chosen, str(master.hydra.launcher._target_))),
        search=search,
        config_name=config_name,
    )


@contextmanager
def _blaming_file(settings: Sequence[str]) -> Iterator[None]:
    """Say of a mistake in what a sweep's file sweeps that it is there, since nobody typed it."""
    try:
        yield
    except XferlabError as e:
        chosen = [PlainOverride.of(word) for word in settings]
        names = [name for word in chosen if word.key == "sweep" for name in word.names]
        files = [find(f"sweep/{name}") for name in names]
        for mistake in e.each:
            key = mistake.where.removesuffix(f" ({COMMAND_LINE})")
            for path in filter(None, files):
                line = line_of_key(path, key.partition("=")[0].removeprefix("sweep."))
                if line:
                    mistake.where = f"{key} ({shown(path)}:{line})"
        raise


def _sweep_of(master: DictConfig) -> SweepConfig:
    """Return the config's ``sweep``, checked."""
    node = OmegaConf.select(master, "sweep")
    try:
        given = plain(node) if node else {}
    except OmegaConfBaseException as e:
        key = str(e.full_key)
        what = f"{key} cannot be resolved: {str(e).partition(chr(10))[0]}"
        raise ConfigError(what, where=key, fix="set what it refers to, or give a value") from e
    return build_typed(SweepConfig, given, "sweep")


def _jobs(
    axes: list[list[Point]], common: Sequence[str], composer: Composer, *, drawn: bool
) -> dict[str, Job]:
    """Return the job of every combination by its run id; only what is drawn may meet twice."""
    jobs: dict[str, Job] = {}
    for point in product(axes):
        recipe = composer.recipe([*common, *point])
        twin = jobs.get(recipe.run_id)
        if twin and not drawn:
            raise _same_experiment(twin.words, (*common, *point))
        if not twin:
            jobs[recipe.run_id] = Job(recipe.run_id, (*common, *point), recipe.config)
    return jobs


def _sorted_words(words: Sequence[str]) -> tuple[list[str], list[str], list[list[Point]]]:
    """Return the words about the sweep itself, those of every job, and the typed axes."""
    settings: list[str] = []
    common: list[str] = []
    axes: list[list[Point]] = []
    for word, override in zip(words, parse_overrides(words), strict=True):
        key = override.key_or_group
        own = key == "sweep" or key.startswith(("sweep.", "hydra.", "hydra/"))
        if key == "hydra/sweeper":
            raise ConfigError(
                "there is no choice of Hydra sweepers: xferlab plans its sweeps itself",
                where=word,
                fix="leave it out; sweep=search or sweep.search={...} samples values with Optuna",
            )
        if own and override.is_sweep_override():
            raise ConfigError(
                f"'{word}' names several values", where=key, fix=f"give {key} one value"
            )
        if own:
            settings.append(word)
        elif override.is_sweep_override():
            axes.append([[value] for value in expand_override(override)])
        else:
            common.append(word)
    return settings, common, axes


def _all_axes(
    filed: list[list[Point]], typed: list[list[Point]], common: Sequence[str]
) -> list[list[Point]]:
    """Return the axes of the sweep file and of the command line, if no key is set twice."""
    keys = {key_of(word) for axis in filed for point in axis for word in point}
    words = [*common, *(axis[0][0] for axis in typed)]
    for word in words:
        if key_of(word) in keys:
            raise ConfigError(
                f"{key_of(word)} is swept by the sweep's file already",
                where=word,
                fix="leave one of the two out",
            )
    return [*filed, *typed]


def _engine(words: Sequence[str], launcher: str) -> list[str]:
    """Return the override that chooses our launcher unless another was chosen."""
    chosen = any(key_of(word) == "hydra/launcher" for word in words)
    if not chosen and launcher.endswith(".BasicLauncher"):
        return ["hydra/launcher=local"]
    return []


def _same_experiment(one: Sequence[str], other: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"two jobs are one experiment: {' '.join(one)} and {' '.join(other)}",
        where="--multirun",
        fix="take one of the equal values out",
    )
