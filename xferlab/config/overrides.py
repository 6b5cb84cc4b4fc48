"""Override words: which jobs a sweep stands for."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from xferlab.errors import ConfigError

_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@-]*", re.ASCII)


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


def key_of(word: str) -> str:
    """Return the key of an override word, without its mark.

    >>> key_of("+experiment=frozen"), key_of("optimizer.lr=1e-5"), key_of("~loss")
    ('experiment', 'optimizer.lr', 'loss')
    """
    return word.partition("=")[0].lstrip("+~")


def as_word(key: str, value: Any) -> str:
    """Return the override word that sets ``key`` to a plain value, quoted where it must be.

    >>> as_word("optimizer.lr", 1e-5), as_word("name", "a, b"), as_word("seed", "1")
    ('optimizer.lr=1e-05', "name='a, b'", "seed='1'")
    """
    return f"{key}={_as_text(value)}"


def typed(key: str, value: Any) -> str:
    """Return what a person types to set ``key``, quoted so that a shell and Hydra both read it.

    >>> print(typed("data.separator", ";"), typed("data.text", "text_a"), typed("--text", "a b"))
    "data.separator=';'" data.text=text_a --text='a b'
    """
    if key.startswith("--"):
        return f"{key}={shlex.quote(str(value))}"
    word = as_word(key, value)
    if "'" in word and not set('"$`\\!') & set(word):
        return f'"{word}"'
    return shlex.quote(word)


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(_as_text(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_as_text(each)}' for key, each in value.items())}}}"
    return _quoted(value) if isinstance(value, str) else repr(value)


@functools.lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    """Return ``text``, in quotes unless Hydra reads it as itself without them."""
    try:
        if OverridesParser.create().parse_override(f"key={text}").value() == text:
            return text
    except (HydraException, ValueError):
        pass
    return QuotedString(text, Quote.single).with_quotes()


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse override words, or raise ConfigError for one that is no ``key=value``."""
    return [_parsed(word) for word in overrides]


@functools.lru_cache(maxsize=4096)
def _parsed(word: str) -> Override:
    """Parse one word: the jobs of a sweep repeat most of theirs."""
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as e:
        raise ConfigError(
            f"'{word}' cannot be read as key=value", where=word, fix=_quoting(word)
        ) from e


def _quoting(word: str) -> str:
    """Return the remedy for a word that Hydra's grammar refuses: the same, in quotes.

    Hydra takes signs such as ~ ( ) ' ; and letters beyond ASCII in quotes alone, and the shell
    takes these quotes away unless they are quoted, too.
    """
    key, equals, value = word.partition("=")
    if equals and _KEY.fullmatch(key):
        quoted = QuotedString(value, Quote.double).with_quotes()
        typed = shlex.quote(f"{key}={quoted}")
        return f"quote the value for Hydra, and the whole for the shell: {typed}"
    return "python -m xferlab --help lists the commands; a setting is KEY=VALUE"


def refuse_sweep_words(overrides: Sequence[str]) -> None:
    """Raise ConfigError if a word names several values, which only ``-m`` can run."""
    for override in parse_overrides(overrides):
        if override.is_sweep_override():
            raise ConfigError(
                f"'{override.input_line}' names several values",
                where=str(override.key_or_group),
                fix="add -m to run one job a value",
            )
