"""A postprocess that multiplies logits, as part of the last layer of a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xferlab.contracts import OutputKind
from xferlab.models.network_parts import last_layer

if TYPE_CHECKING:
    from xferlab.inference.run import Run


def factor_of(run: Run) -> float | None:
    """Return what a run's postprocess multiplies logits by, if the last layer can do so too.

    None where there is no postprocess, it does anything else, or the network does not end with a
    linear layer of logits.
    """
    import keras

    if run.postprocessor is None or run.spec.output_kind is not OutputKind.logits:
        return None
    layer = last_layer(run.model.network)
    is_linear = (
        isinstance(layer, keras.layers.Dense) and layer.activation is keras.activations.linear
    )
    return run.postprocessor.factor if is_linear else None


@contextmanager
def folded_head(run: Run) -> Iterator[None]:
    """Have the last layer compute a run's postprocess in the block, where it can."""
    factor = factor_of(run)
    if factor is None:
        yield
        return
    weights = last_layer(run.model.network).weights
    before = [weight.numpy() for weight in weights]
    try:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value * factor)
        yield
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)
