"""Several plugins of a group that usually holds one: ``transfer=[reinit_top,lora]``.

Hydra composes a list of choices into one node, where their fields would mix. So the list becomes
one choice, ``reinit_top+lora``, whose defaults list puts each plugin below the group's key. Then
everything that is true of a choice is true of it: the last one wins, in files too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore

from xferlab.config.overrides import parse_overrides
from xferlab.groups import GROUPS, Choice

JOINT = "+"


def with_stacks(overrides: Sequence[str]) -> list[str]:
    """Return overrides for Hydra, with one choice in place of each list of plugins.

    ``null`` where a group may have no plugin is an empty list, as Hydra takes no null there.
    """
    return [_with_stack(override) for override in overrides]


def _with_stack(text: str) -> str:
    key, _, value = text.lstrip("+").partition("=")
    if value == "null" and key in GROUPS and GROUPS[key].is_optional:
        return f"{key}=[]"
    if not _may_be_stacked(key):
        return text
    (override,) = parse_overrides([text])
    names = _names_of(override.value())
    return f"{text.partition('=')[0]}={store_stack(key, names)}" if len(names) > 1 else text


def defaults_with_stacks(config: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a file, with one choice in place of each list in its ``defaults``."""
    defaults = config.get("defaults")
    if not isinstance(defaults, list):
        return config
    return config | {"defaults": [_default_with_stack(entry) for entry in defaults]}


def _default_with_stack(entry: Any) -> Any:
    if not isinstance(entry, dict) or len(entry) != 1:
        return entry
    ((key, value),) = entry.items()
    group = str(key).rpartition(" ")[2].removeprefix("/")
    names = _names_of(value) if _may_be_stacked(group) else []
    return {key: store_stack(group, names)} if len(names) > 1 else entry


def _may_be_stacked(group: str) -> bool:
    return group in GROUPS and GROUPS[group].choice is Choice.one_or_more


def _names_of(value: Any) -> list[str]:
    """Return the names in a list, or in the choice that one has become."""
    if isinstance(value, list):
        return [str(name) for name in value]
    return value.split(JOINT) if isinstance(value, str) else []


def store_stack(group: str, names: Sequence[str]) -> str:
    """Offer several plugins or presets of a group to Hydra as one choice; return its name."""
    choice = JOINT.join(names)
    members = [{f"/{group}@{name}": name} for name in names]
    ConfigStore.instance().store(
        group=group, name=choice, node={"defaults": ["_self_", *members]}, provider="xferlab"
    )
    return choice
