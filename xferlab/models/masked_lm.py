"""A masked language model: an encoder between masked tokens and the head of its pretraining."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.models.architectures import Architecture
from xferlab.models.checkpoint import Checkpoint
from xferlab.models.encoder import Encoder
from xferlab.models.text_pairs import pair_splitting
from xferlab.models.weight_names import TensorNames, assign_part

FRACTION = 0.15
"""Of the tokens, where the config has no other (Devlin et al. 2019)."""
LAYER = "mask_tokens"
ROBERTA = {"dense": "lm_head.dense", "norm": "lm_head.layer_norm", "bias": "lm_head.bias"}
TENSORS: Mapping[str, Mapping[str, str]] = {
    "bert": {
        "dense": "cls.predictions.transform.dense",
        "norm": "cls.predictions.transform.LayerNorm",
        "bias": "cls.predictions.bias",
    },
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "mpnet": ROBERTA,
    "distilbert": {
        "dense": "vocab_transform",
        "norm": "vocab_layer_norm",
        "bias": "vocab_projector.bias",
    },
    "albert": {
        "dense": "predictions.dense",
        "norm": "predictions.LayerNorm",
        "bias": "predictions.bias",
    },
    "electra": {
        "dense": "generator_predictions.dense",
        "norm": "generator_predictions.LayerNorm",
        "bias": "generator_lm_head.bias",
    },
    "modernbert": {"dense": "head.dense", "norm": "head.norm", "bias": "decoder.bias"},
}
"""Stems of the tensors of the head, and the name of that of its bias, by ``model_type``."""


def refuse_other_families(
    architecture: Architecture, config: Mapping[str, Any], where: str
) -> None:
    """Raise ConfigError for an encoder whose masked language model is not computed here."""
    if architecture.model_type not in TENSORS:
        raise ConfigError(
            f"the masked language model of {architecture.model_type} is not computed here",
            where=where,
            fix=f"a checkpoint of {', '.join(TENSORS)}",
        )
    if config.get("tie_word_embeddings") is False:
        raise ConfigError(
            "this checkpoint's decoder is not its table of embeddings (tie_word_embeddings)",
            where=where,
            fix="choose a checkpoint whose decoder is",
        )
    if config.get("decoder_bias") is False:
        raise ConfigError(
            "this checkpoint's decoder has no bias (decoder_bias)",
            where=where,
            fix="choose a checkpoint whose decoder has one",
        )


def input_change(
    spec: TaskSpec, tokenizer: Any, head: Any = None
) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """Return what a task changes of an encoder's inputs: masks, or pairs in one batch; or None.

    Raises:
        ConfigError: the tokenizer has no mask.
    """
    if not spec.task.masks_tokens:
        return pair_splitting(spec, tokenizer.pad_id)
    if getattr(tokenizer, "mask_id", None) is None:
        raise ConfigError(
            "this checkpoint's tokenizer has no token for masks",
            where=f"data.task={spec.task.name}",
            fix="choose a checkpoint that was pretrained with masks",
        )

    def mask(inputs: dict[str, Any]) -> dict[str, Any]:
        from xferlab.models.layers import MaskTokens

        layer = MaskTokens(
            getattr(head, "fraction", FRACTION),
            tokenizer.mask_id,
            tokenizer.special_ids,
            tokenizer.vocabulary_size,
            name=LAYER,
        )
        masked, _ = layer(inputs["token_ids"], inputs["padding_mask"])
        return {**inputs, "token_ids": masked}

    return mask


def masked_lm_outputs(encoder: Encoder) -> Any:
    """Return the symbolic outputs of a masked language model, float32 (batch, 3)."""
    from xferlab.models.layers import MaskedTokenScores

    architecture = encoder.architecture
    _, targets = encoder.backbone.get_layer(LAYER).output
    scores = MaskedTokenScores(
        encoder.backbone.get_layer("token_embedding"),
        getattr(architecture, "classifier_activation", architecture.activation),
        architecture.epsilon,
        architecture.initializer(),
        use_bias=getattr(architecture, "classifier_bias", True),
        center=getattr(architecture, "norm_bias", True),
        name="head",
    )
    return scores(encoder.sequence_output, targets)


def assign_pretrained_scores(network: Any, architecture: Architecture, found: Checkpoint) -> bool:
    """Give the head the weights of a checkpoint; False where it has none, as a sentence encoder."""
    stems = TENSORS[architecture.model_type]
    if f"{stems['dense']}.weight" not in found.tensors or stems["bias"] not in found.tensors:
        return False
    names = TensorNames(architecture, found.tensors, f"model.checkpoint={found.source}")
    head = network.get_layer("head")
    for part in ("dense", "norm"):
        assign_part(getattr(head, part), names, stems[part])
    bias, _, ending = stems["bias"].rpartition(".")
    assign_part(head, names, bias, {ending: head.bias})
    return True
