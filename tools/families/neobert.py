"""NeoBERT in PyTorch, for the fixtures: what ``model.py`` in ``chandar-lab/NeoBERT`` computes.

Written anew from that file (MIT licence), with its names of tensors and its formulas: pairs of
neighbouring numbers as complex ones, queries, keys and values in one matrix by head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

THETA = 10000.0


class NeoBERTConfig(PreTrainedConfig):
    """The keys that the original reads."""

    model_type = "neobert"

    def __init__(self, **keys: Any) -> None:
        defaults = {"norm_eps": 1e-6, "pad_token_id": 0, "classifier_dropout": 0.1}
        ranges = ("embedding_init_range", "decoder_init_range", "classifier_init_range")
        super().__init__(**{**dict.fromkeys(ranges, 0.02), **defaults, **keys})


class FeedForward(nn.Module):
    """SwiGLU with the weights of both halves in one matrix."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__()
        wanted = int(2 * config.intermediate_size / 3)
        inner = (wanted + 7) // 8 * 8
        self.w12 = nn.Linear(config.hidden_size, 2 * inner, bias=False)
        self.w3 = nn.Linear(inner, config.hidden_size, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.w12(x).tensor_split(2, dim=-1)
        return self.w3(nn.functional.silu(first) * second)


class EncoderBlock(nn.Module):
    """A layer."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.wo = nn.Linear(width, width, bias=False)
        self.ffn = FeedForward(config)
        self.attention_norm = nn.RMSNorm(width, config.norm_eps)
        self.ffn_norm = nn.RMSNorm(width, config.norm_eps)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        size = width // self.heads
        mixed = self.qkv(self.attention_norm(x)).view(batch, length, self.heads, 3 * size)
        query, key, value = (part.transpose(1, 2) for part in mixed.split(size, dim=-1))
        context = nn.functional.scaled_dot_product_attention(
            turn(query, turns), turn(key, turns), value, attn_mask=mask
        )
        x = x + self.wo(context.transpose(1, 2).reshape(batch, length, width))
        return x + self.ffn(self.ffn_norm(x))


def turn(x: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Return (batch, heads, length, size), its neighbouring numbers turned as complex ones."""
    pairs = torch.complex(x[..., 0::2].contiguous(), x[..., 1::2].contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2)


class NeoBERTPreTrainedModel(PreTrainedModel):
    """What both models share."""

    config_class = NeoBERTConfig
    base_model_prefix = "model"

    def _init_weights(self, module: nn.Module) -> None:
        pass  # the fixtures have weights of their own


class NeoBERT(NeoBERTPreTrainedModel):
    """The encoder."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__(config)
        self.encoder = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        layers = [EncoderBlock(config) for _ in range(config.num_hidden_layers)]
        self.transformer_encoder = nn.ModuleList(layers)
        self.layer_norm = nn.RMSNorm(config.hidden_size, config.norm_eps)
        self.post_init()

    def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> BaseModelOutput:
        x = self.encoder(input_ids)
        size = self.config.hidden_size // self.config.num_attention_heads
        rates = THETA ** -(torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(input_ids.shape[1]).float(), rates)
        turns = torch.polar(torch.ones_like(angles), angles)
        mask = attention_mask.bool()[:, None, None, :]
        for layer in self.transformer_encoder:
            x = layer(x, mask, turns)
        return BaseModelOutput(last_hidden_state=self.layer_norm(x))


class NeoBERTForSequenceClassification(NeoBERTPreTrainedModel):
    """The encoder below a dense layer on the first token."""

    def __init__(self, config: NeoBERTConfig) -> None:
        super().__init__(config)
        self.model = NeoBERT(config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> SequenceClassifierOutput:
        first = self.model(input_ids, attention_mask).last_hidden_state[:, 0]
        dense = torch.tanh(self.dense(self.dropout(first)))
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(dense)))


def register() -> None:
    """Let transformers' ``Auto`` classes find the family."""
    AutoConfig.register("neobert", NeoBERTConfig)
    AutoModelForSequenceClassification.register(NeoBERTConfig, NeoBERTForSequenceClassification)
