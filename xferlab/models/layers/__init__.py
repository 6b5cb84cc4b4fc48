"""The layers of transformer encoders, in Keras: every product is of two matrices.

``keras.layers.MultiHeadAttention`` computes its products by einsum, and the gradient of Keras's
exact GELU takes five times as long on a CPU; these layers compute the same without both.
"""

from xferlab.models.layers.activations import ACTIVATIONS, gelu, gelu_tanh, gelu_while_training
from xferlab.models.layers.attention import MASKED, AttentionBias, RelativeBias, SelfAttention
from xferlab.models.layers.basic import (
    Dropout,
    LastToken,
    LayerNormalization,
    PositionEmbedding,
    RMSNormalization,
    Uninitialized,
)
from xferlab.models.layers.disentangled import DisentangledLayer, RelativeRows, RelativeTable
from xferlab.models.layers.masking import MaskedTokenScores, MaskTokens
from xferlab.models.layers.pairs import JoinPairs, SplitPairs
from xferlab.models.layers.pooling import SentencePooling
from xferlab.models.layers.rotary import GatedLayer, GatedOptions, RotaryTable
from xferlab.models.layers.transformer import SequenceLayer, TransformerLayer

__all__ = [
    "ACTIVATIONS",
    "MASKED",
    "AttentionBias",
    "DisentangledLayer",
    "Dropout",
    "GatedLayer",
    "GatedOptions",
    "JoinPairs",
    "LastToken",
    "LayerNormalization",
    "MaskTokens",
    "MaskedTokenScores",
    "PositionEmbedding",
    "RMSNormalization",
    "RelativeBias",
    "RelativeRows",
    "RelativeTable",
    "RotaryTable",
    "SelfAttention",
    "SentencePooling",
    "SequenceLayer",
    "SplitPairs",
    "TransformerLayer",
    "Uninitialized",
    "gelu",
    "gelu_tanh",
    "gelu_while_training",
]
