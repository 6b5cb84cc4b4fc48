"""Fetches the weights of a Hub checkpoint: the free disk is checked, a part that is there is kept.

The Hub's client stores each file in the cache, but discards what it has of one when a download
ends early. Large files are therefore fetched here, into the same cache, and continued.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError
from xferlab.formatting import format_size
from xferlab.models.checkpoint_files import WeightFormat
from xferlab.models.hub_cache import cache_folder
from xferlab.progress import Pace

LARGE = 10_000_000
"""Bytes from which on a file is announced, and continued after an interruption."""

log = logging.getLogger("xferlab")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a checkpoint on the Hub.

    Attributes:
        name: in the repository.
        size: bytes.
        sha256: of its content, for a file in Git LFS; empty for the others.
    """

    name: str
    size: int
    sha256: str


def remote_files(repo_id: str, commit: str) -> list[RemoteFile]:
    """Return the files at the top of a repository; one request."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    entries = HfApi(library_name="xferlab").list_repo_tree(repo_id, revision=commit)
    return [
        RemoteFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else "")
        for entry in entries
        if isinstance(entry, RepoFile)
    ]


def files_of_format(files: list[RemoteFile], format: WeightFormat) -> list[RemoteFile]:
    """Return the weight files of a format, empty where a checkpoint does not have it whole."""
    found = [
        each for each in files if any(fnmatch(each.name, pattern) for pattern in format.patterns)
    ]
    is_whole = {format.file, format.index}.intersection(each.name for each in found)
    return found if is_whole else []


def fetch_large(repo_id: str, commit: str, files: list[RemoteFile], where: str) -> None:
    """Put the large ones of the files into the Hub's cache, from where a download ended before.

    Raises:
        ConfigError: the disk has too little room for all files.
        OSError: a download failed; what was fetched is kept.
    """
    blobs = cache_folder(repo_id) / "blobs"
    missing = {each: _left(blobs, each) for each in files if not (blobs / each.sha256).is_file()}
    _refuse_full_disk(repo_id, sum(missing.values()), where)
    large = [each for each in missing if each.size >= LARGE and each.sha256]
    if large:
        size = format_size(sum(missing[each] for each in large))
        log.info("downloading %s of %s to %s", size, repo_id, blobs.parent.parent)
    for each in large:
        _fetch(repo_id, commit, each, blobs)


def _left(blobs: Path, file: RemoteFile) -> int:
    """Return how many bytes of a file are not there yet."""
    partial = _partial(blobs, file)
    return file.size - (partial.stat().st_size if file.sha256 and partial.is_file() else 0)


def _partial(blobs: Path, file: RemoteFile) -> Path:
    return blobs / f"{file.sha256}.incomplete"


def _refuse_full_disk(repo_id: str, needed: int, where: str) -> None:
    folder = cache_folder(repo_id)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"'{repo_id}' needs {format_size(needed)} of disk, and {format_size(free)} are free in"
            f" {folder}",
            where=where,
            fix="free disk space, or set HF_HOME to a folder on another disk",
        )


def _fetch(repo_id: str, commit: str, file: RemoteFile, blobs: Path) -> None:
    """Fetch a file into its place in the cache; one that is damaged is left to the client."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    locks = blobs.parents[1] / ".locks" / blobs.parent.name
    for folder in (locks, blobs):
        folder.mkdir(parents=True, exist_ok=True)
    partial = _partial(blobs, file)
    with WeakFileLock(locks / f"{file.sha256}.lock"):
        if (blobs / file.sha256).is_file():
            return
        with partial.open("ab") as target:
            if target.tell() > file.size:
                target.truncate(0)
            if target.tell():
                log.info("%s: continued after %s", file.name, format_size(target.tell()))
            http_get(
                hf_hub_url(repo_id, file.name, revision=commit),
                target,
                resume_size=target.tell(),
                headers=build_hf_headers(library_name="xferlab"),
                expected_size=file.size,
                displayed_filename=file.name,
                tqdm_class=_progress_class(),
            )
        with partial.open("rb") as content:
            is_whole = hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
        if is_whole:
            partial.replace(blobs / file.sha256)
        else:
            partial.unlink()


def _progress_class() -> type:
    """Return the class that shows progress: a bar on a terminal, else lines of the log."""
    from huggingface_hub import constants
    from tqdm.auto import tqdm

    is_quiet = constants.HF_HUB_DISABLE_PROGRESS_BARS or not sys.stderr.isatty()
    return _Progress if is_quiet else tqdm


class _Progress:
    """Progress of a download as lines of the log; takes what a bar of tqdm takes."""

    def __init__(self, *, total: int, initial: int = 0, desc: str = "", **_: Any) -> None:
        self._name = desc
        self._total = total
        self._first = initial
        self._done = initial
        self._pace = Pace(first=1.0)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: int) -> None:
        """Add bytes."""
        self._done += count
        if self._done >= self._total or not self._pace.is_due():
            return
        fetched = max(self._done - self._first, 1)
        log.info(
            "%s: %s of %s, %s/s, %s",
            self._name,
            format_size(self._done),
            format_size(self._total),
            format_size(self._pace.rate(fetched)),
            self._pace.left(fetched, self._total - self._first),
        )
