"""LiteRT with weights of 8 bits: dynamic range quantization of TensorFlow's converter."""

from __future__ import annotations

from xferlab.export.formats.base import register
from xferlab.export.formats.litert import LiteRT


@register
class LiteRTInt8(LiteRT):
    """One .tflite file with int8 weights; activations are quantized while it runs.

    https://ai.google.dev/edge/litert/models/post_training_quantization
    """

    name = "litert_int8"
    summary = "one .tflite file with weights of 8 bits: smaller, with other outputs"
    is_rounded = True
