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
from xferlab.config.yaml_files import find, line_of_key
from xferlab.errors import ConfigError, XferlabError
from xferlab.formatting import format_path
from xferlab.sweeps.compose import Composer
from xferlab.sweeps.engines.registry import read_settings
from xferlab.sweeps.grid import Point, axes_of, product
from xferlab.sweeps.search.planner import SearchPlan, plan_search, refuse_written_storage
from xferlab.validation import build_typed, plain


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        run_id: eight hexadecimal digits, the name of its folder.
        overrides: those that make this job.
        config: the resolved experiment.
    """

    run_id: str
    overrides: tuple[str, ...]
    config: Mapping[str, Any] = field(compare=False)


@dataclass(frozen=True)
class Plan:
    """A sweep as the command line and its file define it.

    Attributes:
        overrides: those of the command line.
        jobs: in the order of the axes; empty for a search.
        swept: the keys that are swept, in the order of the command line.
        sweep: how the jobs are run.
        folder: of a new sweep, by the config.
        name: the experiment's ``name``; sweeps of other names are other sweeps.
        hydra_overrides: those that compose the config of the launcher.
        search: how the jobs are chosen one by one, if this is a search.
        config_name: the config that the jobs start from.
    """

    overrides: tuple[str, ...]
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
            yield self.search.composer.recipe(list(self.search.first_overrides))
        for job in self.jobs:
            yield read_plain(job.config)


def plan_sweep(overrides: Sequence[str], config_name: str = "config") -> Plan:
    """Expand a command into jobs, compose and check each, or raise ConfigError."""
    settings, common, command_axes = _split_overrides(overrides)
    first = [*common, *(axis[0][0] for axis in command_axes)]
    master = compose_config([*settings, *first], config_name)
    read_settings(plain(master.hydra.launcher))
    jobs: dict[str, Job] = {}
    search = None
    with _locate_errors_in_file(settings):
        sweep = _sweep_of(master)
        axes = _all_axes(axes_of(sweep), command_axes, common)
        composer = Composer(config_name)
        if sweep.search is None:
            jobs = _jobs(axes, common, composer, allow_equal=bool(sweep.random))
            chosen = [*settings, *next(iter(jobs.values())).overrides]
            swept = [key_of(override) for axis in axes for point in axis for override in point]
        else:
            search = plan_search(sweep.search, common, axes, composer)
            refuse_written_storage(search.settings.storage, settings)
            chosen = [*settings, *search.first_overrides]
            swept = [distribution.key for distribution in search.distributions]
    return Plan(
        overrides=tuple(overrides),
        jobs=tuple(jobs.values()),
        swept=tuple(dict.fromkeys(swept)),
        sweep=sweep,
        folder=Path(str(master.hydra.sweep.dir)),
        name=OmegaConf.select(master, "name"),
        hydra_overrides=(*chosen, *_launcher_choice(chosen, str(master.hydra.launcher._target_))),
        search=search,
        config_name=config_name,
    )


@contextmanager
def _locate_errors_in_file(settings: Sequence[str]) -> Iterator[None]:
    """Give errors about values of a sweep file the line of that file as their place."""
    try:
        yield
    except XferlabError as e:
        choices = [PlainOverride.of(override) for override in settings]
        names = [name for choice in choices if choice.key == "sweep" for name in choice.names]
        files = [find(f"sweep/{name}") for name in names]
        for error in e.each:
            key = error.where.removesuffix(f" ({COMMAND_LINE})")
            for path in filter(None, files):
                line = line_of_key(path, key.partition("=")[0].removeprefix("sweep."))
                if line:
                    error.where = f"{key} ({format_path(path)}:{line})"
        raise


def _sweep_of(master: DictConfig) -> SweepConfig:
    """Return the config's ``sweep``, checked."""
    node = OmegaConf.select(master, "sweep")
    try:
        values = plain(node) if node else {}
    except OmegaConfBaseException as e:
        key = str(e.full_key)
        what = f"{key} cannot be resolved: {str(e).partition(chr(10))[0]}"
        raise ConfigError(what, where=key, fix="set what it refers to, or give a value") from e
    return build_typed(SweepConfig, values, "sweep")


def _jobs(
    axes: list[list[Point]], common: Sequence[str], composer: Composer, *, allow_equal: bool
) -> dict[str, Job]:
    """Return the job of every combination by its run id; only random points may be equal."""
    jobs: dict[str, Job] = {}
    for point in product(axes):
        recipe = composer.recipe([*common, *point])
        twin = jobs.get(recipe.run_id)
        if twin and not allow_equal:
            raise _same_experiment(twin.overrides, (*common, *point))
        if not twin:
            jobs[recipe.run_id] = Job(recipe.run_id, (*common, *point), recipe.config)
    return jobs


def _split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str], list[list[Point]]]:
    """Return the overrides of the sweep itself, those of every job, and the swept axes."""
    settings: list[str] = []
    common: list[str] = []
    axes: list[list[Point]] = []
    for text, override in zip(overrides, parse_overrides(overrides), strict=True):
        key = override.key_or_group
        own = key == "sweep" or key.startswith(("sweep.", "hydra.", "hydra/"))
        if key == "hydra/sweeper":
            raise ConfigError(
                "there is no choice of Hydra sweepers: xferlab plans its sweeps itself",
                where=text,
                fix="leave it out; sweep=search or sweep.search={...} samples values with Optuna",
            )
        if own and override.is_sweep_override():
            raise ConfigError(
                f"'{text}' names several values", where=key, fix=f"give {key} one value"
            )
        if own:
            settings.append(text)
        elif override.is_sweep_override():
            axes.append([[value] for value in expand_override(override)])
        else:
            common.append(text)
    return settings, common, axes


def _all_axes(
    file_axes: list[list[Point]], command_axes: list[list[Point]], common: Sequence[str]
) -> list[list[Point]]:
    """Return the axes of the sweep file and of the command line, if no key is set twice."""
    keys = {key_of(override) for axis in file_axes for point in axis for override in point}
    for override in [*common, *(axis[0][0] for axis in command_axes)]:
        if key_of(override) in keys:
            raise ConfigError(
                f"{key_of(override)} is swept by the sweep file already",
                where=override,
                fix="leave one of the two out",
            )
    return [*file_axes, *command_axes]


def _launcher_choice(overrides: Sequence[str], launcher: str) -> list[str]:
    """Return the override that chooses the local launcher unless another was chosen."""
    is_chosen = any(key_of(override) == "hydra/launcher" for override in overrides)
    if not is_chosen and launcher.endswith(".BasicLauncher"):
        return ["hydra/launcher=local"]
    return []


def _same_experiment(one: Sequence[str], other: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"two jobs are one experiment: {' '.join(one)} and {' '.join(other)}",
        where="--multirun",
        fix="remove one of the equal values",
    )
