"""What a user may say to an engine of other machines: ``hydra.launcher.partition=gpu``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from xferlab.errors import ConfigError
from xferlab.validation import build_typed

KEY = "hydra.launcher"
PLAIN = re.compile(r"[\w.,:/@=+*&|()\[\]-]*")
"""Slurm reads several options from one line, so a value has no blank in it."""


def _check(settings: Any, least: Mapping[str, float]) -> None:
    """Raise ValueError for a number below its least, or a word that says more than it may."""
    for name, smallest in least.items():
        value = getattr(settings, name)
        if value is not None and value < smallest:
            raise ValueError(f"{name} must be at least {smallest}, got {value}")
    for name in (each.name for each in fields(settings)):
        value = getattr(settings, name)
        if isinstance(value, str) and not PLAIN.fullmatch(value):
            raise ValueError(f"{name} may hold no blanks and quotes, got {value!r}")


@dataclass(frozen=True)
class RaySettings:
    """How a job runs on Ray, in Ray's words.

    Attributes:
        address: of the head, ``HOST:PORT``; ``auto`` is the cluster of this machine.
        auth: ``token``, as ``ray start`` has it, or ``disabled``.
        num_cpus: processors a job; its number of threads, rounded up.
        num_gpus: GPUs a job.
        max_retries: how often a job whose node died is begun again.
    """

    address: str = "auto"
    auth: str = "token"
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    max_retries: int = 3

    def __post_init__(self) -> None:
        if self.auth not in ("token", "disabled"):
            raise ValueError(f"auth must be token or disabled, got '{self.auth}'")
        _check(self, {"num_cpus": 0.1, "num_gpus": 0, "max_retries": 0})


@dataclass(frozen=True)
class SubmititSettings:
    """How a job runs in a process that submitit keeps.

    Attributes:
        timeout_min: minutes after which it is saved and begun again.
        max_num_timeout: how often.
    """

    timeout_min: int = 10080
    max_num_timeout: int = 20

    def __post_init__(self) -> None:
        _check(self, {"timeout_min": 1, "max_num_timeout": 0})


@dataclass(frozen=True)
class SlurmSettings:
    """How a job runs on Slurm, in submitit's words.

    Attributes:
        partition: where; null is the cluster's default, here and below.
        account: who pays.
        qos: quality of service.
        constraint: features of the node.
        timeout_min: minutes after which it is saved and queued again.
        signal_delay_s: seconds before that at which it is told to save.
        max_num_timeout: how often it is queued again.
        cpus_per_task: processors, and its number of threads.
        gpus_per_node: GPUs.
        mem_gb: memory.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    timeout_min: int = 240
    signal_delay_s: int = 120
    max_num_timeout: int = 20
    cpus_per_task: int = 1
    gpus_per_node: int | None = None
    mem_gb: float | None = None

    def __post_init__(self) -> None:
        least = {"timeout_min": 1, "signal_delay_s": 1, "max_num_timeout": 0, "cpus_per_task": 1}
        _check(self, {**least, "gpus_per_node": 0, "mem_gb": 0.001})
        if self.signal_delay_s >= self.timeout_min * 60:
            raise ValueError(
                f"signal_delay_s must be less than timeout_min, {self.timeout_min * 60} s,"
                f" got {self.signal_delay_s}"
            )


SETTINGS = {
    "hydra_plugins.xferlab.RayLauncher": RaySettings,
    "hydra_plugins.xferlab.SubmititLauncher": SubmititSettings,
    "hydra_plugins.xferlab.SlurmLauncher": SlurmSettings,
}


def settings_of(node: Mapping[str, Any]) -> Any:
    """Return the checked settings of a ``hydra.launcher`` node; None if it is no engine of ours.

    Raises:
        ConfigError: an unknown key, or a value that is refused.
    """
    kind = SETTINGS.get(str(node.get("_target_")))
    if kind is None:
        return None
    return build_typed(kind, {k: v for k, v in node.items() if k != "_target_"}, KEY)


def refuse_devices(gpus: Any) -> None:
    """Raise ConfigError for ``sweep.gpus``, which shares out this machine's devices."""
    if gpus:
        raise ConfigError(
            "sweep.gpus shares out the devices of this machine, and the jobs run on others",
            where="sweep.gpus",
            fix=f"{KEY}.num_gpus=1 (Ray) or {KEY}.gpus_per_node=1 (Slurm) asks for them",
        )
