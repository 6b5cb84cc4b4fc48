"""The formats that a run can be exported to, and what each needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.export.formats import keras as keras_file
from xferlab.export.formats import litert as litert_file
from xferlab.export.formats import onnx as onnx_file
from xferlab.export.formats import saved_model
from xferlab.export.formats import transformers as transformers_folder
from xferlab.export.serving_function import Answer
from xferlab.inference.run import Run


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        summary: what it is, one line.
        write: writes the run's network into an empty folder, without the tokenizer.
        read: what the written files compute, by the format's own reader.
        refuse: raises ConfigError for a run that the format cannot hold, before anything slow.
        modules: Python modules that ``write`` and ``read`` import beyond xferlab's own needs.
    """

    summary: str
    write: Callable[[Run, Path], None]
    read: Callable[[Path, TaskSpec], Answer]
    refuse: Callable[[Run], None] | None = None
    modules: tuple[str, ...] = ()


FORMATS = {
    "transformers": Format(
        "a folder that transformers loads in PyTorch: AutoModelFor..., pipeline",
        transformers_folder.write,
        transformers_folder.read,
        transformers_folder.refuse,
    ),
    "keras": Format("a .keras file, for Keras 3", keras_file.write, keras_file.read),
    "saved_model": Format(
        "TensorFlow's SavedModel, for TensorFlow Serving", saved_model.write, saved_model.read
    ),
    "onnx": Format(
        "one .onnx file, for onnxruntime",
        onnx_file.write,
        onnx_file.read,
        modules=("tf2onnx", "onnx", "onnxruntime"),
    ),
    "litert": Format(
        "one .tflite file, for LiteRT (TensorFlow Lite)", litert_file.write, litert_file.read
    ),
}


def refuse_missing(name: str) -> None:
    """Raise ConfigError if a package that a format needs is not installed."""
    missing = [m for m in FORMATS[name].modules if importlib.util.find_spec(m) is None]
    if missing:
        raise ConfigError(
            f"--to {name} needs {', '.join(missing)}, which is not installed",
            where=f"--to {name}",
            fix=f"pip install 'xferlab[{name}]'",
        )
