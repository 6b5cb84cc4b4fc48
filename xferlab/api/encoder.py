"""``xferlab.encoder``: a pretrained encoder with its tokenizer, for a Keras model of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.backend.graphs import compile_forward, compute_batches
from xferlab.backend.process import import_backend
from xferlab.config.presets import checkpoint_presets
from xferlab.contracts import Encoding
from xferlab.data.batching import Batch, batch_inputs, row_lengths
from xferlab.errors import ConfigError
from xferlab.models.checkpoint import resolve
from xferlab.models.encoder import Encoder, load_encoder
from xferlab.models.encoder_outputs import outputs_of_layers
from xferlab.models.limits import refuse_ids, refuse_length

if TYPE_CHECKING:
    import numpy as np

    from xferlab.data.tokenizer import HubTokenizer

USUAL_LENGTH = 512
"""Most tokens of a text, where the encoder has positions for more and no length is given."""


@dataclass(frozen=True)
class EncodedTexts:
    """What an encoder computes of texts; padding at the end of the shorter ones.

    Attributes:
        sequence: of the last layer, float32 (texts, length, width).
        mask: 1 for a token, 0 for padding, int32 (texts, length).
        layers: of each layer, float32 (texts, length, width); the last one is ``sequence``.
    """

    sequence: np.ndarray
    mask: np.ndarray
    layers: Sequence[np.ndarray]


class TextEncoder:
    """A pretrained encoder and its tokenizer.

    Args:
        encoder: with its weights.
        tokenizer: of the same checkpoint.

    Attributes:
        tokenizer: makes token ids of texts.
        network: functional ``keras.Model`` from ``inputs`` to the outputs of each layer.
        inputs: symbolic inputs by name, int32 (batch, length).
        sequence: symbolic output of the last layer (batch, length, width).
        mask: symbolic: the input ``padding_mask``, 1 for a token and 0 for padding.
        layers: symbolic outputs of each layer, from the lowest to the last one.
        width: of a token's vector.
        max_length: most tokens of a text.
    """

    def __init__(self, encoder: Encoder, tokenizer: HubTokenizer) -> None:
        import keras

        backbone = encoder.backbone
        self.tokenizer = tokenizer
        self.inputs: dict[str, Any] = dict(backbone.input)
        self.sequence = encoder.sequence_output
        self.mask = self.inputs["padding_mask"]
        count = encoder.architecture.layers
        self.layers = outputs_of_layers(backbone, self.sequence, count)
        self.network = keras.Model(self.inputs, self.layers, name="encoder")
        self.width = encoder.hidden_size
        self.max_length = encoder.max_length
        self._forward: Any = None

    def tokenize(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        max_length: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the inputs of the network, each int32 (texts, length of the longest one).

        Args:
            texts: strings.
            pairs: the second text of each, where texts are pairs.
            max_length: most tokens of a text; None for 512, or fewer where it has fewer positions.

        Raises:
            ConfigError: ``texts`` is one string, or the encoder has fewer positions.
        """
        import numpy as np

        encoding = self._encoding(texts, pairs, max_length)
        rows = np.arange(len(texts))
        return self._arrays(encoding, Batch(rows, int(row_lengths(encoding).max(initial=1))))

    def __call__(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        max_length: int | None = None,
        batch_size: int = 32,
    ) -> EncodedTexts:
        """Return what each layer computes of texts, without dropout; arguments as of tokenize."""
        import numpy as np

        inputs = self.tokenize(texts, pairs, max_length)
        if self._forward is None:
            self._forward = compile_forward(self.network, self.inputs)
        starts = range(0, max(1, len(texts)), batch_size)
        batches = (
            (None, {name: each[at : at + batch_size] for name, each in inputs.items()})
            for at in starts
        )

        def stacked(batch: Any) -> Any:
            from keras import ops

            return ops.stack([ops.cast(each, "float32") for each in self._forward(batch)])

        found = [outputs for _, outputs in compute_batches(stacked, batches)]
        layers = list(np.concatenate(found, axis=1))
        return EncodedTexts(layers[-1], inputs["padding_mask"], layers)

    def _encoding(
        self, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int | None
    ) -> Encoding:
        if isinstance(texts, str):
            raise ConfigError("texts is one string", where="texts", fix="give a list: [texts]")
        length = max_length or min(USUAL_LENGTH, self.max_length)
        refuse_length(length, self.max_length)
        return self.tokenizer.encode(list(texts), pairs, length)

    def _arrays(self, encoding: Encoding, batch: Batch) -> dict[str, np.ndarray]:
        arrays = batch_inputs(encoding, batch, self.tokenizer.pad_id)
        return {name: arrays[name] for name in self.inputs}


def encoder(checkpoint: str = "bundled:bert", *, pretrained: bool = True) -> TextEncoder:
    """Return a pretrained encoder with its tokenizer.

    Args:
        checkpoint: the name of a preset (``bert``, ``minilm``), a Hugging Face folder,
            ``bundled:NAME``, or a Hub id with an optional ``@revision``.
        pretrained: False for random weights by Keras's seed.

    Raises:
        ConfigError: there is no such checkpoint, or it cannot be loaded.
    """
    from xferlab.data.tokenizer import load_tokenizer

    presets = checkpoint_presets(Path.cwd())
    source = presets[checkpoint].checkpoint if checkpoint in presets else checkpoint
    found = resolve(source, weights=pretrained)
    import_backend()
    loaded = load_encoder(found, pretrained=pretrained, pooler=False)
    tokenizer = load_tokenizer(found.folder)
    refuse_ids(tokenizer.largest_id, loaded.vocabulary_size, found.source)
    return TextEncoder(loaded, tokenizer)
