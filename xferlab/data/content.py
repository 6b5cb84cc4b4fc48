"""Digests of a data plugin's files, or the commit of its dataset."""

from __future__ import annotations

import os
from pathlib import Path

from xferlab.data.class_names_file import NAMES_FILE
from xferlab.data.paths import find_files
from xferlab.io.atomic import digest_of, digest_of_folder
from xferlab.models.content import commit_of


class ReadsFiles:
    """A data plugin whose splits are files: a path or a glob each, or None."""

    train: str
    validation: str | None
    test: str | None
    class_names: list[str]

    def paths(self) -> dict[str, str]:
        """Return the path or glob of each split that has files."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {split: path for split, path in every.items() if path is not None}

    def inputs(self) -> dict[str, str]:
        """Return the digest of each split's files, and of a ``labels.txt`` that gives the classes.

        Raises:
            ConfigError: a file is not there.
        """
        found = {split: find_files(path, f"data.{split}") for split, path in self.paths().items()}
        digests = {split: digest_of(files) for split, files in found.items()}
        names = found["train"][0].parent / NAMES_FILE
        if names.is_file() and not self.class_names:
            digests[f"train: {NAMES_FILE}"] = digest_of([names])
        return digests


def content_of_dataset(name: str, revision: str | None) -> dict[str, str]:
    """Return the digest of a folder laid out like a dataset, or the commit of one of the Hub.

    Raises:
        ConfigError: the Hub cannot be reached, and its cache has no commit.
    """
    folder = Path(os.path.expanduser(name))
    if folder.is_dir():
        return {"id": digest_of_folder(folder)}
    return commit_of(name, revision, key="id", kind="dataset")
