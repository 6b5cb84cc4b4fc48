"""Override words: which jobs a sweep stands for."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from xferlab.errors import ConfigError


def jobs_of(overrides: Sequence[str]) -> list[list[str]]:
    """Return the override list of every job of a sweep, in Hydra's order.

    >>> jobs_of(["loss=focal", "loss.gamma=0,2"])
    [['loss=focal', 'loss.gamma=0'], ['loss=focal', 'loss.gamma=2']]
    """
    jobs: list[list[str]] = [[]]
    for override in parse_overrides(overrides):
        values = axis_of(override)
        jobs = [[*job, value] for job in jobs for value in values]
    return jobs


def axis_of(override: Override) -> list[str]:
    """Return the plain overrides that one sweep override stands for."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"'{override.input_line}' is a continuous range, which a grid cannot walk",
            where=str(override.key_or_group),
            fix=f"list the values: {override.key_or_group}=1e-5,3e-5,1e-4",
        )
    key = override.get_key_element()
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse override words, or raise ConfigError for one that is no ``key=value``."""
    parser = OverridesParser.create()
    parsed = []
    for word in overrides:
        try:
            parsed += parser.parse_overrides([word])
        except HydraException as e:
            raise ConfigError(
                f"'{word}' cannot be read as key=value",
                where=word,
                fix="python -m xferlab --help lists the commands; quote values with blanks or"
                " commas: 'key=\"a, b\"'",
            ) from e
    return parsed


def refuse_sweep_words(overrides: Sequence[str]) -> None:
    """Raise ConfigError if a word names several values, which only ``-m`` can run."""
    for override in parse_overrides(overrides):
        if override.is_sweep_override():
            raise ConfigError(
                f"'{override.input_line}' names several values",
                where=str(override.key_or_group),
                fix="add -m to run one job a value",
            )
