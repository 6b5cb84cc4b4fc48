"""What is found in a plugin, and the plugin."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from xferlab.errors import XferlabError, printable
from xferlab.registry import Entry


@dataclass(frozen=True)
class Finding:
    """One fault of a plugin.

    Attributes:
        what: is wrong.
        where: file and line.
        fix: what its author changes.
    """

    what: str
    where: str
    fix: str

    def __str__(self) -> str:
        return printable(f"{self.where}: {self.what}; {self.fix}")


@dataclass(frozen=True)
class Subject:
    """A plugin that is checked.

    Attributes:
        entry: of the registry.
        fields: values of its fields, for those without a default.
    """

    entry: Entry
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How it is chosen: ``loss=mine``."""
        return f"{self.entry.group}={self.entry.name}"

    @property
    def node(self) -> dict[str, Any]:
        """The config node that chooses it."""
        return {**self.entry.defaults(), **self.fields}

    @property
    def missing(self) -> list[str]:
        """The fields that have no value."""
        return [name for name, value in self.node.items() if value == "???"]

    @property
    def path(self) -> Path:
        """Its file."""
        return Path(self.entry.origin.rpartition(":")[0])

    @cached_property
    def tree(self) -> ast.Module:
        """The source; empty where there is no file, as for a class of a notebook."""
        return ast.parse("".join(linecache.getlines(str(self.path))))

    @cached_property
    def body(self) -> list[ast.stmt]:
        """The statements of the class."""
        name = self.entry.cls.__name__
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node.body
        return []

    def finding(self, what: str, fix: str, line: int | None = None) -> Finding:
        """Return a finding at a line of the file, or where the class begins."""
        where = self.entry.origin if line is None else f"{self.path}:{line}"
        return Finding(f"{self.name} {what}", where, fix)

    def from_error(self, error: XferlabError) -> Iterator[Finding]:
        """Yield the findings that an error of the framework is; a config key is no place."""
        for each in error.each:
            is_place = each.where.startswith(str(self.path))
            where = each.where if is_place else self.entry.origin
            named = self.name in each.what
            yield Finding(each.what if named else f"{self.name}: {each.what}", where, each.fix)

    def line_of(self, name: str) -> int | None:
        """Return the line of a field, an attribute or a method of the class."""
        for node in self.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return node.lineno
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            if any(isinstance(each, ast.Name) and each.id == name for each in targets):
                return node.lineno
        return None
