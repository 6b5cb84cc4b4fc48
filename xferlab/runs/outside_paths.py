"""Paths outside the working directory: from the command line, verified by digest, or refused.

The config of a folder that somebody sent names the files its run read. To continue it would read a
private file of that name, and write what is learned from it into their folder. Whoever has the
digest of a file has seen its content, so a place that still holds what the folder recorded gives
nothing away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from xferlab.config.overrides import flatten, format_override
from xferlab.errors import ConfigError
from xferlab.runs.inputs import inputs_of


def refuse_places_outside(
    folder: Path,
    config: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    command_line: Sequence[str] = (),
) -> None:
    """Raise ConfigError if a config from a folder names a path outside that nobody typed.

    Args:
        folder: where the config is from.
        config: resolved; only its plugins' fields are checked.
        before: the record of digests in the folder, None if there is none.
        command_line: the overrides of this command.
    """
    outside = [
        (key, value)
        for key, value in places_outside(config)
        if not any(_is_named_in(value, override) for override in command_line)
    ]
    if not outside:
        return
    known = (before or {}).get("inputs", {})
    now = inputs_of(config).content
    unknown = [(key, value) for key, value in outside if not _is_known(key, known, now)]
    if unknown:
        overrides = " ".join(format_override(key, value) for key, value in unknown)
        key, value = unknown[0]
        held = any(each.partition(": ")[0] == key for each in known)
        more = ", which is not what it was then" if held else ""
        raise ConfigError(
            f"this folder names a place outside the working directory: {value}{more}",
            where=f"{folder}: {key}",
            fix=f"if you mean it, type it too: {overrides}",
        )


def _is_named_in(value: str, override: str) -> bool:
    """Return whether an override has a text as its value, or as an item of it, not as a part."""
    return re.search(rf"[=\[,:'\"]{re.escape(value)}(?:$|[\],}}'\"])", override) is not None


def places_outside(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield key and value of each text of a config that names a place outside."""
    for key, value in flatten(config, into_lists=True):
        if isinstance(value, str) and _leads_out(value):
            yield key, value


def _leads_out(text: str) -> bool:
    """Return whether a text is a path that begins at the root or at home, or climbs.

    One that is nothing but signs, such as the separator of labels, is none.
    """
    if not text.strip("/~. ") or "\n" in text:
        return False
    if PurePath(text).is_absolute() and Path(text).is_relative_to(Path.cwd()):
        return ".." in PurePath(text).parts
    return text.startswith(("/", "~")) or ".." in PurePath(text).parts


def _is_known(key: str, known: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether a path has the content that the folder's record names, file by file."""
    own = {each: sha for each, sha in now.items() if each.partition(": ")[0] == key}
    return bool(own) and all(known.get(each) == sha for each, sha in own.items())
