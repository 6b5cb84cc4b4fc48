"""What can be set: each key with its type, its default and what its docstring says of it."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.config.schema import SweepConfig, TrainConfig
from xferlab.discovery import KEY
from xferlab.formatting import format_type
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY, Entry
from xferlab.validation import defaults_of, format_default

SECTIONS: Mapping[str, type] = {"train": TrainConfig, "sweep": SweepConfig}
"""The top-level keys that hold settings of the framework, and the dataclasses of these."""
FILE_GROUPS = {
    "experiment": "files that choose plugins and settings together",
    "debug": "files that make a short trial run of any experiment",
    "sweep": "files of a sweep's jobs, with -m",
}
"""Config groups without plugins, whose members are files in ``conf/GROUP``."""
REQUIRED = "required"


@dataclass(frozen=True)
class Setting:
    """A key that an override or a file can set.

    Attributes:
        key: like ``train.epochs``.
        type: as people read it: ``int or null``, the choices of an Enum.
        default: as it can be typed, or :data:`REQUIRED`.
        text: what the docstring says of it; empty if it says nothing.
        hint: the annotation.
    """

    key: str
    type: str
    default: str
    text: str
    hint: Any

    @property
    def summary(self) -> str:
        """The beginning of the text, up to the first point, colon or semicolon."""
        return re.split(r"(?<!e\.g)\.(?= |$)|[:;] ", self.text)[0]


ROOT = (
    Setting("seed", "int", "0", "seeds Python, NumPy, Keras, splits of data and batches", int),
    Setting(
        "name",
        "str or null",
        "null",
        "for the run's folder and table; not in the run id",
        str | None,
    ),
)
"""The settings at the top level."""
TYPED = (
    Setting(
        KEY,
        "list[str]",
        "[]",
        "folders of plugins beside ./plugins; on the command line alone, of any command",
        list[str],
    ),
)
"""What is set on the command line and never in a file."""


def settings_of(cls: Any, key_of: Callable[[str], str]) -> list[Setting]:
    """Return the settings that the fields of a dataclass are.

    Args:
        cls: of a plugin, of a section or of an engine.
        key_of: gives the key of a field by its name.
    """
    defaults = defaults_of(cls)
    hints = typing.get_type_hints(cls)
    texts = field_texts(cls)
    return [
        Setting(
            key_of(f.name),
            format_type(hints[f.name]),
            REQUIRED if defaults[f.name] == "???" else format_default(defaults[f.name]),
            texts.get(f.name, ""),
            hints[f.name],
        )
        for f in dataclasses.fields(cls)
    ]


def settings_of_plugin(entry: Entry) -> list[Setting]:
    """Return the settings of a plugin that is chosen alone."""
    group = GROUPS[entry.group]
    return settings_of(entry.cls, lambda name: group.key_of_field(entry.name, name))


def section_settings(name: str) -> list[Setting]:
    """Return the settings of ``train`` or ``sweep``."""
    return settings_of(SECTIONS[name], lambda field: f"{name}.{field}")


def all_settings() -> Iterator[tuple[str, Setting]]:
    """Yield every setting and its owner: ``train``, or ``GROUP=NAME`` of the plugin that has it.

    Plugins that are only announced are left out: ``REGISTRY.load_announced`` loads them.
    """
    for setting in (*ROOT, *TYPED):
        yield "", setting
    for name in SECTIONS:
        for setting in section_settings(name):
            yield name, setting
    for entry in REGISTRY:
        for setting in settings_of_plugin(entry):
            yield f"{entry.group}={entry.name}", setting


def field_texts(cls: type) -> dict[str, str]:
    """Return what docstrings say of the fields of a dataclass, its bases' included."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        found |= _attribute_texts(inspect.cleandoc(each.__doc__ or ""))
    return found


def _attribute_texts(docstring: str) -> dict[str, str]:
    """Return the entries of the section ``Attributes:`` of a docstring, each as one line.

    >>> _attribute_texts("A.\\n\\nAttributes:\\n    a: one\\n        more.\\n    b: two.\\n\\nEnd.")
    {'a': 'one more.', 'b': 'two.'}
    """
    _, _, section = docstring.partition("Attributes:\n")
    section = re.split(r"\n(?=\S)", section)[0]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
