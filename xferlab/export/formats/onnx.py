"""ONNX, for onnxruntime and everything else that reads it; converted by tf2onnx."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

FILE = "model.onnx"
OPSET = 18
"""Of the operators; the newest that tf2onnx 1.17 writes."""
USE = """import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
session = onnxruntime.InferenceSession("FOLDER/model.onnx")
found = tokenizer(TEXTS, truncation=True, padding=True, return_tensors="np")
names = [output.name for output in session.get_outputs()]
outputs = dict(zip(names, session.run(names, dict(found))))
"""


@register
class Onnx(Format):
    """One .onnx file, for onnxruntime."""

    name = "onnx"
    summary = "one .onnx file, for onnxruntime"
    is_graph = True
    modules = ("tf2onnx", "onnx", "onnxruntime")

    def write(self, run: Run, folder: Path) -> None:
        """Write one file with the weights in it; batch and sequence are free axes."""
        self.write_model(run, folder / FILE)
        write_graph_card(run, folder, USE)

    def write_model(self, run: Run, path: Path) -> None:
        """Write the file alone, in float32."""
        import onnx
        import tensorflow as tf
        import tf2onnx

        serve, signature = serving_function(run.model.network, run.spec, "int64", run.postprocessor)
        model, _ = tf2onnx.convert.from_function(
            tf.function(serve, input_signature=[signature]),
            input_signature=[signature],
            opset=OPSET,
            custom_op_handlers={"Erfc": (_erfc, [])},
        )
        for value in (*model.graph.input, *model.graph.output):
            for axis, name in zip(
                value.type.tensor_type.shape.dim, ("batch", "sequence"), strict=False
            ):
                if axis.dim_param:
                    axis.dim_param = name
        onnx.checker.check_model(model)
        onnx.save(model, str(path))

    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the file computes in onnxruntime, on the processor."""
        import onnxruntime

        session = onnxruntime.InferenceSession(
            str(folder / FILE), providers=["CPUExecutionProvider"]
        )

        names = [output.name for output in session.get_outputs()]

        def predict(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            found = session.run(names, tokenizer_arrays(inputs, "int64"))
            return dict(zip(names, found, strict=True))

        return predict


def _erfc(graph: Any, node: Any, _name: str, _arguments: Any) -> None:
    """Write ``erfc(x)``, TensorFlow's way to GELU, as ``1 - erf(x)``: tf2onnx knows only erf."""
    import numpy as np

    node.type = "Erf"
    one = graph.make_const(f"{node.name}_one", np.array(1, "float32"))
    output = node.output[0]
    difference = graph.insert_new_node_on_output("Sub", output, name=f"{node.name}_complement")
    graph.replace_inputs(difference, [one.output[0], output])
