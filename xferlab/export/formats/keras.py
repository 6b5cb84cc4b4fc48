"""A ``.keras`` file: architecture and weights, loaded with Keras's safe mode on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from xferlab.contracts import TaskSpec
from xferlab.export.formats.base import Format, register
from xferlab.export.model_card import write_graph_card
from xferlab.export.serving_function import Predictor
from xferlab.inference.predictions import probabilities_of

if TYPE_CHECKING:
    import numpy as np

    from xferlab.inference.run import Run

FILE = "model.keras"
_USE = """import keras
import numpy as np
import xferlab.models.layers  # its layers are found by name
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
network = keras.saving.load_model("FOLDER/model.keras")
found = tokenizer(TEXTS, truncation=True, padding=True, return_tensors="np")
ours = {"input_ids": "token_ids", "attention_mask": "padding_mask", "token_type_ids": "segment_ids"}
outputs = network({ours[name]: array.astype("int32") for name, array in found.items()})
"""


@register
class KerasFile(Format):
    """A .keras file, for Keras 3."""

    name = "keras"
    summary = "a .keras file, for Keras 3"

    def write(self, run: Run, folder: Path) -> None:
        """Write the network; no Lambda, no code, no optimizer is in it."""
        run.model.network.save(folder / FILE)
        write_graph_card(
            run, folder, _USE, "outputs: raw, logits of each class or a regression's value"
        )

    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the file computes."""
        import keras

        import xferlab.models.layers  # noqa: F401 - registers the layers of encoders

        network = keras.saving.load_model(folder / FILE, compile=False, safe_mode=True)

        def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
            import numpy as np

            outputs = np.asarray(network(dict(inputs), training=False), dtype="float32")
            return probabilities_of(spec, outputs)

        return predict
