"""The plugin files of a run, found again by its record."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from xferlab.discovery import load_recorded
from xferlab.errors import XferlabError
from xferlab.io.atomic import digest_of
from xferlab.runs.inputs import file_of, read_inputs
from xferlab.runs.metadata import read_run

OF_THE_NETWORK = ("model", "head", "transfer", "postprocess")
"""The groups whose plugins compute the outputs of a finished run."""
log = logging.getLogger("xferlab")


def load_plugins_of(folder: Path) -> None:
    """Import the files of a run's plugins that are not here otherwise; see ``load_recorded``.

    A run that has not begun has no record, and nothing is imported.
    """
    if (folder / "run.json").exists():
        load_recorded(read_run(folder).get("plugins", {}))


def note_changed_plugins(folder: Path, groups: Iterable[str] = OF_THE_NETWORK) -> None:
    """Log a line for each file of a plugin that is not as it was when the run was trained."""
    recorded = (read_inputs(folder) or {}).get("plugins", {})
    for name, digest in recorded.items():
        if name.partition("=")[0] in groups and ": " not in name and digest:
            try:
                path = file_of(name)
            except XferlabError:
                continue  # it is not installed, which is reported where it is needed
            if path.is_file() and digest_of([path]) != digest:
                log.warning("note       %s: %s has changed since this run was trained", name, path)
