"""Transfer learning on text as composable, registered experiments.

Everything a plugin may import from the framework is named here; all of it is light.
"""

from xferlab.contracts import (
    Budget,
    Emits,
    Encoding,
    LabelKind,
    Phase,
    Split,
    Takes,
    Task,
    TaskSpec,
    TextData,
    TextModel,
    TransferPlan,
)
from xferlab.errors import ConfigError, PluginError
from xferlab.registry import register

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "ConfigError",
    "Emits",
    "Encoding",
    "LabelKind",
    "Phase",
    "PluginError",
    "Split",
    "Takes",
    "Task",
    "TaskSpec",
    "TextData",
    "TextModel",
    "TransferPlan",
    "register",
]
