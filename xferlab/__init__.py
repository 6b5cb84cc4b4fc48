"""Transfer learning on text as composable, registered experiments.

Everything a plugin may import from the framework is named here or in ``public``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from xferlab import origin as origin  # first: it binds this package's own conf and plugins
from xferlab.callbacks import Callback, Epoch, Evaluation, Result, Run, Step
from xferlab.contracts import (
    Accepts,
    Budget,
    EncoderOutputs,
    Encoding,
    LabelKind,
    Moment,
    Needs,
    OutputKind,
    Phase,
    Processed,
    Reads,
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
from xferlab.public import PUBLIC
from xferlab.registry import register
from xferlab.validation import added_field

if TYPE_CHECKING:
    from xferlab.api.encoder import encoder as encoder
    from xferlab.api.train import sweep as sweep
    from xferlab.api.train import train as train
    from xferlab.functional.pooling import max_of_tokens as max_of_tokens
    from xferlab.functional.pooling import mean_of_tokens as mean_of_tokens
    from xferlab.functional.pooling import weighted_mean_of_tokens as weighted_mean_of_tokens
    from xferlab.inference.load import load_run as load

__version__ = "0.2.0"

__all__ = [
    "Accepts",
    "Budget",
    "Callback",
    "ConfigError",
    "EncoderOutputs",
    "Encoding",
    "Epoch",
    "Evaluation",
    "LabelKind",
    "Moment",
    "Needs",
    "OutputKind",
    "Phase",
    "PluginError",
    "Processed",
    "Reads",
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
    "encoder",
    "load",
    "max_of_tokens",
    "mean_of_tokens",
    "register",
    "sweep",
    "train",
    "weighted_mean_of_tokens",
]


def __getattr__(name: str) -> Any:
    """Import what is public when it is used: a plugin needs only what is light."""
    if name in PUBLIC:
        module, _, attribute = PUBLIC[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    if name in EXPORTS:
        report_renamed(f"xferlab.{name}", f"xferlab.{EXPORTS[name]}")
        return globals()[EXPORTS[name]]
    raise AttributeError(f"module 'xferlab' has no attribute '{name}'")
