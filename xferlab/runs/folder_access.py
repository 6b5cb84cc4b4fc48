"""The one gate of every command that writes into a run's folder, or deletes from it.

The folder may be a stranger's. A link in it would lead the command elsewhere: so the way to what is
written or deleted has no link in it, below the folder that was named.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from xferlab.errors import ConfigError
from xferlab.runs.lock import refuse_links

UNUSABLE = {
    errno.EEXIST: "there is a file of this name, and a folder is needed",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.ENAMETOOLONG: "this path is longer than the file system allows",
    errno.ELOOP: "a link in this path leads back to itself",
    errno.EINVAL: "the file system does not allow this path",
}


def own_place(folder: Path, *parts: str) -> Path:
    """Return the path of something in a run's folder that is to be written or replaced.

    Raises:
        ConfigError: a part of the way is a link, or what is there holds one.
    """
    place = folder
    for part in parts:
        place = place / part
        if place.is_symlink():
            raise ConfigError(
                f"this run's folder holds a link, {place.relative_to(folder)}",
                where=str(folder),
                fix="put the thing itself there, or copy the run without it",
            )
    refuse_links(place)
    return place


def refuse_unusable(folder: Path, fix: str) -> None:
    """Raise ConfigError for a path at which no folder can be.

    Args:
        folder: where a run or a sweep is to be kept.
        fix: what to type instead.
    """
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            raise FileExistsError(errno.EEXIST, "")
        for parent in folder.parents:
            if parent.exists():
                if not parent.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, "")
                break
        os.stat(folder)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as e:
        number = e.errno if isinstance(e, OSError) else errno.EINVAL
        if number not in UNUSABLE:
            raise
        shown = str(folder)
        where = shown if len(shown) <= 80 else f"{shown[:60]}... ({len(shown)} letters)"
        raise ConfigError(UNUSABLE[number], where=where, fix=fix) from e
