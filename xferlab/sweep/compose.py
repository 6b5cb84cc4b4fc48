"""Recipes of many jobs: Hydra composes each distinct choice once, plain values are set on top."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from xferlab.config.compose import compose_config
from xferlab.config.overrides import key_of, parse_overrides
from xferlab.config.recipe import Recipe, experiment_of, read, read_plain
from xferlab.errors import ConfigError

PLAIN = (bool, int, float, str, type(None))
_NUMBER = re.compile(
    r"(seed|[a-z]\w*(?:\.\w+)+)=([+-]?(?:0|[1-9]\d*)(\.\d*)?(e[+-]?\d+)?)", re.ASCII
)
"""A word that sets a number, as Hydra's grammar has it; most words of large sweeps are such."""


class Composer:
    """Reads the recipe of a job; jobs that differ in plain values share one composition.

    Hydra applies ``key=value`` after everything else, in order. So to compose the other words
    and set the values afterwards gives the same config, if no other word touches those keys
    and nothing in the config refers to another key. Where that is not so, the whole job is
    composed: the result is the same, only slower (about 0.1 s instead of 1 ms).
    """

    def __init__(self, config_name: str = "config") -> None:
        self._config_name = config_name
        self._bases: dict[tuple[str, ...], Mapping[str, Any] | None] = {}

    def recipe(self, words: list[str]) -> Recipe:
        """Return the checked recipe of one job, or raise ConfigError."""
        others, values = split_words(words)
        base = self._base(tuple(others))
        if base is None:  # perhaps a text is required, such as data.train: then numbers alone
            values = {key: value for key, value in values.items() if not isinstance(value, str)}
            others = [word for word in words if word.partition("=")[0] not in values]
            base = self._base(tuple(others))
        config = None if base is None else with_values(base, values)
        if config is None:
            return read(compose_config(words, self._config_name))
        return read_plain(config)

    def _base(self, words: tuple[str, ...]) -> Mapping[str, Any] | None:
        """Return the composed experiment, or None if values cannot be set in it afterwards."""
        if words not in self._bases:
            self._bases[words] = _independent(list(words), self._config_name)
        return self._bases[words]


def _independent(words: list[str], config_name: str) -> Mapping[str, Any] | None:
    try:
        cfg = compose_config(words, config_name)
        read(cfg)
    except ConfigError:  # perhaps a value mends it, perhaps the message should name one
        return None
    unresolved, config = experiment_of(cfg, resolve=False), experiment_of(cfg)
    return config if unresolved == config else None


def split_words(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the words that Hydra must compose, and the plain values that can be set after.

    >>> split_words(["model=bert", "optimizer.lr=1e-5", "data.files=[a,b]"])
    (['model=bert', 'data.files=[a,b]'], {'optimizer.lr': 1e-05})
    """
    others: list[str] = []
    values: dict[str, Any] = {}
    for word in words:
        plain = _number_set_by(word) or _value_set_by(word)
        if plain:
            values[plain[0]] = plain[1]
        else:
            others.append(word)
    touched = [key_of(word) for word in others if not _is_choice(word)]
    for key in [key for key in values if any(_overlap(key, other) for other in touched)]:
        del values[key]
    return [w for w in words if w.partition("=")[0] not in values], values


def _number_set_by(word: str) -> tuple[str, int | float] | None:
    """Return key and value of ``optimizer.lr=1e-5``, as Hydra's parser does, fifty times faster."""
    found = _NUMBER.fullmatch(word)
    if found is None or word.startswith("hydra."):
        return None
    key, text, point, exponent = found.groups()
    return key, float(text) if point or exponent else int(text)


def _value_set_by(word: str) -> tuple[str, Any] | None:
    """Return key and value of a word that does nothing but set a plain value."""
    (override,) = parse_overrides([word])
    key = override.key_or_group
    plain = (
        override.is_add() is override.is_delete() is override.is_force_add() is False
        and override.package is None
        and ("." in key or key in ("seed", "name"))
        and not key.startswith("hydra.")
    )
    value = override.value() if plain else None
    return (key, value) if plain and isinstance(value, PLAIN) and "$" not in str(value) else None


def _is_choice(word: str) -> bool:
    """Return whether a word may choose from a group, which happens before any value is set."""
    key, _, value = word.partition("=")
    return "." not in key and not value.lstrip().startswith("{")


def _overlap(key: str, other: str) -> bool:
    """Return whether one of two dotted keys lies within the other."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def with_values(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return ``base`` with values set, or None if one of the keys is no plain value there.

    Tables that no value is set in are shared with ``base``.
    """
    config = dict(base)
    for key, value in values.items():
        *parents, last = key.split(".")
        node: Any = config
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                return None
            node[parent] = node = dict(node[parent])
        if not isinstance(node.get(last, {}), PLAIN):
            return None
        node[last] = value
    return config
