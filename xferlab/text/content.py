"""What tells the rows that a data plugin names from any others: digests of files, or a commit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xferlab.files import digest_of, digest_of_folder
from xferlab.pretrained.content import commit_of
from xferlab.text.tables import find_files

LABELS = "labels.txt"


def content_of_files(patterns: Mapping[str, str | None], *, own_names: bool) -> dict[str, str]:
    """Return the digest of each split's files, and of a ``labels.txt`` beside the training file.

    Args:
        patterns: a path or a glob by split; None for a split without files.
        own_names: the classes are given, so that no ``labels.txt`` is read.

    Raises:
        ConfigError: a file is not there.
    """
    found = {split: find_files(path, f"data.{split}") for split, path in patterns.items() if path}
    digests = {split: digest_of(files) for split, files in found.items()}
    names = found["train"][0].parent / LABELS
    if names.is_file() and not own_names:
        digests[f"train: {LABELS}"] = digest_of([names])
    return digests


def content_of_dataset(name: str, revision: str | None) -> dict[str, str]:
    """Return the digest of a folder laid out like a dataset, or the commit of one of the Hub.

    Raises:
        ConfigError: the Hub cannot be asked, and its cache does not know.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return {"id": digest_of_folder(folder)}
    return commit_of(name, revision, key="id", kind="dataset")
