"""Whole files: written to a temporary name, synced, then renamed; a reader never sees half."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

TMP_PREFIX = ".partial-"
"""How the names of files and folders begin that are not whole yet."""


def atomic_write(path: Path, content: str | bytes) -> None:
    """Replace ``path`` with ``content`` atomically, making its folder where needed."""
    data = content.encode("utf-8") if isinstance(content, str) else content

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    atomic_replace(path, write)


def atomic_replace(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` on a temporary name beside ``path``, sync the file and rename it into place.

    The temporary name keeps the suffixes of ``path``, because some writers choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=TMP_PREFIX, suffix=f"-{path.name}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        sync(temporary)
        temporary.chmod(0o666 & ~umask())
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_link(path: Path, other: Path) -> None:
    """Replace ``path`` by a second name of ``other``, or by a copy where there are no links."""

    def write(temporary: Path) -> None:
        temporary.unlink()
        link_or_copy(other, temporary)

    atomic_replace(path, write)


def link_or_copy(path: Path, name: Path) -> None:
    """Give a file a second name, or a copy where the file system has no links."""
    try:
        os.link(path, name)
    except OSError:
        shutil.copyfile(path, name)
        sync(name)


def delete_temporary(folder: Path) -> None:
    """Delete what a killed process left half written, in ``folder`` and below it."""
    for path in folder.rglob(f"{TMP_PREFIX}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole."""
    atomic_write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(paths: Iterable[Path]) -> str:
    """Return a digest of the content of these files, in this order.

    Of one file it is the SHA-256. The bytes are read once a process, unless the file changes.
    """
    digests = [_digest_of_state(path.absolute(), file_state(path)) for path in paths]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def digest_of_folder(folder: Path) -> str:
    """Return a digest of the ordinary files below ``folder``, by name and content.

    Hidden files and links that lead out of the folder are left aside.
    """
    digest = hashlib.sha256()
    inside = folder.resolve()
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and path.resolve().is_relative_to(inside):
            digest.update(f"{path.relative_to(folder)} {digest_of([path])}\n".encode())
    return digest.hexdigest()


def file_state(path: Path) -> tuple[int, ...]:
    """Return what changes with a file's content: place, size and times."""
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=4096)
def _digest_of_state(path: Path, state: tuple[int, ...]) -> str:
    return sha256_of(path)


@contextmanager
def no_standard_input() -> Iterator[None]:
    """Let nothing in the body read standard input: it holds the user's texts, or their answers.

    A library that prompts there gets end-of-file.
    """
    before = sys.stdin
    with open(os.devnull, encoding="utf-8") as nothing:
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before


def umask() -> int:
    """Return the bits that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
