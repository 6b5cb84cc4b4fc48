"""The angles of rotary positions, as a ``config.json`` describes them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from xferlab.models.config_reader import ConfigReader

LENGTH = "original_max_position_embeddings"
SCALED = {
    "default": (),
    "linear": ("factor",),
    "llama3": (
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        LENGTH,
    ),
}
"""The kinds of angles that are computed here, and the keys that each reads."""


@dataclass(frozen=True)
class Rotary:
    """The angles of rotary positions (Su et al. 2021).

    Attributes:
        rope_theta: the base of the wavelengths.
        rope_type: ``default``, ``linear`` (all positions divided by a factor), or ``llama3`` (long
            wavelengths divided by a factor).
        factor: of the last two.
        low_freq_factor: wavelengths above the original length divided by it are divided.
        high_freq_factor: wavelengths below the original length divided by it are not.
        original_max_position_embeddings: tokens of the texts in the first training.
    """

    rope_theta: float
    rope_type: str = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 1.0
    original_max_position_embeddings: int = 1

    def frequencies(self, width: int) -> list[float]:
        """Return the angle from one position to the next for each pair of ``width`` numbers."""
        import numpy as np

        exponents = np.arange(0, width, 2, dtype="float32") / np.float32(width)
        found = (1.0 / np.float32(self.rope_theta) ** exponents).astype("float32")
        if self.rope_type == "linear":
            found = found / self.factor
        if self.rope_type == "llama3":
            waves = self.original_max_position_embeddings * found / (2 * np.pi)  # in the length
            span = self.high_freq_factor - self.low_freq_factor
            kept = np.clip((waves - self.low_freq_factor) / span, 0.0, 1.0)
            found = found * kept + found / self.factor * (1.0 - kept)
        return [float(each) for each in found]

    def table(self) -> dict[str, Any]:
        """Return the value of ``rope_parameters`` in ``config.json``."""
        keys = ("rope_theta", "rope_type", *SCALED[self.rope_type])
        return {key: value for key, value in asdict(self).items() if key in keys}

    def older_keys(self) -> dict[str, Any]:
        """Return what transformers 4 reads in ``config.json`` instead of ``rope_parameters``."""
        scaling = self.table()
        older = {"rope_theta": scaling.pop("rope_theta")}
        return older if self.rope_type == "default" else {**older, "rope_scaling": scaling}


def read_rotary(
    config: ConfigReader, default: float, *, key: str = "rope_theta", kind: str = ""
) -> Rotary:
    """Return the angles that a ``config.json`` describes.

    Args:
        config: its reader.
        default: ``rope_theta`` where it is left out.
        key: of the base in configs from before ``rope_parameters``.
        kind: of the layer, where kinds have angles of their own.

    Raises:
        ConfigError: they are of a kind that is not computed here.
    """
    table = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if isinstance(table, dict) and kind in table:
        table = table[kind] or {}
    if not isinstance(table, dict):
        raise config.error(f"its rope_parameters are {table!r}")
    older = config.get("rope_scaling") or {}
    if (
        not isinstance(older, dict)
        or not _with_new_names(older).items() <= _with_new_names(table).items()
    ):
        raise config.error("its rope_scaling contradicts its rope_parameters")
    values = ConfigReader({key: config.get(key, default), **table}, config.where)
    rope_type = values.get("rope_type", values.get("type", "default"))
    if not isinstance(rope_type, str) or rope_type not in SCALED:
        known = ", ".join(SCALED)
        raise config.error(f"its rotary positions are {rope_type!r}, and only {known} are computed")
    for each in (config, values):
        each.require("partial_rotary_factor", (None, 1.0))
    theta = values.number("rope_theta" if "rope_theta" in table else key)
    factors = {name: values.number(name) for name in SCALED[rope_type] if name != LENGTH}
    length = values.size(LENGTH) if LENGTH in SCALED[rope_type] else 1
    return Rotary(theta, rope_type, **factors, original_max_position_embeddings=length)


def _with_new_names(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table of angles with the name that transformers gives their kind now."""
    return {"rope_type" if name == "type" else name: value for name, value in table.items()}
