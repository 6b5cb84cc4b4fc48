"""The examples of a run, which later runs of its process do not read from disk again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from xferlab.compatibility import is_built_in
from xferlab.config.recipe import Recipe
from xferlab.contracts import TextData
from xferlab.runs.inputs import inputs_of
from xferlab.training.network_cache import NETWORK_CACHE

log = logging.getLogger("xferlab")
MOST_EXAMPLES = 200_000
"""Examples that a process keeps in all; those that were used longest ago are dropped."""


@dataclass(frozen=True)
class _Built:
    """What a data plugin built.

    Attributes:
        parts: the plugin, the seed, and the digests of the files.
        data: the examples.
        lines: what it logged, by level.
    """

    parts: list[Any]
    data: TextData
    lines: list[tuple[int, str]]


_BUILT: list[_Built] = []


def build_data(recipe: Recipe) -> TextData:
    """Build a recipe's examples, or return an earlier run's of this process with the same log.

    Only a process that trains several jobs of a sweep keeps any, and only of a plugin of xferlab's
    whose files have a digest.
    """
    if not (NETWORK_CACHE.is_enabled and is_built_in("data", recipe.data)):
        return recipe.data.build(recipe.seed)
    inputs = inputs_of(recipe.config)
    parts = [recipe.data, recipe.seed, dict(inputs.content)]
    found = next((each for each in _BUILT if each.parts == parts), None)
    if found is None:
        with _recorded() as lines:
            found = _Built(parts, recipe.data.build(recipe.seed), lines)
    else:
        _BUILT.remove(found)
        for level, line in found.lines:
            log.log(level, "%s", line)
    if "data" not in inputs.unknown:
        _BUILT.append(found)
    while sum(_examples(each.data) for each in _BUILT) > MOST_EXAMPLES:
        _BUILT.pop(0)
    return found.data


def _examples(data: TextData) -> int:
    return sum(len(split) for split in data.splits.values())


@contextmanager
def _recorded() -> Iterator[list[tuple[int, str]]]:
    """Yield a list of the level and the text of each line that is logged in the block."""
    lines: list[tuple[int, str]] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.levelno, record.getMessage()))

    recorder = Recorder()
    log.addHandler(recorder)
    try:
        yield lines
    finally:
        log.removeHandler(recorder)
