"""``train.recompute``: the transformer layers that training computes again for the gradient."""

from __future__ import annotations

from typing import Any

from xferlab.errors import ConfigError


def recompute_layers(network: Any) -> None:
    """Have training compute a network's transformer layers again.

    Raises:
        ConfigError: it has none.
    """
    from xferlab.models.layers import SequenceLayer

    layers = [each for each in network._flatten_layers() if isinstance(each, SequenceLayer)]
    if not layers:
        raise nothing_to_recompute()
    for layer in layers:
        layer.recomputes = True


def nothing_to_recompute() -> ConfigError:
    """Return the error for a network without transformer layers."""
    return ConfigError(
        "this network has no transformer layers that could be computed again",
        where="train.recompute=true",
        fix="train.recompute=false, or model=encoder",
    )
