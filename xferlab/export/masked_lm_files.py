"""A masked language model as transformers' ``...ForMaskedLM``: written, and read back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from xferlab.contracts import TaskSpec
from xferlab.data.tokenizer import load_tokenizer
from xferlab.models.architectures import Architecture
from xferlab.models.checkpoint import resolve
from xferlab.models.masked_lm import LAYER, TENSORS, input_change
from xferlab.models.text_vector import TextVector
from xferlab.models.weight_names import ENDINGS

if TYPE_CHECKING:
    import numpy as np

FRACTION_KEY = "mlm_probability"
"""In ``config.json``: the fraction of masked tokens, as transformers' collator calls it."""


def masked_lm_tensors(network: Any, architecture: Architecture) -> dict[str, np.ndarray]:
    """Return the tensors of the head by transformers' names, float32.

    Its decoder is the table of embeddings, which is among the encoder's.
    """
    import numpy as np

    stems = TENSORS[architecture.model_type]
    head = network.get_layer("head")
    found = {stems["bias"]: np.asarray(head.bias, "float32")}
    for part in ("dense", "norm"):
        for variable in getattr(head, part).weights:
            ending = variable.path.rpartition("/")[2]
            array = np.asarray(variable, "float32")
            stored = np.ascontiguousarray(array.T) if ending == "kernel" else array
            found[f"{stems[part]}.{ENDINGS[ending][0]}"] = stored
    return found


def masked_lm_keys(network: Any) -> dict[str, Any]:
    """Return what ``config.json`` says of the masks."""
    return {FRACTION_KEY: float(network.get_layer(LAYER).fraction)}


def read_masked_lm(folder: Path, spec: TaskSpec) -> Any:
    """Return the network that the files in a folder define, masks included.

    Args:
        folder: with tokenizer, ``config.json`` and tensors.
        spec: the task.
    """
    from xferlab.models.encoder import load_encoder
    from xferlab.models.head import assign_pretrained_head, network_of_task

    checkpoint = resolve(str(folder))
    head = SimpleNamespace(fraction=checkpoint.config[FRACTION_KEY])
    change = input_change(spec, load_tokenizer(folder), head)
    encoder = load_encoder(checkpoint, pooler=False, prepare=change)
    vector = TextVector(encoder.architecture.class_pooling, is_of_class=True)
    network, _, _ = network_of_task(encoder, spec, vector, 0.0)
    assign_pretrained_head(network, encoder.architecture, checkpoint, spec.task)
    return network
