"""Names to plugin classes: the only place where a config string becomes code."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from omegaconf.errors import OmegaConfBaseException

from xferlab.contracts import DECLARATIONS, GROUPS
from xferlab.errors import ConfigError, PluginError, did_you_mean
from xferlab.typed import build_typed, defaults_of

NAME = re.compile(r"[a-z][a-z0-9_]*")
T = TypeVar("T", bound=type)


@dataclass(frozen=True)
class Entry:
    """One registered plugin: ``loss=focal`` is ``Entry("loss", "focal", Focal, ...)``."""

    group: str
    name: str
    cls: type
    origin: str

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.cls) or "").partition("\n")[0]

    def defaults(self) -> dict[str, object]:
        """Return the config node that ``<group>=<name>`` selects."""
        return {"name": self.name, **defaults_of(self.cls)}


class Registry:
    """Maps ``(group, name)`` to an :class:`Entry`; a clash is an error, never a silent win."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._entries.values(), key=lambda e: (e.group, e.name)))

    def names(self, group: str) -> list[str]:
        return [e.name for e in self if e.group == group]

    def add(self, group: str, name: str, cls: type, *, override: bool = False) -> None:
        """Register ``cls``; raises PluginError if it breaks the contract or the name is taken."""
        origin = _origin(cls)
        _check_contract(group, name, cls, origin)
        taken = self._entries.get((group, name))
        if taken and taken.cls is not cls and not override:
            raise PluginError(
                f"{group}={name} is registered twice, also in {taken.origin}",
                where=origin,
                fix="rename one, or pass override=True to @register",
            )
        entry = Entry(group, name, cls, origin)
        try:
            entry.defaults()
        except OmegaConfBaseException as e:
            raise PluginError(
                str(e).partition("\n")[0],
                where=origin,
                fix="use bool, int, float, str, an Enum, list[...] or dict[str, ...]",
            ) from e
        self._entries[group, name] = entry

    def get(self, group: str, name: str) -> Entry:
        """Return the entry of ``<group>=<name>``; raises ConfigError if there is none."""
        try:
            return self._entries[group, name]
        except KeyError:
            raise ConfigError(
                f"there is no {group} named '{name}'",
                where=f"{group}.name",
                fix=did_you_mean(name, self.names(group)),
            ) from None

    def create(self, group: str, node: Mapping[str, Any], key: str | None = None) -> Any:
        """Check ``node`` against its plugin's fields and return the plugin instance.

        Args:
            group: config group, e.g. ``"loss"``.
            node: mapping with a ``name`` and that plugin's fields.
            key: config path for messages; defaults to ``group``.

        Raises:
            ConfigError: unknown name or field, wrong type, or a value the plugin refuses.
        """
        key = key or group
        fields = dict(node or {})
        name = fields.pop("name", None)
        if not isinstance(name, str):
            raise ConfigError(
                f"{key} has no 'name'", where=key, fix=did_you_mean("", self.names(group))
            )
        return build_typed(self.get(group, name).cls, fields, key)


def _check_contract(group: str, name: str, cls: type, origin: str) -> None:
    """Raise PluginError unless ``cls`` is a frozen dataclass with what its group asks for."""
    problem, fix = "", f"see xferlab.contracts.{group.title()}"
    if not NAME.fullmatch(name):
        problem, fix = f"'{name}' is not a plugin name", "use lower_snake_case"
    elif not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        problem = f"{cls.__name__} is not a frozen dataclass"
        fix = f"write @dataclass(frozen=True) under @register('{group}', '{name}')"
    elif not callable(getattr(cls, GROUPS[group], None)):
        problem = f"{cls.__name__} has no {GROUPS[group]}() method"
    else:
        for word, kind in DECLARATIONS.get(group, {}).items():
            if not isinstance(getattr(cls, word, None), kind):
                problem = f"{cls.__name__} does not declare '{word}: ClassVar[{kind.__name__}]'"
    if problem:
        raise PluginError(problem, where=origin, fix=fix)


def _origin(cls: type) -> str:
    try:
        return f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return cls.__module__


REGISTRY = Registry()


def register(group: str, name: str, *, override: bool = False) -> Callable[[T], T]:
    """Class decorator that makes ``<group>=<name>`` work on the command line."""
    if group not in GROUPS:
        raise PluginError(f"there is no plugin group '{group}'", fix=did_you_mean(group, GROUPS))

    def mark(cls: T) -> T:
        REGISTRY.add(group, name, cls, override=override)
        return cls

    return mark
