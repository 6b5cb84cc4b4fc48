"""Entry points of installed packages: what they offer, by metadata and source, nothing imported.

An entry point of the group ``xferlab.plugins`` named ``loss.mine`` says that its module registers
``loss=mine``: the module is imported when that name is used. One of the group ``xferlab.conf`` is a
package with config files.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from xferlab.errors import PluginError
from xferlab.groups import GROUPS

PLUGINS = "xferlab.plugins"
CONF = "xferlab.conf"
REINSTALL = "correct the entry point in the package's pyproject.toml and install it again"


@dataclass(frozen=True)
class Announced:
    """A plugin of an installed package, known by the name of its entry point.

    Attributes:
        point: the entry point.
        group: of the plugin.
        name: of the plugin.
    """

    point: importlib.metadata.EntryPoint
    group: str
    name: str

    @property
    def package(self) -> str:
        """The distribution and its version: ``their-losses 1.0``."""
        return package_of(self.point)

    @property
    def place(self) -> str:
        """The file of the plugin, or the entry point where there is none."""
        path = source_file(self.point.module)
        return str(path) if path else f"{self.package}: {self.point.name} = {self.point.value}"

    @cached_property
    def summary(self) -> str:
        """The first line of the plugin's docstring, read from the source; empty if not found.

        Raises:
            PluginError: there is no such module, or the source is no Python.
        """
        path = source_file(self.point.module)
        if path is None:
            what = f"there is no module {self.point.module}"
            raise PluginError(what, where=self.place, fix=REINSTALL)
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError) as e:
            line = f":{e.lineno}" if isinstance(e, SyntaxError) and e.lineno else ""
            what = f"a plugin could not be loaded: {type(e).__name__}: {getattr(e, 'msg', e)}"
            raise PluginError(what, where=f"{path}{line}", fix="correct that file") from e
        docs = (ast.get_docstring(node) or "" for node in self._classes(tree))
        return next(docs, "").partition("\n")[0]

    def _classes(self, tree: ast.Module) -> Iterator[ast.ClassDef]:
        """Yield the class below ``@register(group, name)``."""
        wanted = [self.group, self.name]
        for node in ast.walk(tree):
            for call in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                values = call.args if isinstance(call, ast.Call) else []
                if [getattr(value, "value", None) for value in values] == wanted:
                    assert isinstance(node, ast.ClassDef)
                    yield node


def package_of(point: importlib.metadata.EntryPoint) -> str:
    """Return the distribution of an entry point and its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an installed package"


def announced(point: importlib.metadata.EntryPoint) -> Announced | None:
    """Return the plugin that an entry point's name announces: ``loss.mine``; None for another."""
    group, _, name = point.name.partition(".")
    return Announced(point, group, name) if group in GROUPS and name.isidentifier() else None


def preset_folders(points: Iterable[importlib.metadata.EntryPoint]) -> list[Path]:
    """Return the folders of config files that entry points name."""
    folders = (_folder_of(point.value) for point in points)
    return sorted({folder for folder in folders if folder is not None})


def source_file(module: str) -> Path | None:
    """Return the file of a module, whose package is not imported for it."""
    found = [Path(f"{place}{end}") for place in _places(module) for end in (".py", "/__init__.py")]
    return next((path for path in found if path.is_file()), None)


def _folder_of(package: str) -> Path | None:
    return next((place for place in _places(package) if place.is_dir()), None)


def _places(module: str) -> list[Path]:
    """Return the paths, without an ending, that a dotted name can have."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if not rest and spec.origin and not spec.submodule_search_locations:
        return [Path(spec.origin).with_suffix("")]
    return [Path(folder, *rest) for folder in spec.submodule_search_locations or ()]
