"""The heads of transformers' own models, by architecture, so that a trained head can be theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xferlab.models.encoder_config import EncoderConfig
from xferlab.models.weight_names import prefix_of, stem_of

if TYPE_CHECKING:
    import numpy as np

_DENSE = {"distilbert": ("pre_classifier", "relu")}
_CLASSES = {
    "albert": "Albert",
    "bert": "Bert",
    "distilbert": "DistilBert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
}


def first_token_dense(architecture: str) -> tuple[str, str]:
    """Return name and activation of the dense layer that a head puts on the first token.

    DistilBERT's models for classification have a ReLU there, the others a tanh.
    """
    return _DENSE.get(architecture, ("head_dense", "tanh"))


def class_name(architecture: str, head_class: str) -> str:
    """Return transformers' class: ``BertForSequenceClassification`` and its like."""
    return f"{_CLASSES[architecture]}For{head_class}"


def head_names(config: EncoderConfig, token_classification: bool) -> tuple[str, str]:
    """Return the stems of a head's tensors: the dense layer's (``""``: none), the output's."""
    if token_classification:
        return "", "classifier"
    if "roberta" in config.architecture:
        return "classifier.dense", "classifier.out_proj"
    if config.architecture == "distilbert":
        return "pre_classifier", "classifier"
    return prefix_of(config) + stem_of(config, "pooler", ""), "classifier"


def head_tensors(
    network: Any, config: EncoderConfig, token_classification: bool
) -> dict[str, np.ndarray]:
    """Return the tensors of a network's head (and pooler) by transformers' names, float32."""
    by_name = {layer.name: layer for layer in network.layers}
    dense, output = head_names(config, token_classification)
    tensors = _dense_tensors(by_name["head"], output)
    if dense:
        ours = first_token_dense(config.architecture)[0]
        tensors |= _dense_tensors(by_name["pooler" if "pooler" in by_name else ours], dense)
    return tensors


def _dense_tensors(layer: Any, stem: str) -> dict[str, np.ndarray]:
    """Return a dense layer's ``STEM.weight`` (out, in) and ``STEM.bias`` (out,)."""
    import numpy as np

    kernel, bias = (np.asarray(w, dtype="float32") for w in (layer.kernel, layer.bias))
    return {f"{stem}.weight": np.ascontiguousarray(kernel.T), f"{stem}.bias": bias}
