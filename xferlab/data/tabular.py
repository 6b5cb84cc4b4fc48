"""What data plugins whose rows have named columns share: the fields' checks, rows to splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.contracts import TextData
from xferlab.data.example_columns import ExampleColumns, example_columns
from xferlab.data.labels import Rows
from xferlab.data.overlaps import check_columns
from xferlab.data.splits import (
    are_all_matches,
    check_fields,
    has_labels,
    has_several_labels,
    text_data,
)
from xferlab.data.windows import refuse_windows, with_windows


class TabularData:
    """A data plugin with the fields of ``data=files`` that say how rows become examples."""

    text: str
    pair: str | None
    label: str | None
    task: str
    class_names: list[str]
    label_separator: str
    validation_fraction: float
    max_length: int
    limit: dict[str, int | float | None]
    max_rows: int
    weight: str | None
    soft_labels: Any
    group: str | None
    folds: int | None
    fold: int | None
    windows: int | None

    def check_values(self) -> None:
        """Raise ValueError or ConfigError for an invalid value of a field."""
        sizes = (self.max_length, self.validation_fraction, self.limit, self.max_rows)
        check_fields(*sizes, self.task, self.label_separator, self.folds, self.fold)
        check_columns(self.text, self.pair, self.label)
        refuse_windows(self.windows, self.max_length)
        self.columns()

    def columns(self) -> ExampleColumns:
        """Return the columns beside the texts."""
        return example_columns(
            self.label,
            self.weight,
            self.soft_labels,
            self.group,
            has_labels=has_labels(self.task),
            are_several=has_several_labels(self.task),
            all_match=are_all_matches(self.task),
        )

    def examples(
        self,
        splits: Mapping[str, Rows],
        seed: int,
        suggested_names: Sequence[str],
        suggested_from: str = "the dataset",
    ) -> TextData:
        """Return the examples of splits, see :func:`xferlab.data.splits.text_data`."""
        found = text_data(
            splits,
            seed,
            max_length=self.max_length,
            task=self.task,
            class_names=self.class_names,
            suggested_names=suggested_names,
            suggested_from=suggested_from,
            label_separator=self.label_separator,
            validation_fraction=self.validation_fraction,
            limit=self.limit,
            folds=self.folds,
            fold=self.fold,
        )
        return with_windows(found, self.windows)
