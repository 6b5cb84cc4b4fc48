"""ONNX with weights of 8 bits, by onnxruntime's dynamic quantization."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from xferlab.export.formats.base import register
from xferlab.export.formats.onnx import FILE, USE, Onnx
from xferlab.export.model_card import write_graph_card

if TYPE_CHECKING:
    from xferlab.inference.run import Run


@register
class OnnxInt8(Onnx):
    """One .onnx file with int8 weights; activations are quantized while it runs."""

    name = "onnx_int8"
    summary = "one .onnx file with weights of 8 bits: smaller, with other outputs"
    extra = "onnx"
    is_rounded = True

    def write(self, run: Run, folder: Path) -> None:
        """Write the float32 file elsewhere and quantize it; no data is needed.

        Weights have a scale for each output channel, and 7 of the 8 bits: with all of them, sums
        overflow on processors without VNNI, so that outputs would depend on the machine
        (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
        """
        from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic

        with tempfile.TemporaryDirectory() as exact:
            path = Path(exact) / FILE
            self.write_model(run, path)
            quant_pre_process(path, path, skip_optimization=True, skip_symbolic_shape=True)
            quantize_dynamic(
                path,
                folder / FILE,
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
            )
        write_graph_card(run, folder, USE)
