"""The device that a training runs on, and why a GPU of the machine is not it."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from xferlab.backend.process import import_backend
from xferlab.formatting import format_count

THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Give a new process its number of threads; TensorFlow reads them when it is imported."""
HIDDEN = ("", "-1")
"""Values of CUDA_VISIBLE_DEVICES that hide every GPU."""


@dataclass(frozen=True)
class Devices:
    """What TensorFlow can use.

    Attributes:
        gpus: the name of each GPU.
        has_cuda: whether TensorFlow is built for GPUs of NVIDIA.
    """

    gpus: tuple[str, ...]
    has_cuda: bool

    def describe(self) -> str:
        """Return the GPUs, or the processor with its cores if there is none."""
        if self.gpus:
            return f"GPU: {', '.join(self.gpus)}"
        return f"CPU: {processor_name()}, {format_count(available_cores(), 'core')}"


def find_devices() -> Devices:
    """Return what TensorFlow, which is imported, can use; nothing is placed on a device."""
    import_backend()
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    details = (tf.config.experimental.get_device_details(device) for device in found)
    names = tuple(
        str(detail.get("device_name", device.name))
        for device, detail in zip(found, details, strict=True)
    )
    return Devices(names, tf.test.is_built_with_cuda())


def gpus_of_machine() -> list[str]:
    """Return the GPUs that the NVIDIA driver lists."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def are_gpus_hidden() -> bool:
    """Return whether CUDA_VISIBLE_DEVICES hides every GPU."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") in HIDDEN


def way_to_use(devices: Devices) -> str:
    """Return what makes TensorFlow use the GPU of a machine where it does not."""
    if are_gpus_hidden():
        return "unset CUDA_VISIBLE_DEVICES"
    if not devices.has_cuda:
        return "install a TensorFlow with CUDA: pip install 'xferlab[cuda]'"
    return "install the CUDA libraries: pip install 'xferlab[cuda]'"


def unused_gpu_note(devices: Devices) -> str | None:
    """Return a line about GPUs that are there, not hidden, and not used; None without any."""
    if devices.gpus or are_gpus_hidden():
        return None
    present = gpus_of_machine()
    if not present:
        return None
    names = ", ".join(present)
    return f"this machine has a GPU ({names}) that TensorFlow does not see: {way_to_use(devices)}"


def processor_name() -> str:
    """Return the processor's model; ``platform.processor()`` is empty on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
