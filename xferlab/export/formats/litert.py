"""LiteRT (TensorFlow Lite), for telephones and small machines; converted by TensorFlow itself."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from xferlab.contracts import TaskSpec
from xferlab.export.formats.base import Format, register
from xferlab.export.formats.saved_model import write_graph
from xferlab.export.model_card import write_graph_card
from xferlab.export.serving_function import Predictor, tokenizer_arrays

if TYPE_CHECKING:
    import numpy as np

    from xferlab.inference.run import Run

FILE = "model.tflite"
_USE = """from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
serve = Interpreter("FOLDER/model.tflite").get_signature_runner("serving_default")
found = tokenizer(TEXTS, truncation=True, padding=True, return_tensors="np")
outputs = serve(**{name: array.astype("int32") for name, array in found.items()})
"""


@register
class LiteRT(Format):
    """One .tflite file, for LiteRT (TensorFlow Lite)."""

    name = "litert"
    summary = "one .tflite file, for LiteRT (TensorFlow Lite)"
    is_graph = True

    def write(self, run: Run, folder: Path) -> None:
        """Write one file of LiteRT's own operators; batch and length are free."""
        import tensorflow as tf

        with tempfile.TemporaryDirectory() as graph:
            write_graph(run, Path(graph), "int32")
            converter = tf.lite.TFLiteConverter.from_saved_model(graph)
            if self.is_rounded:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]  # of weights alone, no data
            (folder / FILE).write_bytes(converter.convert())
        write_graph_card(run, folder, _USE)

    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the file computes in TensorFlow's own interpreter."""
        import tensorflow as tf

        with warnings.catch_warnings():  # that it will be removed in TF 2.20; 2.21 has it
            warnings.simplefilter("ignore", UserWarning)
            interpreter = tf.lite.Interpreter(str(folder / FILE))
        interpreter.allocate_tensors()  # prints a line of its own, which is held back here
        serve = interpreter.get_signature_runner("serving_default")

        def predict(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            found = serve(**tokenizer_arrays(inputs, "int32"))
            return {name: value.copy() for name, value in found.items()}

        return predict
