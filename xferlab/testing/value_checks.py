"""Checks of a plugin's instances: equal when rebuilt, and bad values refused by name."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from xferlab.errors import ConfigError, PluginError, XferlabError, text_of
from xferlab.registry import REGISTRY
from xferlab.testing.finding import Finding, Subject

PROBES: dict[type, tuple[Any, ...]] = {
    int: (-1, 0, 10**9),
    float: (-1.0, 0.0, 1e30),
    str: ("", "?"),
    list: ([],),
    dict: ({},),
}
"""Values that most fields refuse, by the type of the default."""
AGAIN = "plugin"
"""A key, so that an instance that was built before is not taken again."""


def value_findings(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with the instances of a plugin."""
    try:
        plugin = REGISTRY.create(subject.entry.group, subject.node)
    except XferlabError as e:
        yield from subject.from_error(e)
        return
    yield from _rebuilt(subject, plugin)
    yield from _identity(subject, plugin)
    yield from _refusals(subject)


def _rebuilt(subject: Subject, plugin: Any) -> Iterator[Finding]:
    again = subject.entry.cls(
        **{f.name: getattr(plugin, f.name) for f in dataclasses.fields(plugin)}
    )
    if again != plugin:
        what = "is not equal to one that is built from the values of its fields"
        fix = "leave the fields as they are given, and compare by them: frozen=True, eq as it is"
        yield subject.finding(what, fix, subject.line_of("__post_init__"))
    node = {"name": subject.entry.name, **plain_fields(plugin)}
    try:
        from_record = REGISTRY.create(subject.entry.group, json.loads(json.dumps(node)), AGAIN)
    except (XferlabError, TypeError, ValueError) as e:
        what = f"cannot be built again from its record: {text_of(e)}"
        yield subject.finding(what, "keep plain values in the fields")
        return
    if plain_fields(from_record) != plain_fields(plugin):
        what = "has other values in its fields than in the config it is built from"
        fix = "leave the fields as they are given; compute in build()"
        yield subject.finding(what, fix, subject.line_of("__post_init__"))


def _identity(subject: Subject, plugin: Any) -> Iterator[Finding]:
    for method, wanted in (("identity", "a dict of plain values, or None"), ("inputs", "a dict")):
        if not hasattr(plugin, method):
            continue
        line = subject.line_of(method)
        try:
            first, second = (getattr(plugin, method)() for _ in range(2))
        except XferlabError:
            continue  # what its fields name is not there
        except Exception as e:  # noqa: BLE001 - a plugin may raise anything
            what = f"fails in {method}(): {type(e).__name__}: {text_of(e)}"
            yield subject.finding(what, "correct that method", line)
            continue
        if not (isinstance(first, dict) or (first is None and method == "identity")):
            yield subject.finding(
                f"returns {first!r:.60} from {method}()", f"return {wanted}", line
            )
        elif first != second:
            what = f"returns other values from {method}() each time"
            yield subject.finding(what, "its values are hashed: compute them of the fields", line)
        elif not _is_json(first):
            yield subject.finding(f"returns no JSON data from {method}()", f"return {wanted}", line)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _refusals(subject: Subject) -> Iterator[Finding]:
    """Yield what ``__post_init__`` raises for odd values, unless it says which field is wrong."""
    names = [each.name for each in dataclasses.fields(subject.entry.cls)]
    for name in names:
        default = subject.node[name]
        for value in PROBES.get(type(default), ()):
            try:
                REGISTRY.create(subject.entry.group, {**subject.node, name: value})
            except PluginError as e:
                what = f"fails for {name}={value!r} where it should refuse it: {e.what}"
                yield dataclasses.replace(
                    subject.finding(what, "raise ValueError in __post_init__"), where=e.where
                )
                return
            except ConfigError as e:
                if not any(re.search(rf"\b{each}\b", e.what) for each in names):
                    what = f"refuses {name}={value!r} without naming the field: {e.what}"
                    fix = f"raise ValueError(f'{name} must be ..., got {{self.{name}}}')"
                    yield subject.finding(what, fix, subject.line_of("__post_init__"))
                    return


def plain_fields(plugin: Any) -> dict[str, Any]:
    """Return the values of a plugin's fields as a config has them."""
    values = {each.name: getattr(plugin, each.name) for each in dataclasses.fields(plugin)}
    return {name: v.name if isinstance(v, Enum) else v for name, v in values.items()}
