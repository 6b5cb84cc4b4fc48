"""Which source files a plugin is made of: its own, and those of its author that it imports."""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import xferlab

MOST = 500
OWN = Path(xferlab.__file__).resolve().parent
SHARED = "xferlab.functional"
"""The one package of the framework that holds parts of plugins; the rest has a version."""


def sources_of(path: Path) -> list[Path]:
    """Return a plugin's file, then the files that it imports, and they, wherever in them.

    Looked for beside the file, in its package and in the folders of ``sys.path`` that belong to no
    installation. Imports by a computed name are not seen.
    """
    found = [path.resolve()]
    folders = _own_folders()
    for source in found:
        for each in _imported(source, folders):
            if each not in found and len(found) < MOST:
                found.append(each)
    return [found[0], *sorted(found[1:])]


def _own_folders() -> list[Path]:
    """Return the folders of ``sys.path`` that belong to no installation, then the current one."""
    path = [Path(entry or ".").resolve() for entry in sys.path]
    return [folder for folder in (*path, Path.cwd()) if not _is_installed(folder)]


def _imported(source: Path, folders: list[Path]) -> Iterator[Path]:
    try:
        imports = _imports_in(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for level, module, names in imports:
        if level:
            beside = source.parents[min(level, len(source.parents)) - 1]
            yield from _within(beside, [module, *names])
        else:
            for name in names:
                yield from _files_of(name, source, folders)


@lru_cache(maxsize=MOST)
def _imports_in(content: bytes) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """Return the import statements of a source as level, module and dotted names."""
    found = []
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            found.append((0, "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.ImportFrom):
            names = _joined(node.module, [alias.name for alias in node.names])
            found.append((node.level, node.module or "", tuple(names)))
    return tuple(found)


def _joined(module: str | None, names: list[str]) -> list[str]:
    return [f"{module}.{name}" if module else name for name in names]


def _files_of(name: str, source: Path, folders: list[Path]) -> Iterator[Path]:
    """Yield the files that ``import a.b.c`` runs, as far as they belong to the plugin's author."""
    top = name.partition(".")[0]
    if top == "xferlab":
        if f"{name}.".startswith(f"{SHARED}."):
            yield from _within(OWN, [name.partition(".")[2]])
        return
    if top in sys.stdlib_module_names:
        return
    for folder in _folders(source, folders):
        files = list(_within(folder, [name]))
        if files:
            yield from files
            return


def _within(folder: Path, names: list[str]) -> Iterator[Path]:
    """Yield the packages and the module that each dotted name means below ``folder``."""
    for name in names:
        place = folder
        for part in name.split(".") if name else ():
            place = place / part
            for path in (place / "__init__.py", place.with_suffix(".py")):
                if path.is_file():
                    yield path.resolve()
                    break


def _folders(source: Path, others: list[Path]) -> list[Path]:
    """Return where a module of the plugin's author can be."""
    home = source.parent
    while (home / "__init__.py").exists():
        home = home.parent
    own = [home] if (source.parent / "__init__.py").exists() and home != source.parent else []
    beside = [] if _is_installed(source.parent) else [source.parent]
    return [*beside, *others, *own]


@cache
def _is_installed(folder: Path) -> bool:
    """Return whether a folder is one of Python's own or of its packages."""
    roots = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    roots |= {f"{sys.base_prefix}/lib"}
    return any(folder.is_relative_to(root) for root in roots if root)
