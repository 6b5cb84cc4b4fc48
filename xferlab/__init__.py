"""Transfer learning on text as composable, registered experiments.

Everything a plugin may import from the framework is named here; all of it is light.
"""

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

if TYPE_CHECKING:
    from xferlab.inference.run import load_run as load

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
    "load",
    "register",
]


def __getattr__(name: str) -> Any:
    """Import ``load`` when it is used: a plugin needs only what is light."""
    if name == "load":
        from xferlab.inference.run import load_run

        return load_run
    if name in EXPORTS:
        report_renamed(f"xferlab.{name}", f"xferlab.{EXPORTS[name]}")
        return globals()[EXPORTS[name]]
    raise AttributeError(f"module 'xferlab' has no attribute '{name}'")
