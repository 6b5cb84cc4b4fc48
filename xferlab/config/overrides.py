"""Hydra overrides: parsed, expanded to the jobs of a sweep, written."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from xferlab.errors import ConfigError

_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@-]*", re.ASCII)


def flatten(node: Any, *, into_lists: bool = False, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of everything in a config that holds no further keys.

    >>> list(flatten({"a": {"b": [1, 2], "c": {}}}))
    [('a.b', [1, 2]), ('a.c', {})]
    >>> list(flatten({"a": {"b": [1, 2], "c": {}}}, into_lists=True))
    [('a.b.0', 1), ('a.b.1', 2), ('a.c', {})]
    """
    items: Iterable[tuple[Any, Any]]
    if isinstance(node, Mapping) and (node or not prefix):
        items = node.items()
    elif into_lists and isinstance(node, list):
        items = enumerate(node)
    else:
        yield prefix, node
        return
    for key, value in items:
        below = f"{prefix}.{key}" if prefix else str(key)
        yield from flatten(value, into_lists=into_lists, prefix=below)


def expand_override(override: Override) -> list[str]:
    """Return the plain overrides that one sweep override stands for."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"'{override.input_line}' is a continuous range, which a grid cannot enumerate",
            where=str(override.key_or_group),
            fix=f"list the values: {override.key_or_group}=1e-5,3e-5,1e-4",
        )
    key = override.get_key_element()
    return [f"{key}={value}" for value in _as_written(override)]


def _as_written(override: Override) -> list[str]:
    """Return the values of a list as its author wrote them: ``1e-5``, where Hydra has 1e-05."""
    values = list(override.sweep_string_iterator())
    line = str(override.input_line).partition("=")[2]
    written: list[str] = []
    text = ""
    for piece in line.removeprefix("choice(").removesuffix(")").split(","):
        text = f"{text},{piece}" if text else piece.strip()
        if len(written) < len(values) and values[len(written)] in (text, _element(text)):
            written.append(text)
            text = ""
    return written if len(written) == len(values) and not text else values


def _element(text: str) -> str | None:
    """Return how Hydra writes a value, or None where the text is not one."""
    try:
        override = OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return None
    return None if override.is_sweep_override() else str(override.get_value_element_as_str())


def key_of(text: str) -> str:
    """Return the key of an override, without ``+`` or ``~``.

    >>> key_of("+experiment=frozen"), key_of("optimizer.lr=1e-5"), key_of("~loss")
    ('experiment', 'optimizer.lr', 'loss')
    """
    return text.partition("=")[0].lstrip("+~")


def format_override(key: str, value: Any) -> str:
    """Return the override that sets ``key`` to a plain value, quoted where it must be.

    >>> format_override("optimizer.lr", 1e-5), format_override("name", "a, b")
    ('optimizer.lr=1e-5', "name='a, b'")
    """
    return f"{key}={_as_text(value)}"


def format_for_shell(key: str, value: Any) -> str:
    """Return the override that sets ``key``, quoted for the shell and for Hydra.

    >>> print(format_for_shell("data.separator", ";"), format_for_shell("--text", "a b"))
    "data.separator=';'" --text='a b'
    """
    if key.startswith("--"):
        return f"{key}={shlex.quote(str(value))}"
    text = format_override(key, value)
    if "'" in text and not set('"$`\\!') & set(text):
        return f'"{text}"'
    return shlex.quote(text)


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(_as_text(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_as_text(each)}' for key, each in value.items())}}}"
    if isinstance(value, float):
        return re.sub(r"e([+-])0+", r"e\1", repr(value))
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
    """Parse overrides, or raise ConfigError for one that is not ``key=value``."""
    return [_parsed(text) for text in overrides]


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> Override:
    """Parse one override; cached, because the jobs of a sweep repeat most of theirs."""
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as e:
        raise ConfigError(
            f"'{text}' cannot be read as key=value", where=text, fix=_quoting(text)
        ) from e


def _quoting(text: str) -> str:
    """Return the fix for an override that Hydra cannot parse: the same, in quotes.

    Hydra accepts characters such as ~ ( ) ' ; and non-ASCII letters in quotes only, and the shell
    removes these quotes unless they are quoted, too.
    """
    key, equals, value = text.partition("=")
    if equals and _KEY.fullmatch(key):
        quoted = QuotedString(value, Quote.double).with_quotes()
        whole = shlex.quote(f"{key}={quoted}")
        return f"quote the value for Hydra, and the whole for the shell: {whole}"
    return "python -m xferlab --help lists the commands; an override is KEY=VALUE"


def refuse_sweep_overrides(overrides: Sequence[str]) -> None:
    """Raise ConfigError for an override with several values, which only ``-m`` can run."""
    for override in parse_overrides(overrides):
        if override.is_sweep_override():
            raise ConfigError(
                f"'{override.input_line}' names several values",
                where=str(override.key_or_group),
                fix="add -m to run one job a value",
            )
