"""The groups of plugins, as data: one entry here is a group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from xferlab.tasks.base import Accepts


class Choice(Enum):
    """How many plugins of a group a config chooses, and under which keys their fields are."""

    one = "one"
    """``loss=focal loss.gamma=2``."""
    several = "several"
    """``metric=[f1,auc] metric.f1.average=macro``; their order is no part of the run id."""
    in_order = "in order"
    """As ``several``, in the order in which they are called."""
    one_or_more = "one or more"
    """``transfer=lora transfer.rank=4``, or in order ``transfer=[a,lora] transfer.lora.rank=4``."""


@dataclass(frozen=True)
class Group:
    """A group of plugins; an entry in :data:`GROUPS` is all that the framework needs of it.

    Attributes:
        name: of the config key, of the folder in ``plugins`` and of the first argument of
            ``@register``.
        method: the one method that each plugin of the group has.
        summary: what its plugins are, for ``describe``.
        choice: how many of them a config chooses.
        default: the plugins that are chosen where a config does not have the key, such as that of
            an older run; the run id is the same with and without them.
        is_optional: whether a config may choose none.
        may_change: whether the file of a plugin may change before a run is resumed: who has
            corrected a callback that failed resumes from the checkpoint.
        declares: class variables that a plugin must declare, and their types.
    """

    name: str
    method: str
    summary: str
    choice: Choice = Choice.one
    default: tuple[str, ...] = ()
    is_optional: bool = False
    may_change: bool = False
    declares: Mapping[str, type] = field(default_factory=dict)

    @property
    def may_be_absent(self) -> bool:
        """Whether a config without the key is complete."""
        return self.is_optional or bool(self.default)

    @property
    def holds_several(self) -> bool:
        """Whether the config always has a name below the key: ``metric.f1.average``."""
        return self.choice in (Choice.several, Choice.in_order)

    def has_members(self, node: Any) -> bool:
        """Return whether the node of a config holds plugins by name, rather than one plugin."""
        if self.choice is Choice.one_or_more:
            return isinstance(node, Mapping) and not isinstance(node.get("name"), str)
        return self.holds_several

    def nodes(self, node: Any) -> dict[str, Any]:
        """Return the nodes of the chosen plugins by their config keys.

        >>> GROUPS["loss"].nodes({"name": "focal"})
        {'loss': {'name': 'focal'}}
        >>> GROUPS["metric"].nodes({"f1": {"name": "f1"}})
        {'metric.f1': {'name': 'f1'}}
        """
        if not self.has_members(node):
            return {self.name: node}
        members = node if isinstance(node, Mapping) else {}
        return {f"{self.name}.{name}": member for name, member in members.items()}

    def override(self, *names: str) -> str:
        """Return the override that chooses plugins.

        >>> GROUPS["loss"].override("focal"), GROUPS["metric"].override("f1")
        ('loss=focal', 'metric=[f1]')
        """
        is_list = self.holds_several or len(names) > 1
        return f"{self.name}=[{','.join(names)}]" if is_list else f"{self.name}={''.join(names)}"

    def key_of_field(self, plugin: str, name: str) -> str:
        """Return the config key of a plugin's field.

        >>> GROUPS["metric"].key_of_field("f1", "average")
        'metric.f1.average'
        """
        return f"{self.name}.{plugin}.{name}" if self.holds_several else f"{self.name}.{name}"


GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        Group("data", "build", "the examples, in splits"),
        Group("model", "build", "the network and its tokenizer"),
        Group("head", "build", "what the task's outputs are made of", default=("auto",)),
        Group(
            "transfer", "apply", "which blocks are trained, when and how fast", Choice.one_or_more
        ),
        Group("loss", "build", "what training minimises", declares={"accepts": Accepts}),
        Group("optimizer", "build", "how gradients change weights"),
        Group("schedule", "build", "the learning rate of each step"),
        Group(
            "metric",
            "build",
            "scores of a split",
            Choice.several,
            declares={"accepts": Accepts, "mode": str},
        ),
        Group(
            "objective",
            "build",
            "what a training step minimises",
            default=("supervised",),
            declares={"accepts": Accepts},
        ),
        Group("average", "take", "a second set of weights", default=("none",)),
        Group(
            "postprocess",
            "fit",
            "what is fitted to the validation outputs after training",
            Choice.one_or_more,
            is_optional=True,
            declares={"accepts": Accepts},
        ),
        Group(
            "callback",
            "build",
            "what follows a run: logs, trackers, conditions to stop",
            Choice.in_order,
            default=("tensorboard",),
            is_optional=True,
            may_change=True,
        ),
    )
}
"""The plugin groups by name."""
