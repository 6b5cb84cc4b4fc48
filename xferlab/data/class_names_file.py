"""``labels.txt`` beside a file: the names of the classes, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xferlab.errors import ConfigError

NAMES_FILE = "labels.txt"
LARGEST_FILE = 4_000_000


@dataclass(frozen=True)
class Names:
    """Names that come with the data.

    Attributes:
        names: in the order that numbers mean.
        source: where they come from, for messages.
    """

    names: tuple[str, ...] = ()
    source: str = "the dataset"


def names_beside(path: Path) -> list[str]:
    """Return the lines of ``labels.txt`` in the folder of a file, if there is one.

    Bytes that are not UTF-8 become U+FFFD; whether that matters depends on what the labels are.

    Raises:
        ConfigError: it cannot be read, or is too large for a list of names.
    """
    file = path.parent / NAMES_FILE
    if not file.is_file():
        return []
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except OSError as e:
        raise _unusable(file, f"cannot be read: {e.strerror}") from e
    if len(data) > LARGEST_FILE:
        raise _unusable(file, "is too large for a list of class names")
    text = data.decode("utf-8-sig", "replace")
    return [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []


def is_garbled(names: Sequence[str]) -> bool:
    """Return whether names are not UTF-8 in their file."""
    return any("\ufffd" in name or "\0" in name for name in names)


def _unusable(file: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{file}, which names the classes, {what}",
        where=str(file),
        fix="put it elsewhere; data.class_names=[A,B] is used instead of it",
    )
