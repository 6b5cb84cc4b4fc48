"""How fast a run's network predicted its last split: ``latency.json`` in its folder."""

from __future__ import annotations

from pathlib import Path

from xferlab.io.atomic import write_json
from xferlab.io.records import read_record

FILE = "latency.json"
SHAPE = {"split": str, "examples": float, "seconds": float, "batch_size": int}


def write_latency(
    folder: Path, split: str, examples: float, seconds: float, batch_size: int
) -> None:
    """Write what was measured.

    Args:
        folder: of the run.
        split: what was predicted.
        examples: how many; those of the first batch, which may be compiled for, are left out.
        seconds: that they took, tokenising left out.
        batch_size: examples of a batch.
    """
    record = {"split": split, "examples": examples, "seconds": seconds, "batch_size": batch_size}
    write_json(folder / FILE, record)


def read_latency(folder: Path) -> float | None:
    """Return the milliseconds an example; None where nothing was measured.

    Raises:
        ConfigError: the file is damaged.
    """
    if not (folder / FILE).exists():
        return None
    record = read_record(folder / FILE, SHAPE)
    if not record["examples"] > 0:
        return None
    return float(1000 * record["seconds"] / record["examples"])
