"""Texts that stand before every text, as E5's ``query: ``: literal, or by a checkpoint's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError, did_you_mean, encodable
from xferlab.models.checkpoint_files import SENTENCE_SETTINGS, read_table

NAME = re.compile(r"[\w.-]+")
"""A prompt without a blank, a colon or the like is the name of one: it would run into the text."""


@dataclass(frozen=True)
class Prompts:
    """What the tokenizer puts before the texts of an example.

    Attributes:
        text: before the text.
        pair: before the second text of a pair.
    """

    text: str = ""
    pair: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.pair)

    @property
    def is_one(self) -> bool:
        """Whether both texts of a pair have the same."""
        return self.text == self.pair


NO_PROMPTS = Prompts()


def prompts_of(tokenizer: Any) -> Prompts:
    """Return what a tokenizer puts before texts; one of a plugin's own may have no prompts."""
    return getattr(tokenizer, "prompts", NO_PROMPTS)


@dataclass(frozen=True)
class StoredPrompts:
    """The prompts of a checkpoint.

    Attributes:
        texts: by name.
        default: name of the one that is used where none is chosen; None where none is.
    """

    texts: Mapping[str, str]
    default: str | None

    def chosen(self, value: str | None, key: str) -> str:
        """Return the text of a prompt that a config names, or writes.

        Args:
            value: a text, a name, or None for the checkpoint's default.
            key: of the config.

        Raises:
            ConfigError: a name that the checkpoint does not have.
        """
        if value is None:
            return self.texts.get(self.default or "", "")
        if value in self.texts or not NAME.fullmatch(value):
            return self.texts.get(value, value)
        hint = did_you_mean(value, self.texts) if self.texts else "it names none"
        raise ConfigError(
            f"the checkpoint has no prompt '{value}'",
            where=f"{key}={value}",
            fix=f"{hint}; a prompt that is no name ends with a blank: {key}=\"'{value} '\"",
        )


def read_prompts(folder: Path, where: str) -> StoredPrompts:
    """Return the prompts in a checkpoint's folder; none where it names none.

    Raises:
        ConfigError: they are no texts by name.
    """
    path = folder / SENTENCE_SETTINGS
    table = read_table(path, where) if path.is_file() else {}
    texts = table.get("prompts") or {}
    default = table.get("default_prompt_name")
    if not isinstance(texts, dict) or not all(isinstance(t, str | None) for t in texts.values()):
        raise _damaged(path, "its prompts are no texts by name", where)
    if default is not None and (not isinstance(default, str) or default not in texts):
        raise _damaged(path, f"its default_prompt_name is {default!r}, no name of a prompt", where)
    if any(encodable(text or "") != (text or "") for text in texts.values()):
        raise _damaged(path, "a prompt holds half a character", where)
    return StoredPrompts({name: text or "" for name, text in texts.items()}, default)


def _damaged(path: Path, what: str, where: str) -> ConfigError:
    return ConfigError(f"{path.name} is damaged: {what}", where=where, fix=f"correct {path}")
