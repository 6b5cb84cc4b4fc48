"""Transfer learning on text as composable, registered experiments.

Everything a plugin may import from the framework is named here; all of it is light.
"""

import importlib
from typing import TYPE_CHECKING, Any

from xferlab import origin as origin  # first: it binds this package's own conf and plugins
from xferlab.callbacks import Callback, Epoch, Evaluation, Result, Run, Step
from xferlab.contracts import (
    Accepts,
    Budget,
    Encoding,
    LabelKind,
    Moment,
    Needs,
    OutputKind,
    Phase,
    Split,
    Take,
    Task,
    TaskSpec,
    TextData,
    TextModel,
    TrainingStep,
    TransferPlan,
    VariableGroup,
)
from xferlab.deprecated import EXPORTS, report_renamed
from xferlab.errors import ConfigError, PluginError
from xferlab.registry import register
from xferlab.validation import added_field

if TYPE_CHECKING:
    from xferlab.api.train import sweep as sweep
    from xferlab.api.train import train as train
    from xferlab.inference.run import load_run as load

FUNCTIONS = {
    "load": "xferlab.inference.run:load_run",
    "sweep": "xferlab.api.train:sweep",
    "train": "xferlab.api.train:train",
}
"""What is imported when it is used: ``module:function``."""

__version__ = "0.2.0"

__all__ = [
    "Accepts",
    "Budget",
    "Callback",
    "ConfigError",
    "Encoding",
    "Epoch",
    "Evaluation",
    "LabelKind",
    "Moment",
    "Needs",
    "OutputKind",
    "Phase",
    "PluginError",
    "Result",
    "Run",
    "Split",
    "Step",
    "Take",
    "Task",
    "TaskSpec",
    "TextData",
    "TextModel",
    "TrainingStep",
    "TransferPlan",
    "VariableGroup",
    "added_field",
    "load",
    "register",
    "sweep",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import functions when they are used: a plugin needs only what is light."""
    if name in FUNCTIONS:
        module, _, function = FUNCTIONS[name].partition(":")
        return getattr(importlib.import_module(module), function)
    if name in EXPORTS:
        report_renamed(f"xferlab.{name}", f"xferlab.{EXPORTS[name]}")
        return globals()[EXPORTS[name]]
    raise AttributeError(f"module 'xferlab' has no attribute '{name}'")
