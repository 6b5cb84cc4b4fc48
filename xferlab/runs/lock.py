"""One process a run folder: a lock that the kernel drops when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from xferlab.errors import ConfigError

log = logging.getLogger("xferlab")
NAME = ".lock"
ENGINE_FOLDER = ".submitit"
"""In a sweep's folder: an engine's own files, links among them. Nothing else writes into it."""
PATIENCE_SECONDS = 1.0
"""A mere check (:func:`is_locked`) holds the lock for a moment."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system answers that has none, e.g. Lustre mounted without ``flock``."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder``, made where needed, for the time of the body.

    Raises:
        ConfigError: another process holds it, or it holds a link.
        OSError: the folder cannot be written to.
    """
    refuse_links(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(folder / NAME, os.O_RDWR | os.O_CREAT) as stream:
        if not _taken(stream):
            raise ConfigError(
                f"another process is at work in this run's folder ({stream.read(200).strip()})",
                where=str(folder),
                fix="wait for it or stop it, or choose another folder: hydra.run.dir=FOLDER",
            )
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        yield


def refuse_links(folder: Path) -> None:
    """Raise ConfigError if there is a link in ``folder``: writing there would write elsewhere."""
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where, name)
            if path.is_symlink():
                raise ConfigError(
                    f"this run's folder holds a link, {path.relative_to(folder)}",
                    where=str(folder),
                    fix="put the thing itself there, or choose another hydra.run.dir",
                )
        if Path(where) == folder and ENGINE_FOLDER in folders:
            folders.remove(ENGINE_FOLDER)


def is_locked(folder: Path) -> bool | None:
    """Return whether a living process holds ``folder``; it is not made and not changed.

    Returns:
        None where it is unknown: nobody ever held it, or there are no locks here.
    """
    try:
        with _opened(folder / NAME, os.O_RDONLY) as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _opened(path: Path, how: int) -> TextIO:
    """Open an ordinary file; in a stranger's folder it may be a link, or a pipe to wait for."""
    handle = os.open(path, how | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "no ordinary file", str(path))
    return os.fdopen(handle, "r+" if how & os.O_RDWR else "r", encoding="utf-8", errors="replace")


def _taken(stream: TextIO) -> bool:
    """Return whether this process has the lock now, or the file system has none."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        except OSError as e:
            if e.errno not in NO_LOCKS:
                raise
            log.warning("note       no locks on this file system: let no second process work here")
            return True
