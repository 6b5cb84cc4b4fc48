"""The disk that a sweep takes: an estimate before it starts, and one file of weights a job."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.config.recipe import mode_of_score
from xferlab.config.schema import Keep
from xferlab.contracts import Budget, TextModel
from xferlab.errors import XferlabError
from xferlab.formatting import format_size
from xferlab.groups import GROUPS
from xferlab.io.atomic import atomic_replace, sha256_of
from xferlab.models.block_sizes import block_parameters
from xferlab.registry import REGISTRY
from xferlab.runs.frozen_file import FILE as FROZEN
from xferlab.runs.kept_weights import delete_unkept, has_second_file, tidy_finished
from xferlab.runs.metadata import read_metrics
from xferlab.runs.score import read_score
from xferlab.sweeps.job_state import FINISHED, state_of
from xferlab.sweeps.manifest import read_job
from xferlab.training.phases import always_frozen_blocks
from xferlab.training.transfer_stack import check_transfer

BYTES = 4
"""Of a number in a file of weights."""
EPOCHS = 3
"""Of a run whose config leaves them open; what is frozen hardly depends on them."""
STEPS = 100
"""Of an epoch: nothing depends on them here."""
FILES = {Keep.both: 2, Keep.best: 1, Keep.last: 1, Keep.none: 0}


@dataclass(frozen=True)
class _Score:
    """The best value of a finished job, larger is better, and how it is compared."""

    monitor: str
    value: float


class SecondFiles:
    """Leaves one file of weights in each finished job of a sweep, and both in the best one.

    Jobs that choose ``train.keep`` themselves are left alone, and so are those of a version without
    it. A job's scores belong to the file that stays. The best so far is found in the folders, so it
    does not matter who runs the jobs, or how often the sweep was stopped.

    Args:
        folders: every job of the sweep, in the order of its plan.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(folders)
        self._best: dict[str, tuple[float, Path]] | None = None
        self._frozen: dict[str, Path] = {}

    def ended(self, folder: Path) -> None:
        """Delete the second file of a job that has finished, or of the job that it is better than.

        Jobs that are equally good keep both until :meth:`finish`. Weights that no job trains become
        one file.
        """
        self._link_frozen(folder)
        score = _score_of(folder)
        if self._best is None:
            self._best = {}
            others = (each for each in self._folders if each != folder)
            for other in others:
                self._compare(other, _score_of(other))
        if score is not None:
            self._compare(folder, score)

    def finish(self) -> None:
        """Leave both files in the first of the best jobs alone, and nothing that no job keeps."""
        scores: dict[Path, _Score | None] = {}
        for folder in self._folders:
            config = _config_of_finished(folder)
            _tidy(folder, config)
            if config is not None:
                self._link_frozen(folder)
            scores[folder] = _score_by(folder, config)
        best: dict[str, Path] = {}
        for folder, score in scores.items():
            if score is None:
                continue
            first = best.setdefault(score.monitor, folder)
            first_score = scores[first]
            if first_score is not None and score.value > first_score.value:
                best[score.monitor] = folder
        for folder, score in scores.items():
            if score is not None and best[score.monitor] != folder:
                leave_one(folder)

    def _link_frozen(self, folder: Path) -> None:
        """Let a job's file of weights that nothing trains be that of another job, if it has any."""
        path = folder / "checkpoints" / FROZEN
        try:
            digest = read_metrics(folder).get("sha256", {}).get(FROZEN)
        except (XferlabError, OSError):
            return
        if digest is None or not path.exists():
            return
        first = self._frozen.setdefault(digest, path)
        if first.exists() and os.path.samefile(first, path):
            return
        if not first.exists() or sha256_of(first) != digest:
            self._frozen[digest] = path
            return
        with suppress(OSError):  # a disk without links
            atomic_replace(path, lambda temporary: _link(first, temporary))

    def _compare(self, folder: Path, score: _Score | None) -> None:
        assert self._best is not None
        if score is None:
            return
        value, best = self._best.get(score.monitor, (score.value, folder))
        if score.value < value:
            leave_one(folder)
            return
        if score.value > value:
            leave_one(best)
        self._best[score.monitor] = (score.value, folder)


def _link(path: Path, name: Path) -> None:
    name.unlink()
    os.link(path, name)


def _score_of(folder: Path) -> _Score | None:
    """Return the score of a finished job that has one, and leaves its files to the sweep."""
    return _score_by(folder, _config_of_finished(folder))


def _config_of_finished(folder: Path) -> dict[str, Any] | None:
    """Return the config of a job; None if it has not finished, or cannot be read."""
    try:
        return read_job(folder)["config"] if state_of(folder).status == FINISHED else None
    except (XferlabError, OSError):
        return None


def _score_by(folder: Path, config: dict[str, Any] | None) -> _Score | None:
    if config is None:
        return None
    try:
        score = read_score(folder)
    except (XferlabError, OSError):
        return None
    if config.get("train", {}).get("keep", "both") is not None or score.value is None:
        return None
    sign = 1 if mode_of_score(config, score.monitor) == "max" else -1
    return _Score(score.monitor, sign * score.value)


def _tidy(folder: Path, config: dict[str, Any] | None) -> None:
    """Delete what a finished job does not keep, where it was killed before it could."""
    if config is None:
        return
    keep = config.get("train", {}).get("keep")
    with suppress(XferlabError):  # a damaged job, which is reported elsewhere
        tidy_finished(folder, Keep(keep) if keep else None)


def leave_one(folder: Path) -> None:
    """Delete the weights of a finished job that its scores do not belong to."""
    if has_second_file(folder):
        delete_unkept(folder, Keep(read_metrics(folder).get("weights", "best")))


def disk_lines(configs: Iterable[Any], folder: Path, workers: int) -> list[str]:
    """Return a line on the disk that jobs take; none where the size of a network is not known.

    Args:
        configs: of every job.
        folder: of the sweep.
        workers: jobs at once.
    """
    known: dict[str, _Size | None] = {}
    files: dict[str, int] = {}
    jobs = 0
    with_both = []
    for config in configs:
        parts = [config["model"], config.get("transfer"), config.get("train", {}).get("epochs")]
        name = json.dumps(parts, sort_keys=True, default=str)
        if name not in known:
            known[name] = _size_of(config)
        size = known[name]
        if size is None:
            return []
        chosen = config.get("train", {}).get("keep")
        files[name] = files.get(name, 0) + (1 if chosen is None else FILES[Keep(chosen)])
        if chosen is None:
            with_both.append(size.own)
        jobs += 1
    sizes = {name: size for name, size in known.items() if size is not None}
    if not sizes:
        return []
    shared = sum(size.frozen for name, size in sizes.items() if files[name])
    total = sum(files[name] * size.own for name, size in sizes.items()) + shared
    total += max(with_both, default=0)
    running = max(size.while_running for size in sizes.values()) * min(workers, jobs)
    how = "one file of weights a job, both of the best" if with_both else "train.keep chooses"
    how += ", what no job trains once" if shared else ""
    existing = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(existing).free
    line = (
        f"disk       about {format_size(total)}: {how}; while jobs run up to"
        f" {format_size(running)} more; {format_size(free)} free"
    )
    is_enough = total + running <= free
    return [line if is_enough else f"{line}: too little (train.keep=none keeps scores alone)"]


@dataclass(frozen=True)
class _Size:
    """The bytes of a network's weights.

    Attributes:
        own: of those that a job trains, the size of each of its files.
        frozen: of those that no job trains.
    """

    own: int
    frozen: int

    @property
    def while_running(self) -> int:
        """Bytes of the best weights, and of two checkpoints with two slots for what is trained."""
        return 3 * (self.own + self.frozen) + 4 * self.own


def _size_of(config: Any) -> _Size | None:
    whole = weight_bytes(config["model"])
    if whole is None:
        return None
    frozen = min(whole, frozen_bytes(config))
    return _Size(whole - frozen, frozen)


def frozen_bytes(config: Any) -> int:
    """Return the bytes of the blocks that no phase trains, as far as they are known: from 0 up.

    Weights that a strategy holds fixed within a block, as LoRA's, are known once the network is
    built.
    """
    try:
        sizes = block_parameters(REGISTRY.create("model", config["model"]).fetch_small())
        transfer = REGISTRY.create_chosen(GROUPS["transfer"], config["transfer"])
        epochs = config.get("train", {}).get("epochs") or EPOCHS
        blocks = dict.fromkeys([*sizes, "head"], ("",))
        model = TextModel(network=None, tokenizer=None, blocks=blocks)  # type: ignore[arg-type]
        plan = check_transfer(transfer, model, Budget(epochs, STEPS, epochs * STEPS))
    except (XferlabError, OSError, AttributeError, KeyError):
        return 0
    return BYTES * sum(sizes.get(block, 0) for block in always_frozen_blocks(plan.phases))


def weight_bytes(model: Any) -> int | None:
    """Return the bytes of a network's weights by the numbers in its checkpoint, None if unknown."""
    try:
        plugin = REGISTRY.create("model", model)
        if not hasattr(plugin, "fetch_small"):
            return None
        return int(plugin.fetch_small().parameters) * BYTES or None
    except (XferlabError, OSError, AttributeError):
        return None
