"""Loads a finished run, or one that several runs were combined into, from its folder."""

from __future__ import annotations

from pathlib import Path

from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.inference.ensemble import Ensemble
from xferlab.inference.run import Run
from xferlab.inference.run_folder import COPY, read_folder
from xferlab.io.records import damaged
from xferlab.runs.combined import ENSEMBLES, FILE, MEMBERS, read_combined
from xferlab.runs.recorded_plugins import load_plugins_of, note_changed_plugins


def load_run(folder: str | Path, weights: str | None = None) -> Run:
    """Return the finished run in ``folder``; TensorFlow is imported when its model is used.

    Args:
        folder: of the run.
        weights: ``best`` or ``last``; None for those that the run's scores belong to.

    Raises:
        ConfigError: there is no run, or a file of it is missing, damaged or of another version, or
            the plugins of its model are not installed.
    """
    load_plugins(Path.cwd())
    content = read_folder(Path(folder), weights)
    load_plugins_of(content.folder)
    record = read_combined(content.folder)
    if record is None or record["how"] not in ENSEMBLES:
        run = Run(content)
        for group in ("model", "transfer"):
            run.plugin(group)
        note_changed_plugins(content.folder)
        return run
    if weights is not None:
        raise ConfigError(
            f"this run is of {len(record['members'])} runs: it has no {weights} weights",
            where=str(folder),
            fix="leave the choice of weights out",
        )
    members = tuple(_member(content.folder, i, m) for i, m in enumerate(record["members"]))
    return Ensemble(content, members, record["how"])


def _member(folder: Path, number: int, record: dict[str, str]) -> Run:
    """Return a member of an ensemble, which must be the one that was combined."""
    path = folder / MEMBERS / str(number)
    if path.is_symlink() or path.parent.is_symlink():
        raise ConfigError(f"member {number} is behind a link", where=str(folder), fix=COPY)
    run = Run(read_folder(path))
    if run.content.digest != record["weights"]:
        raise damaged(folder / FILE, f"{FILE} names other weights than those of {path.name}")
    for group in ("model", "transfer"):
        run.plugin(group)
    return run
