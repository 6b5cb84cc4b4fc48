"""``combine.json`` in the folder of a run that several runs were combined into."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xferlab.io.records import read_record

FILE = "combine.json"
MEMBERS = "members"
"""Folder with a run's folder for each member of an ensemble: ``members/0``, ``members/1``, ..."""
ENSEMBLES = ("average", "vote")
"""Whose networks are all kept; of a soup there is one network."""
SHAPE = {
    "how": re.compile("average|vote|soup"),
    "differ?": [str],
    "members": [{"run": str, "run_id": str, "weights": str, "used": bool}],
}


def read_combined(folder: Path) -> Mapping[str, Any] | None:
    """Return how a run was combined, None for one that was trained.

    Raises:
        ConfigError: the record is damaged.
    """
    path = folder / FILE
    record: Mapping[str, Any] | None = read_record(path, SHAPE) if path.exists() else None
    return record


def differing_keys(folder: Path) -> frozenset[str]:
    """Return the keys of the config in which the combined runs differ: it has one run's values."""
    record = read_combined(folder) or {}
    return frozenset(record.get("differ", ()))


def is_ensemble(folder: Path) -> bool:
    """Return whether a run keeps the networks of several."""
    record = read_combined(folder)
    return record is not None and record["how"] in ENSEMBLES
