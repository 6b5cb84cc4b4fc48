"""EuroBERT (Boizard et al. 2025): Llama's graph, where each token attends to all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.models.architectures.registry import register
from xferlab.models.architectures.rotary import RotaryArchitecture


@register
@dataclass(frozen=True, kw_only=True)
class EuroBert(RotaryArchitecture):
    """An encoder of ``model_type`` eurobert; its pooling ``late`` averages the dense layer's."""

    model_type = "eurobert"
    class_prefix = "EuroBert"
    replaces_own_code = True
    poolings = {"late": "late", "bos": "first", "mean": "mean"}
    config_defaults = {**RotaryArchitecture.config_defaults, "rms_norm_eps": 1e-5}
    first_token_dense = ("head_dense", "gelu")

    def head(
        self, outputs: Mapping[str, Any], padding_mask: Any, is_per_word: bool, dropout: float
    ) -> tuple[Any, tuple[str, ...]]:
        """Return a dense layer with GELU of the pooled vector, or the mean of that of each token.

        The class averages logits; the mean of a linear layer is that layer of the mean.
        """
        import keras

        from xferlab.models.pooling import pooled

        sequence = outputs["sequence_output"]
        if is_per_word:
            return sequence, ()
        dense = self.dense(*self.first_token_dense)
        if self.class_pooling == "late":
            mean = keras.layers.GlobalAveragePooling1D(name="head_late")
            return mean(dense(sequence), mask=padding_mask), (dense.name,)
        return dense(pooled(sequence, padding_mask, self.class_pooling)), (dense.name,)

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer."""
        dense = {} if is_per_word else {"head_dense": "dense"}
        return {**dense, "head": "classifier"}
