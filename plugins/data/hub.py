"""Datasets of the Hugging Face Hub."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from xferlab import (
    AUTO_TASK,
    MAX_ROWS,
    ConfigError,
    HubDataset,
    TabularData,
    TextData,
    added_field,
    content_of_dataset,
    no_limit,
    register,
)

log = logging.getLogger(__name__)


@register("data", "hub")
@dataclass(frozen=True)
class Hub(TabularData):
    """A dataset of the Hugging Face Hub, or a folder laid out like one.

    Attributes:
        id: repository, e.g. ``nyu-mll/glue``, or a path.
        config: which of the repository's datasets, where there are several.
        revision: branch, tag or commit; the newest where it is null.
        train: split to train on.
        validation: split to score after each epoch; null holds back a fraction of the training
            examples.
        test: split to score once at the end; null for none.
        text: column of the text; for token classification, of the list of words.
        pair: column of a second text, where examples are pairs.
        label: column of the label; rows with -1, which means no label on the Hub, are left out;
            null takes the most probable class of the soft labels.
        task: the task; ``auto`` infers it from the column.
        class_names: every class, in label order; empty takes those that the dataset declares, or
            else the labels that occur, sorted.
        label_separator: the text between several labels of an example.
        validation_fraction: fraction of the training examples to hold back without a validation
            split.
        max_length: longest input, in tokens; longer ones are truncated.
        limit: most examples of ``train``, ``validation`` and ``test``: a sample by the seed,
            stratified by class; below 1 a fraction of the examples; null for all.
        max_rows: most rows of a split; data with more are an error.
        weight: column of the training examples' weights in the loss, numbers from 0 up.
        soft_labels: columns of the probabilities that are trained on instead of the label: one a
            class, or one of lists; they sum to 1.
        group: column of the group of each example: those of one group are in one split.
        folds: split the training examples into so many folds; null for none.
        fold: the fold, from 0, that is the test split.
        windows: read long texts in windows of ``max_length`` that overlap by so many tokens, of
            pairs the second texts; null truncates them.
    """

    id: str
    config: str | None = None
    revision: str | None = None
    train: str = "train"
    validation: str | None = "validation"
    test: str | None = "test"
    text: str = "text"
    pair: str | None = None
    label: str | None = "label"
    task: str = AUTO_TASK
    class_names: list[str] = field(default_factory=list)
    label_separator: str = "|"
    validation_fraction: float = 0.1
    max_length: int = 128
    limit: dict[str, int | float | None] = field(default_factory=no_limit)
    max_rows: int = MAX_ROWS
    weight: str | None = added_field(None)
    soft_labels: Any = added_field(None)
    group: str | None = added_field(None)
    folds: int | None = added_field(None)
    fold: int | None = added_field(None)
    windows: int | None = added_field(None)

    def __post_init__(self) -> None:
        self.check_values()
        for name in ("validation", "test"):
            if getattr(self, name) == self.train:
                raise ValueError(f"{name} must be another split than train, got {self.train!r}")

    def inputs(self) -> dict[str, str]:
        return content_of_dataset(self.id, self.revision)

    def build(self, seed: int) -> TextData:
        """Return the examples of the splits that have labels."""
        found = HubDataset(self.id, self.config, self.revision)
        names = {"train": self.train, "validation": self.validation, "test": self.test}
        splits = {
            key: found.rows(
                name, key, self.text, self.pair, self.columns(), self.max_rows, self.class_names
            )
            for key, name in names.items()
            if name
        }
        if "test" in splits and not len(splits["test"]):
            log.info("the labels of %s %s are not public: no test split", self.id, self.test)
            del splits["test"]
        for key, rows in splits.items():
            if not len(rows):
                raise ConfigError(
                    f"no row of {self.id} {names[key]} has a label",
                    where=f"data.{key}",
                    fix="data.validation=null holds back a fraction of train"
                    if key == "validation"
                    else "choose another column: data.label=COLUMN",
                )
        names = found.class_names(self.train, self.label) if self.label else ()
        return self.examples(splits, seed, names)
