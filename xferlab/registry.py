"""Names to plugin classes: the only place where a config string becomes code."""

from __future__ import annotations

import dataclasses
import inspect
import linecache
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from omegaconf.errors import OmegaConfBaseException

from xferlab.contract_version import adopt_contract
from xferlab.deprecated import adopt_attributes
from xferlab.errors import (
    ConfigError,
    PluginError,
    XferlabError,
    collect_errors,
    did_you_mean,
    raise_together,
)
from xferlab.groups import GROUPS, Group
from xferlab.validation import build_typed, defaults_of

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
        """First line of the plugin's docstring."""
        return (inspect.getdoc(self.cls) or "").partition("\n")[0]

    def defaults(self) -> dict[str, object]:
        """Return the config node that ``<group>=<name>`` selects."""
        return {"name": self.name, **defaults_of(self.cls)}


@dataclass(frozen=True)
class _Announced:
    """What registers a plugin when it is used, and what is known of it before."""

    source: Any
    load: Callable[[], None]


class Registry:
    """Maps ``(group, name)`` to an :class:`Entry`; a clash is an error, never a silent win.

    Attributes:
        broken: one error for each plugin file that could not be used; its names are not to be had.
    """

    def __init__(self) -> None:
        self.broken: list[PluginError] = []
        self._entries: dict[tuple[str, str], Entry] = {}
        self._contested: dict[tuple[str, str], PluginError] = {}
        self._deferred: dict[tuple[str, str], Callable[[], None]] = {}
        self._announced: dict[tuple[str, str], tuple[_Announced, ...]] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Yield the plugins that are loaded, after those that :meth:`defer` put off."""
        for group, name in list(self._deferred):
            try:
                self._load_deferred(group, name)
            except PluginError as e:
                self.broken.append(e)
        return self.loaded()

    def loaded(self) -> Iterator[Entry]:
        """Yield the plugins that are loaded."""
        return iter(sorted(self._entries.values(), key=lambda e: (e.group, e.name)))

    def entry_of(self, group: str, cls: type) -> Entry | None:
        """Return the entry of a plugin class, None if it is not registered."""
        found = (e for e in self.loaded() if e.group == group and e.cls is cls)
        return next(found, None)

    def deferred(self) -> list[tuple[str, str]]:
        """Return group and name of each plugin that :meth:`defer` put off."""
        return sorted(self._deferred)

    @contextmanager
    def undone_on_error(self) -> Iterator[None]:
        """Take back what was registered in the block if it raises."""
        kept = dict(self._entries)
        deferred = dict(self._deferred)
        try:
            yield
        except BaseException:
            self._entries = kept
            self._deferred = deferred
            raise

    def names(self, group: str) -> list[str]:
        """Return the names of a group, sorted; those that are not loaded yet too."""
        every = (*self._entries, *self._deferred, *self._announced)
        return sorted({name for of, name in every if of == group})

    def has(self, group: str, name: str) -> bool:
        """Return whether a plugin is loaded, or put off by :meth:`defer`."""
        return (group, name) in self._entries or (group, name) in self._deferred

    def defer(self, group: str, name: str, load: Callable[[], None]) -> None:
        """Have ``load`` called when ``<group>=<name>`` is used, or all plugins are.

        Args:
            group: of the plugin.
            name: of the plugin.
            load: registers it; may raise PluginError.
        """
        self._deferred[group, name] = load

    def _load_deferred(self, group: str, name: str) -> None:
        load = self._deferred.pop((group, name), None)
        if load is not None:
            load()

    def announce(self, group: str, name: str, source: Any, load: Callable[[], None]) -> None:
        """Have ``load`` called when ``<group>=<name>`` is used.

        Args:
            group: of the plugin.
            name: of the plugin.
            source: what is known of it now, for ``announced``.
            load: registers it; may raise PluginError.
        """
        others = self._announced.get((group, name), ())
        self._announced[group, name] = (*others, _Announced(source, load))

    def announced(self, group: str) -> dict[str, Any]:
        """Return the source of each plugin of a group that is not loaded yet, by name."""
        return {
            name: each.source
            for (of, name), several in sorted(self._announced.items())
            for each in several
            if of == group
        }

    def load_announced(self, group: str | None = None) -> None:
        """Load the announced plugins of a group, or all; a broken one is added to ``broken``."""
        for of, name in sorted(self._announced):
            if group in (of, None):
                try:
                    self.get(of, name)
                except PluginError as e:
                    self.broken.append(e)

    def add(self, group: str, name: str, cls: type, *, override: bool = False) -> None:
        """Register ``cls``; raises PluginError if it breaks the contract or the name is taken."""
        origin = _origin(cls)
        _check_contract(group, name, cls, origin)
        entry = Entry(group, name, cls, origin)
        try:
            entry.defaults()
        except OmegaConfBaseException as e:
            raise PluginError(
                str(e).partition("\n")[0],
                where=origin,
                fix="use bool, int, float, str, an Enum, list[...] or dict[str, ...]",
            ) from e
        self._load_deferred(group, name)
        taken = self._entries.get((group, name))
        if taken and taken.origin != origin and not override:
            clash = PluginError(
                f"{group}={name} is registered twice, also in {taken.origin}",
                where=origin,
                fix="rename one, or pass override=True to @register",
            )
            self._contested[group, name] = clash
            raise clash
        self._entries[group, name] = entry

    def get(self, group: str, name: str) -> Entry:
        """Return the entry of ``<group>=<name>``, which is loaded if it is not yet.

        Raises:
            ConfigError: there is none.
            PluginError: it cannot be loaded, or two have the name.
        """
        self._load_deferred(group, name)
        for announced in self._announced.pop((group, name), ()):
            try:
                announced.load()
            except PluginError as e:
                self._contested.setdefault((group, name), e)
        if (group, name) in self._contested:
            raise self._contested[group, name]
        try:
            return self._entries[group, name]
        except KeyError:
            raise self.unknown(group, name) from None

    def unknown(self, group: str, name: str, fix: str = "") -> ConfigError:
        """Return the error for a name that is not there, naming broken files that may hold it."""
        fix = fix or did_you_mean(name, self.names(group))
        if self.broken:
            more = f" and {len(self.broken) - 1} more" if len(self.broken) > 1 else ""
            fix += f" (or fix {self.broken[0].where}{more}, which may define it)"
        return ConfigError(f"there is no {group} named '{name}'", where=f"{group}={name}", fix=fix)

    def create(self, group: str, node: Mapping[str, Any] | None, key: str | None = None) -> Any:
        """Check ``node`` against its plugin's fields and return the plugin instance.

        Args:
            group: config group, e.g. ``"loss"``.
            node: mapping with a ``name`` and that plugin's fields.
            key: config path for messages; defaults to ``group``.

        Raises:
            ConfigError: unknown name or field, wrong type, or a value the plugin refuses.
        """
        key = key or group
        if not isinstance(node, Mapping) or not isinstance(node.get("name"), str):
            fix = f"choose one: {group}=NAME, where NAME is {', '.join(self.names(group))}"
            raise ConfigError(f"no {group} is chosen", where=key, fix=fix)
        fields = {k: v for k, v in node.items() if k != "name"}
        return build_typed(self.get(group, node["name"]).cls, fields, key)

    def create_chosen(self, group: Group, node: Any) -> Any:
        """Return what a config chooses of a group.

        Args:
            group: of plugins.
            node: the group's node.

        Returns:
            A plugin; None where none is chosen of an optional group; or plugins by name where the
            group holds several.

        Raises:
            ConfigError: as :meth:`create`; the errors of all plugins together.
        """
        if not group.has_members(node):
            return None if node is None and group.is_optional else self.create(group.name, node)
        if not isinstance(node, Mapping):
            what = f"{group.name} must hold one {group.name} a name, got {node!r}"
            fix = f"{group.override(*self.names(group.name)[:2])} chooses several"
            raise ConfigError(what, where=group.name, fix=fix)
        plugins: dict[str, Any] = {}
        errors: list[XferlabError] = []
        for name, member in node.items():
            with collect_errors(errors):
                _check_member_name(group.name, str(name))
                plugins[name] = self.create(group.name, member, f"{group.name}.{name}")
        raise_together(errors)
        return plugins

    def default_node(self, group: Group) -> Any:
        """Return the node of a group for a config that does not have its key."""
        if not group.may_be_absent:
            return None
        nodes = {name: self.get(group.name, name).defaults() for name in group.default}
        return nodes if group.holds_several else next(iter(nodes.values()), None)


def chosen_plugins(config: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return the name ``loss=focal``, the key and the node of each plugin that a config names."""
    return [
        (f"{group.name}={node['name']}", key, node)
        for group in GROUPS.values()
        for key, node in group.nodes(config.get(group.name)).items()
        if isinstance(node, Mapping) and "name" in node
    ]


def _check_member_name(group: str, name: str) -> None:
    """Raise ConfigError for a name that a table's head or a log cannot hold as it is."""
    if not (name[:1].isalnum() and name.isprintable()):
        raise ConfigError(
            f"a {group} may not be called {name!r}",
            where=group,
            fix="begin its name with a letter, without control characters",
        )


def _check_contract(group: str, name: str, cls: type, origin: str) -> None:
    """Raise PluginError unless ``cls`` is a frozen dataclass with what its group requires."""
    adopt_attributes(cls, f"{group}={name}")
    adopt_contract(cls, f"{group}={name}", origin)
    problem = ""
    fix = f"see xferlab.contracts.{group.title()}"
    if not NAME.fullmatch(name):
        problem = f"'{name}' is not a plugin name"
        fix = "use lower_snake_case"
    elif not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        problem = f"{cls.__name__} is not a frozen dataclass"
        fix = f"write @dataclass(frozen=True) under @register('{group}', '{name}')"
    elif any(f.name == "name" for f in dataclasses.fields(cls)):
        problem = f"{cls.__name__} has a field 'name', which is the plugin's own"
        fix = "rename it"
    elif not callable(getattr(cls, GROUPS[group].method, None)):
        problem = f"{cls.__name__} has no {GROUPS[group].method}() method"
    else:
        for word, kind in GROUPS[group].declares.items():
            if not isinstance(getattr(cls, word, None), kind):
                problem = f"{cls.__name__} does not declare '{word}: ClassVar[{kind.__name__}]'"
    if problem:
        raise PluginError(problem, where=origin, fix=fix)


def _origin(cls: type) -> str:
    """Return the file and the line at which a class begins, its decorators included.

    ``inspect.getsourcelines`` parses the whole file for it, a fifth of the time of ``list``.
    """
    try:
        path = inspect.getsourcefile(cls)
    except TypeError:
        path = None
    lines = [line.lstrip() for line in linecache.getlines(path)] if path else []
    head = re.compile(rf"class {cls.__name__}\b")
    number = next((n for n, line in enumerate(lines) if head.match(line)), None)
    if number is None:
        return cls.__module__
    while number and lines[number - 1].startswith("@"):
        number -= 1
    return f"{path}:{number + 1}"


REGISTRY = Registry()


def register(group: str, name: str, *, override: bool = False) -> Callable[[T], T]:
    """Class decorator that makes ``<group>=<name>`` work on the command line."""
    if group not in GROUPS:
        raise PluginError(f"there is no plugin group '{group}'", fix=did_you_mean(group, GROUPS))

    def mark(cls: T) -> T:
        REGISTRY.add(group, name, cls, override=override)
        return cls

    return mark
