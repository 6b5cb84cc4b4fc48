"""What an engine is: settings that a user sets, and where the jobs of a sweep run.

An engine is one file: a dataclass of settings (``hydra.launcher.KEY``), which starts an
:class:`Engine`. Its preset, its Hydra launcher and the keys that a config file may set follow from
the fields.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Protocol

from xferlab.backend.device import THREAD_VARIABLES
from xferlab.config.allowlist import LAUNCHER_TEXT
from xferlab.config.schema import SweepConfig
from xferlab.discovery import FOLDERS

KEY = "hydra.launcher"
WORKER = ("-m", "xferlab.sweeps.worker", "--tied")
"""Arguments of Python for a job, without its folder; it ends when its standard input closes."""


class Engine(Protocol):
    """Where jobs run."""

    @property
    def capacity(self) -> int | None:
        """How many jobs it should have at once; None for all."""

    @property
    def delay(self) -> float:
        """Seconds until what a job wrote is visible on this machine."""

    def adopt(self, folders: Sequence[Path]) -> list[Path]:
        """Return those of ``folders`` that an earlier command submitted and that it still has."""

    def submit(self, folders: Sequence[Path]) -> None:
        """Submit jobs."""

    def released(self) -> dict[Path, str]:
        """Return the jobs that it no longer has, however they ended, each with what it reports."""

    def cancel(self, folders: Iterable[Path]) -> None:
        """Cancel jobs; those that run are requested to end."""


@dataclass(frozen=True)
class EngineSettings(ABC):
    """The settings of an engine.

    Attributes:
        name: of the preset, ``hydra/launcher=NAME``.
        launcher: name of the Hydra launcher in ``_target_``.
        package: Python package that must be installed; empty for none.
        extra: of xferlab, which installs it.
        gpu_key: the field that requests GPUs for a job; empty where there is none.
        minimums: the least value of each number.
        in_files: by field, a regular expression of what a config file may set; a user may type
            anything that the engine accepts.
    """

    name: ClassVar[str]
    launcher: ClassVar[str]
    package: ClassVar[str] = ""
    extra: ClassVar[str] = ""
    gpu_key: ClassVar[str] = ""
    minimums: ClassVar[Mapping[str, float]] = {}
    in_files: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        for name, least in self.minimums.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str) and not re.fullmatch(LAUNCHER_TEXT, value):
                raise ValueError(f"{field.name} may hold no blanks and quotes, got {value!r}")

    def check_reachable(self) -> None:  # noqa: B027 - most need no check
        """Raise ConfigError unless the engine answers; called before any job is submitted."""

    @abstractmethod
    def start(self, sweep: SweepConfig, folder: Path) -> Engine:
        """Return the engine for the jobs of one sweep.

        Args:
            sweep: how its jobs are to be run.
            folder: of the sweep.
        """


def job_variables(cpus: float, threads: int | None) -> dict[str, str | None]:
    """Return the environment of a job that has so many processors, and this process's plugins."""
    count = str(threads or max(1, round(cpus)))
    folders = os.environ.get(FOLDERS)  # a node may have some of its own, where none are chosen
    return {**dict.fromkeys(THREAD_VARIABLES, count), **({FOLDERS: folders} if folders else {})}


def workspace() -> str:
    """Return the sweep's working directory, which all machines have under one path."""
    return os.getcwd()
