"""The monitored value of an epoch."""

from __future__ import annotations

from xferlab.training.events import Epoch


def monitored_value(epoch: Epoch, monitor: str) -> float:
    """Return the value with the name ``monitor``, e.g. ``val_accuracy`` or ``loss``."""
    if monitor.startswith("val_"):
        return epoch.validation[monitor.removeprefix("val_")]
    return epoch.train[monitor]
