"""Which run folder a command works in: a new one, an interrupted one, or one to be replaced."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xferlab.config.allowlist import read_config_data, read_saved_overrides
from xferlab.config.overrides import format_for_shell, key_of
from xferlab.config.recipe import Recipe, identity
from xferlab.errors import ConfigError, XferlabError, printable, what_of
from xferlab.io.atomic import TMP_PREFIX
from xferlab.runs.checkpoints import latest_step
from xferlab.runs.inputs import (
    InputsReader,
    changed_since,
    read_fixed_inputs,
    refuse_changed_inputs,
)
from xferlab.runs.lock import is_locked
from xferlab.runs.metadata import planned_epochs, read_status

BEGUN = {".lock", ".hydra", "train.log", "config.yaml", "inputs.json"}
"""What a run that was killed before it began may leave; such a folder is as good as empty."""
SHOWN = 5
"""Keys that a message names."""
LENGTH = ("train.epochs", "train.max_steps")
"""A run may continue with more of these than it started with."""


@dataclass(frozen=True)
class PreviousRun:
    """A run that exists already, compared with a config that may continue it.

    Attributes:
        folder: where it is.
        status: of its ``status.json``.
        progress: its newest checkpoint, then its last status change; sorts by how far it got.
        changed: key -> (value there, value here), where the two configs differ.
        stale: what its config names and is not what it was: files, checkpoints, plugins.
    """

    folder: Path
    status: str
    progress: tuple[str, str]
    changed: Mapping[str, tuple[Any, Any]]
    stale: tuple[str, ...] = ()

    @property
    def can_resume(self) -> bool:
        """Whether this config may continue it: nothing differs but a greater length."""
        return self.is_same and not self.stale

    @property
    def is_same(self) -> bool:
        """Whether the configs are equal, or differ in a greater length alone."""
        return all(
            key in LENGTH and None not in values and values[1] > values[0]
            for key, values in self.changed.items()
        )


def earlier(folder: Path, recipe: Recipe, reader: InputsReader | None = None) -> PreviousRun:
    """Compare the run in ``folder`` with ``recipe``; its inputs, too, if the configs are equal.

    Args:
        folder: of a run.
        recipe: a config.
        reader: digests that were made already.

    Raises:
        ConfigError: a file of the run is damaged.
    """
    there = identity(read_config_data(folder / "config.yaml"))
    here = identity(recipe.config)
    keys = sorted(there.keys() | here.keys())
    pairs = {key: (there.get(key), here.get(key)) for key in keys}
    if pairs["train.epochs"][0] is None:  # nobody chose then: what was planned counts
        given = pairs["train.epochs"][1]
        pairs["train.epochs"] = (planned_epochs(folder) if given else None, given)
    changed = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    status = read_status(folder)
    progress = (latest_step(folder / "checkpoints"), str(status.get("changed", "")))
    found = PreviousRun(folder, status["status"], progress, changed)
    before = read_fixed_inputs(folder) if found.is_same else None
    if before is None:
        return found
    now = (reader or InputsReader()).of(recipe.config)
    return replace(found, stale=tuple(changed_since(before, now, recipe.config)))


def run_folder(
    recipe: Recipe, usual: Path, *, named: bool, recover: str | None, force: bool
) -> Path:
    """Return the folder that this command works in.

    Args:
        recipe: the config.
        usual: ``hydra.run.dir``, where a new run would go.
        named: the user named that folder, so no other is considered.
        recover: a folder to resume, "" to find one beside ``usual``, None for a new run
            (unless ``train.resume=auto`` finds one).
        force: replace what is in ``usual``.

    Raises:
        ConfigError: nothing to resume, or another config, or a folder that is not empty.
    """
    if recover:
        return Path(recover)  # which the runner compares
    auto = recipe.train.resume.value == "auto"
    if recover is not None or auto:
        folders = [usual] if named else sorted(usual.parent.glob("*"))
        found = _earlier_runs(folders, recipe, named=named)
        same = [one for one in found if one.can_resume]
        if same:
            return _best(same).folder
        if not auto:
            raise _nothing_to_resume(found, usual)
        for one in found:
            if one.is_same:
                _print_note(f"{one.folder} is not continued: {', '.join(one.stale)} changed since")
    if force:
        _clear(usual)
    if is_used(usual):
        raise ConfigError(
            f"this folder is not empty ({_content(usual)})",
            where=str(usual),
            fix="--recover resumes the run in it, --force replaces it, or choose another"
            " hydra.run.dir",
        )
    return usual


def _earlier_runs(folders: Sequence[Path], recipe: Recipe, *, named: bool) -> list[PreviousRun]:
    """Return the runs among ``folders``; one that is damaged is named and left aside.

    Raises:
        ConfigError: a damaged one is the very folder that was named.
    """
    reader = InputsReader()
    found = []
    for folder in folders:
        try:
            if _has_run(folder):
                found.append(earlier(folder, recipe, reader))
        except (XferlabError, OSError) as e:
            if named:
                raise
            _print_note(f"{folder} is skipped: {what_of(e)}")
    return found


def _print_note(text: str) -> None:
    print(f"note       {printable(text)}", file=sys.stderr)


def refuse_changed(folder: Path, recipe: Recipe) -> PreviousRun | None:
    """Return the earlier run in ``folder``, None if there is none; refuse another config's."""
    if not _has_run(folder):
        return None
    before = earlier(folder, recipe)
    if before.can_resume:
        return before
    if before.is_same:
        refuse_changed_inputs(folder, before.stale)
    raise ConfigError(
        f"the run in this folder has another config: {_differences(before.changed)}",
        where=str(folder),
        fix=f"{_as_then(before.changed)} (train.epochs may be larger), or start a new run",
    )


def stored_overrides(folder: Path) -> list[str]:
    """Return the overrides that the run in ``folder`` was started with."""
    path = folder / ".hydra" / "overrides.yaml"
    if not os.path.exists(path):
        raise ConfigError(
            "there is no run in this folder", where=f"--recover={folder}", fix="name a run's folder"
        )
    overrides = read_saved_overrides(path)
    for override in overrides:
        if key_of(override).partition(".")[0].partition("/")[0] == "hydra":
            raise ConfigError(
                f"this folder sets '{override}', which is accepted from the command line only",
                where=str(path),
                fix="type the run's overrides yourself, without --recover=FOLDER",
            )
    return overrides


def is_used(folder: Path) -> bool:
    """Return whether there is anything in a folder but what a run may leave before it begins."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return any(name not in BEGUN and not name.startswith(TMP_PREFIX) for name in names)


def _has_run(folder: Path) -> bool:
    return (folder / "status.json").exists() and (folder / "config.yaml").exists()


def _best(runs: list[PreviousRun]) -> PreviousRun:
    """Return the unfinished run that got furthest; if all are finished, the last of those."""
    unfinished = [run for run in runs if run.status != "finished"]
    return max(unfinished or runs, key=lambda run: (not run.changed, run.progress))


def _nothing_to_resume(found: list[PreviousRun], usual: Path) -> ConfigError:
    fix = "leave --recover out to start a new run (train.resume=auto resumes only if it can)"
    for run in found:
        if run.is_same:
            refuse_changed_inputs(run.folder, run.stale)
    unfinished = [run for run in found if run.status != "finished"]
    if not unfinished:
        return ConfigError(
            "there is no interrupted run to resume", where=str(usual.parent), fix=fix
        )
    near = min(unfinished, key=lambda run: len(run.changed))
    return ConfigError(
        f"no interrupted run has this config; the nearest differs: {_differences(near.changed)}",
        where=str(near.folder),
        fix=f"{_as_then(near.changed)}, or {fix}",
    )


def _differences(changed: Mapping[str, tuple[Any, Any]]) -> str:
    shown = [
        f"{key} is {here}, was {there}" for key, (there, here) in list(changed.items())[:SHOWN]
    ]
    more = len(changed) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _as_then(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Return what gives an earlier config, also where a preset or a default has changed since."""
    choices = [key for key in changed if key.partition(".")[2] == "name"]
    if choices or len(changed) > SHOWN or any(None in pair for pair in changed.values()):
        return "give the overrides, and the files of presets, of then"
    words = [format_for_shell(key, there) for key, (there, _) in changed.items()]
    return f"set {' '.join(words)}"


def _clear(folder: Path) -> None:
    """Delete a run's folder; any other is left alone and refused."""
    if not is_used(folder):
        return
    if not (folder / "status.json").exists() and not (folder / ".hydra").exists():
        raise ConfigError(
            "--force replaces a run, and this folder holds something else",
            where=str(folder),
            fix="empty it yourself, or choose another hydra.run.dir",
        )
    if is_locked(folder):
        raise ConfigError(
            "another process is at work in this run's folder", where=str(folder), fix="stop it"
        )
    shutil.rmtree(folder)


def _content(folder: Path) -> str:
    status = read_status(folder)["status"]
    return "no run" if status == "unknown" else f"a run: {status}"
