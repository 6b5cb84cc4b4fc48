"""A package with plugins and presets, as pip would install it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

LOSS = '''
from dataclasses import dataclass
from typing import ClassVar
from xferlab import OutputKind, LabelKind, Accepts, TaskSpec, register


@register("loss", "{name}")
@dataclass(frozen=True)
class Theirs:
    """A loss of theirs.

    Attributes:
        k: a number.
    """

    k: int = 1
    accepts: ClassVar[Accepts] = Accepts((OutputKind.logits,), (LabelKind.class_index,))

    def build(self, spec: TaskSpec):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
'''


def install(site: Path, package: str, files: Mapping[str, str], points: str) -> None:
    """Write the files of a package and the metadata of its distribution into ``site``."""
    for name, text in {"__init__.py": "", **files}.items():
        path = site / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    name = package.replace("_", "-")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
