"""Networks that encode the two texts of an example apart, and how they read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xferlab.compatibility import name_and_origin
from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.models.architectures import Architecture
from xferlab.models.encoder import Encoder
from xferlab.models.text_vector import TextVector

LAYER = "split_pairs"


def refuse_pairs(model: Any, spec: TaskSpec) -> None:
    """Raise ConfigError for a task of texts that are encoded apart, without pairs or an encoder."""
    if not spec.task.encodes_texts_apart:
        return
    if not spec.has_pairs:
        raise ConfigError(
            f"{spec.task.name} compares two texts, and the data has one",
            where="data.pair",
            fix="data.pair=COLUMN names the column of the second text",
        )
    if not getattr(model, "accepts_head", False):
        raise ConfigError(
            f"{name_and_origin('model', model)[0]} encodes no texts apart",
            where="model",
            fix="model=encoder, or the preset of one (python -m xferlab list model)",
        )


def vector_of_text(spec: TaskSpec, vector: TextVector, architecture: Architecture) -> TextVector:
    """Return what is read of a text: of one that is encoded apart no layers of a class.

    Without a choice, and without modules of sentence-transformers, it is the mean of the tokens, as
    there; of a decoder the last one.
    """
    if not spec.task.encodes_texts_apart or not vector.is_of_class:
        return vector
    return TextVector("last" if architecture.is_causal else "mean")


def pair_splitting(spec: TaskSpec, pad_id: int) -> Callable[[dict[str, Any]], Any] | None:
    """Return what makes one batch of both texts; None for a task that has no such pairs."""
    if not spec.task.encodes_texts_apart:
        return None

    def split(inputs: dict[str, Any]) -> dict[str, Any]:
        import keras

        from xferlab.models.layers import SplitPairs

        if "segment_ids" not in inputs:  # an input of the network, whatever the encoder reads
            inputs["segment_ids"] = keras.Input((None,), dtype="int32", name="segment_ids")
        names = ("token_ids", "padding_mask", "segment_ids")
        layer = SplitPairs(pad_id, name=LAYER)
        return dict(zip(names, layer(*(inputs[name] for name in names)), strict=True))

    return split


def mask_of(encoder: Encoder) -> Any:
    """Return the symbolic padding mask of the texts that an encoder reads."""
    layers = {layer.name: layer for layer in encoder.backbone.layers}
    if LAYER in layers:
        return layers[LAYER].output[1]
    return encoder.backbone.input["padding_mask"]
