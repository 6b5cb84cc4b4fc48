"""TensorFlow's SavedModel: a graph with weights, for TensorFlow Serving and its relatives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from xferlab.contracts import TaskSpec
from xferlab.export.formats.base import Format, register
from xferlab.export.model_card import write_graph_card
from xferlab.export.serving_function import (
    Predictor,
    serving_function,
    tokenizer_arrays,
)

if TYPE_CHECKING:
    import numpy as np

    from xferlab.inference.run import Run

_USE = """import tensorflow as tf
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
serve = tf.saved_model.load("FOLDER").signatures["serving_default"]
found = tokenizer(TEXTS, truncation=True, padding=True, return_tensors="np")
outputs = serve(**{name: tf.constant(array, "int64") for name, array in found.items()})
"""


@register
class SavedModel(Format):
    """TensorFlow's SavedModel, for TensorFlow Serving."""

    name = "saved_model"
    summary = "TensorFlow's SavedModel, for TensorFlow Serving"
    is_graph = True

    def write(self, run: Run, folder: Path) -> None:
        """Write a SavedModel with one signature, ``serving_default``."""
        write_graph(run, folder, "int64")
        write_graph_card(run, folder, _USE)

    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the signature computes."""
        import tensorflow as tf

        loaded = tf.saved_model.load(str(folder))
        serve = loaded.signatures["serving_default"]

        def predict(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            arrays = tokenizer_arrays(inputs, "int64")
            outputs = serve(**{name: tf.constant(array) for name, array in arrays.items()})
            return {name: value.numpy() for name, value in outputs.items()}

        predict.keeps = loaded  # type: ignore[attr-defined]  # its variables live as long as it does
        return predict


def write_graph(run: Run, folder: Path, dtype: str) -> None:
    """Write the SavedModel alone, its inputs in ``dtype``."""
    import keras

    serve, signature = serving_function(run.model.network, run.spec, dtype, run.postprocessor)
    archive = keras.export.ExportArchive()
    archive.track(run.model.network)
    archive.add_endpoint("serving_default", serve, input_signature=[signature])
    archive.write_out(str(folder), verbose=False)
