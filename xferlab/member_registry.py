"""Members of a package by name: tasks, encoder families, engines and export formats."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import TypeVar

M = TypeVar("M")


class MemberRegistry(Mapping[str, M]):
    """Maps names to members; each file adds its own when it is imported.

    Args:
        label: what a user types before a name, for the error of a name that is taken.
        package: its modules are imported before the first look-up.
    """

    def __init__(self, label: str, package: str = "") -> None:
        self._label = label
        self._package = package
        self._members: dict[str, M] = {}

    def add(self, name: str, member: M) -> None:
        """Add a member; a class that is imported again replaces itself.

        Raises:
            ValueError: another class has the name.
        """
        taken = self._members.setdefault(name, member)
        if _class_of(taken) != _class_of(member):
            raise ValueError(f"{self._label}{name} is {_class_of(taken)[1]}'s already")
        self._members[name] = member

    def __getitem__(self, name: str) -> M:
        self._import_package()
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        self._import_package()
        return iter(self._members)

    def __len__(self) -> int:
        self._import_package()
        return len(self._members)

    def _import_package(self) -> None:
        package = self._package
        self._package = ""  # a module of the package may look up while it is imported
        if package:
            for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
                importlib.import_module(f"{package}.{module.name}")


def _class_of(member: object) -> tuple[str, str]:
    """Return the module and the name of a class, or of an object's class."""
    cls = member if isinstance(member, type) else type(member)
    return cls.__module__, cls.__qualname__
