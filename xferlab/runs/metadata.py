"""What a run leaves in writing: where it is, what it was, how it ended."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from xferlab.backend.device import available_cores, processor_name
from xferlab.deprecated import current_plan, current_record
from xferlab.errors import ConfigError, XferlabError, encodable, text_of
from xferlab.escaping import visible
from xferlab.io.atomic import atomic_write, sha256_of, write_json
from xferlab.io.records import read_record
from xferlab.registry import REGISTRY, Entry, chosen_plugins

FORMAT = 2
"""Version of a run's folder, in its ``run.json``: 2 has the names of xferlab 0.2."""
OLDEST_FORMAT = 1
"""The oldest version that is read; see :mod:`xferlab.deprecated`."""
PACKAGES = (
    "xferlab",
    "tensorflow",
    "keras",
    "transformers",
    "tokenizers",
    "datasets",
    "hydra-core",
    "omegaconf",
    "numpy",
)

PLAN = "sweep.json"
"""In a sweep's folder: its jobs and what they vary."""
MAX_PLAN_BYTES = 64_000_000  # ten thousand jobs have about three million
LONGEST_NAME = 200  # bytes of the name of a file that a model keeps
LONGEST_ERROR = 10_000  # characters of an error in status.json
LONGEST_TEXT = 1_000_000  # characters of error.txt
RUN_ID = re.compile("[0-9a-f]{8}")
STATUS = {
    "status": re.compile("[a-z_ -]{1,30}"),
    "attempt?": int,
    "process?": range(1, 2**31),
    "host?": str,
    "started?": str,
    "changed?": str,
    "error?": str,
    "signal?": range(1, 65),
}
SCORES = {"*": (float, None)}
METRICS = {
    "best": {"monitor": str, "value": (float, None), "epoch": (int, None)},
    "weights?": re.compile("best|last"),
    "sha256?": {"*": str},
    "validation?": SCORES,
    "test?": SCORES,
    "baselines?": {"*": {"*": SCORES}},
    "verdict?": [str],
    "seconds?": float,
}
RUN = {
    "run_id": RUN_ID,
    "command?": [str],
    "versions?": {"*": (str, None)},
    "commit?": (str, None),
    "plugins?": {"*": str},
    "task": {
        "task": str,
        "class_names": [str],
        "class_counts": [int],
        "rows": {"*": int},
        "max_length": int,
        "pairs": bool,
        "output_kind": str,
        "windows?": range(2**40),
    },
    "data": {"*": str},
    "checkpoint": dict,
    "monitor?": str,
    "plan?": {"epochs": int},
    "micro_batches?": range(1, 2**20),
    "precision?": str,
    "device?": str,
    "environment?": {"*": (str, int, None)},
}
"""What a run's three JSON files hold, as far as it is read again; see ``records.Shape``."""


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the resolved experiment as ``config.yaml``."""
    atomic_write(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(config))))


def write_status(folder: Path, status: str, **details: Any) -> None:
    """Replace ``status.json``, the truth about a run.

    Args:
        folder: the run's folder.
        status: ``running``, ``finished``, ``failed``, ``nan``, ``pruned``, ``interrupted`` or
            ``preempted``.
        details: further values, e.g. ``error``.
    """
    path = folder / "status.json"
    before = _status_before(path)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = {
        "status": status,
        "attempt": before.get("attempt", 0) + (status == "running"),
        "process": os.getpid(),
        "host": socket.gethostname(),
        "started": now if status == "running" else before.get("started", now),
        "changed": now,
        **{key: _sayable(value) for key, value in details.items()},
    }
    write_json(path, record)


def _status_before(path: Path) -> dict[str, Any]:
    """Return the status so far; nothing where it cannot be read, for the new one replaces it."""
    try:
        return read_record(path, STATUS) if path.exists() else {}
    except ConfigError:
        return {}


def _sayable(value: Any) -> Any:
    """Return a text that can be written and read again, whatever an error's message is."""
    if not isinstance(value, str):
        return value
    return encodable(value if len(value) <= LONGEST_ERROR else f"{value[:LONGEST_ERROR]}...")


def read_status(folder: Path) -> dict[str, Any]:
    """Return the content of ``status.json``; ``{"status": "unknown"}`` where there is none."""
    path = folder / "status.json"
    return read_record(path, STATUS) if path.exists() else {"status": "unknown"}


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return the content of ``metrics.json``: the best value, and the scores by split."""
    return read_record(folder / "metrics.json", METRICS)


def read_run(folder: Path) -> dict[str, Any]:
    """Return the content of ``run.json``: what made the run, its task, its data's digests."""
    return read_record(folder / "run.json", RUN, upgrade=current_record)


def swept_keys(folder: Path) -> list[str]:
    """Return the keys that the sweep of a job varies; none for a run of its own."""
    path = folder.parent / PLAN
    if not path.exists():
        return []
    keys: list[str] = read_record(
        path, {"swept": [str]}, largest=MAX_PLAN_BYTES, upgrade=current_plan
    )["swept"]
    return keys


def recorded_micro_batches(folder: Path) -> int:
    """Return how many slices a batch of the run in ``folder`` is computed in; 1 for a new run."""
    return _read_begun(folder).get("micro_batches", 1)


def recorded_precision(folder: Path) -> str | None:
    """Return the precision that the run in ``folder`` computes in; None for a new run."""
    return _read_begun(folder).get("precision")


def planned_epochs(folder: Path) -> int | None:
    """Return how many epochs the run in ``folder`` was planned for, None if that is not known."""
    return _read_begun(folder).get("plan", {}).get("epochs")


def _read_begun(folder: Path) -> dict[str, Any]:
    """Return the ``run.json`` of a run that has begun, empty before."""
    return read_run(folder) if (folder / "run.json").exists() else {}


def write_error(folder: Path, error: BaseException) -> None:
    """Keep a failure beside the run: the three lines of a known error, else the traceback."""
    if isinstance(error, XferlabError):
        text = str(error)
    else:
        try:
            text = "".join(traceback.format_exception(error))
        except Exception as e:  # noqa: BLE001 - an exception whose message fails
            text = f"{type(error).__name__}: {text_of(error)} ({type(e).__name__} when shown)"
    atomic_write(folder / "error.txt", visible(encodable(text[-LONGEST_TEXT:])) + "\n")


def provenance(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what made a run: command, versions, commit, machine and the plugins' files."""
    return {
        "command": current_command(),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "commit": _commit(Path.cwd()),
        "host": {
            "name": socket.gethostname(),
            "system": platform.platform(),
            "processors": os.cpu_count(),
        },
        "plugins": _plugin_origins(config),
    }


def current_command() -> list[str]:
    """Return the command that this process runs, as a user types it."""
    return ["python", "-m", "xferlab", *sys.argv[1:]]


def keep_files(folder: Path, files: Mapping[str, Path | bytes]) -> dict[str, str]:
    """Write a model's files into ``folder`` and return the SHA-256 of each, by name."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        if Path(name).name != name or "\0" in name or len(name.encode()) > LONGEST_NAME:
            raise ConfigError(
                f"the model wants to keep a file named {name[:60]!r}",
                where="model",
                fix="TextModel.files has plain file names",
            )
        atomic_write(folder / name, content if isinstance(content, bytes) else content.read_bytes())
    return {name: sha256_of(folder / name) for name in sorted(files)}


def refuse_other_data(folder: Path, digests: Mapping[str, str]) -> None:
    """Raise ConfigError if an earlier attempt in ``folder`` read other rows."""
    before = read_run(folder)["data"] if (folder / "run.json").exists() else digests
    changed = [name for name in before if digests.get(name) != before[name]]
    if changed:
        raise ConfigError(
            f"the rows of {', '.join(changed)} are not those that this run started with",
            where="data",
            fix="put the old data back, or begin a new run",
        )


def environment_fingerprint(threads: int) -> dict[str, Any]:
    """Return what the last bits of a result depend on: versions, processor, threads.

    Args:
        threads: that one operation may use; 0 where the backend chooses.
    """
    return {
        **{name: _version(name) for name in ("xferlab", "tensorflow", "keras", "numpy")},
        "processor": processor_name(),
        "threads": os.environ.get("OMP_NUM_THREADS") or threads or available_cores(),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    """Return the checked-out commit of ``folder``, with ``+changes`` if the tree is not clean."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(folder, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def _plugin_origins(config: Mapping[str, Any]) -> dict[str, str]:
    """Return where each plugin of a config comes from: file and line, or distribution too."""
    names = sorted(name for name, _, _ in chosen_plugins(config))
    points = list(importlib.metadata.entry_points(group="xferlab.plugins"))
    return {name: _from(REGISTRY.get(*name.split("=", 1)), points) for name in names}


def _from(entry: Entry, points: Sequence[importlib.metadata.EntryPoint]) -> str:
    package = entry.cls.__module__.partition(".")[0]
    for point in points:
        if point.module.partition(".")[0] == package and point.dist is not None:
            return f"{entry.origin} ({point.dist.name} {point.dist.version})"
    return entry.origin
