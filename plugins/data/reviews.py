"""The bundled reviews."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import xferlab
from xferlab import (
    SPLITS,
    Rows,
    TextData,
    added_field,
    check_fields,
    digest_of,
    no_limit,
    read_table,
    register,
    text_data,
)

FOLDER = Path(xferlab.__file__).parent / "bundled" / "reviews"


@register("data", "reviews")
@dataclass(frozen=True)
class Reviews:
    """Bundled made-up reviews, negative or positive: they need no download.

    Attributes:
        max_length: longest input, in tokens; longer ones are truncated.
        limit: most examples of ``train``, ``validation`` and ``test``: a sample by the seed,
            stratified by class; below 1 a fraction of the examples; null for all.
        folds: split the training examples into so many folds; null for none.
        fold: the fold, from 0, that is the test split.
    """

    max_length: int = 64
    limit: dict[str, int | float | None] = field(default_factory=no_limit)
    folds: int | None = added_field(None)
    fold: int | None = added_field(None)

    def __post_init__(self) -> None:
        check_fields(self.max_length, limit=self.limit, folds=self.folds, fold=self.fold)

    def inputs(self) -> dict[str, str]:
        return {name: digest_of([FOLDER / f"{name}.csv"]) for name in SPLITS}

    def build(self, seed: int) -> TextData:
        """Return the examples of the three bundled files."""
        tables = {name: read_table(str(FOLDER / f"{name}.csv"), "data") for name in SPLITS}
        rows = {
            name: Rows(table.columns["text"], table.columns["label"], place=table.place)
            for name, table in tables.items()
        }
        return text_data(
            rows,
            seed,
            max_length=self.max_length,
            limit=self.limit,
            folds=self.folds,
            fold=self.fold,
        )
