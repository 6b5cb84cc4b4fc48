"""A run beside its repetition: the first thing that differs, and which versions changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.backend.event_files import read_scalars
from xferlab.formatting import format_count
from xferlab.io.atomic import sha256_of
from xferlab.runs.frozen_file import FILE as FROZEN
from xferlab.runs.frozen_file import have_same_weights
from xferlab.runs.history import history_of
from xferlab.runs.metadata import read_metrics, read_run

STEP_LOSS = "batch_loss"
UNCOMPARED = ("seconds",)
"""Columns of ``history.csv`` that no two runs have in common."""
ENVIRONMENT = ("environment", "precision", "device", "commit")


@dataclass(frozen=True)
class Repetition:
    """What two runs of one config have in common.

    Attributes:
        compared: what was compared, such as ``416 steps``.
        difference: the first thing that differs, "" if all bits are the same.
        changes: what differs in versions, processor and threads, as ``keras 3.14 -> 3.15``.
    """

    compared: Sequence[str]
    difference: str
    changes: Sequence[str]


def compare_runs(first: Path, second: Path) -> Repetition:
    """Compare a finished run with a later run of the same config, bit for bit.

    Raises:
        ConfigError: a file of a run is damaged.
    """
    compared = []
    difference = ""
    for subject, found in _comparisons(first, second):
        compared.append(subject)
        if found:
            difference = found
            break
    return Repetition(compared, difference, list(_changes(read_run(first), read_run(second))))


def _comparisons(first: Path, second: Path) -> Iterator[tuple[str, str]]:
    """Yield what is compared, in the order of training, and how it differs, "" if it does not."""
    losses = [_step_losses(folder) for folder in (first, second)]
    if all(losses):
        yield format_count(len(losses[0]), "step"), _first_other_step(*losses)
    rows = [history_of(folder) for folder in (first, second)]
    yield format_count(len(rows[0]), "epoch"), _first_other_epoch(*rows)
    digests = [read_metrics(folder).get("sha256", {}) for folder in (first, second)]
    for name in sorted(digests[0].keys() & digests[1].keys()):
        is_weights = name.endswith(".safetensors")
        subject = f"{name.removesuffix('.safetensors')} weights" if is_weights else name
        is_same = digests[0][name] == digests[1][name]
        if not is_same and (FROZEN in digests[0]) != (FROZEN in digests[1]):
            paths = [folder / "checkpoints" / name for folder in (first, second)]
            if not all(path.exists() for path in paths):
                continue  # of one of them only the digest of another file is left
            is_same = have_same_weights(*paths)
        yield subject, "" if is_same else f"the {subject}"
    for path in sorted((first / "predictions").glob("*.safetensors")):
        other = second / "predictions" / path.name
        if other.exists():
            is_same = sha256_of(path) == sha256_of(other)
            split = path.stem
            yield f"outputs of {split}", "" if is_same else f"the outputs of {split}"


def _step_losses(run: Path) -> list[tuple[int, float]]:
    """Return step and loss of each batch, as the TensorBoard log has them; empty without one."""
    folders = sorted(path for path in (run / "tensorboard").rglob("train") if path.is_dir())
    return [entry for folder in folders for entry in read_scalars(folder, STEP_LOSS)]


def _first_other_step(
    first: Sequence[tuple[int, float]], second: Sequence[tuple[int, float]]
) -> str:
    for (step, before), (_, now) in zip(first, second, strict=False):
        if before != now:
            return f"step {step}: the loss is {now!r} instead of {before!r}"
    if len(first) != len(second):
        return f"{len(second)} batches instead of {len(first)}"
    return ""


def _first_other_epoch(
    first: Sequence[Mapping[str, float]], second: Sequence[Mapping[str, float]]
) -> str:
    for before, now in zip(first, second, strict=False):
        for key in before:
            if key not in UNCOMPARED and repr(before[key]) != repr(now.get(key)):
                epoch = int(before["epoch"])
                return f"epoch {epoch}: {key} is {now.get(key)!r} instead of {before[key]!r}"
    if len(first) != len(second):
        return f"{len(second)} epochs instead of {len(first)}"
    return ""


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs in two records of how a run was made."""
    for key in sorted({**before.get("versions", {}), **now.get("versions", {})}):
        versions = [record.get("versions", {}).get(key) for record in (before, now)]
        if versions[0] != versions[1]:
            yield f"{key} {versions[0]} -> {versions[1]}"
    for key in ENVIRONMENT:
        flat = [_flat(key, record.get(key)) for record in (before, now)]
        for name in sorted(flat[0].keys() & flat[1].keys()):
            if flat[0][name] != flat[1][name]:
                yield f"{name} {flat[0][name]} -> {flat[1][name]}"


def _flat(key: str, value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {key: value}
