"""The number of the plugin contract, and what is done with a plugin of another number.

A plugin says which contract it is written for with a plain class attribute, ``contract = 1``: what
is annotated is part of run ids. One that says nothing is of contract 1, the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xferlab.deprecated import report_change
from xferlab.errors import PluginError

CONTRACT = 1
"""The contract of this version of xferlab."""
CHANGES: Mapping[int, Callable[[type], str]] = {}
"""By contract, what gives a plugin of the one before what has changed, and says in a few words what
its author changes."""


def adopt_contract(plugin: type, label: str, origin: str) -> None:
    """Have a plugin of the last contract work as one of this; a line says what has changed.

    Args:
        plugin: the class, changed in place.
        label: how it is chosen, ``loss=focal``.
        origin: its file and line.

    Raises:
        PluginError: it is of a later contract, or of one before the last.
    """
    number = getattr(plugin, "contract", 1)
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        fix = f"contract = {CONTRACT}"
        raise PluginError(f"{label} says contract = {number!r}", where=origin, fix=fix)
    if number > CONTRACT:
        raise PluginError(
            f"{label} is written for contract {number}, and this xferlab has contract {CONTRACT}",
            where=origin,
            fix="pip install --upgrade xferlab, or install an earlier version of the plugin",
        )
    if number < CONTRACT - 1:
        raise PluginError(
            f"{label} is written for contract {number}, and this xferlab reads"
            f" {CONTRACT - 1} and {CONTRACT}",
            where=origin,
            fix="install a later version of the plugin, or an earlier xferlab",
        )
    for each in range(number + 1, CONTRACT + 1):
        change = CHANGES[each](plugin)
        report_change(
            f"{label} is written for contract {number}, which works until contract {number + 2}:"
            f" {change} ({origin})"
        )
