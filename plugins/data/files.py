"""Data from CSV, TSV, JSON lines or Parquet files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xferlab import (
    AUTO_TASK,
    CLASS_NAMES_FILE,
    MAX_ROWS,
    ReadsFiles,
    Rows,
    Split,
    TabularData,
    TaskSpec,
    TextData,
    added_field,
    find_files,
    known_split,
    names_beside,
    no_limit,
    read_table,
    refuse_shared_files,
    register,
)


@register("data", "files")
@dataclass(frozen=True)
class Files(TabularData, ReadsFiles):
    """Data from your own CSV, TSV, JSON lines or Parquet files.

    Attributes:
        train: path or glob of the training file; the suffix is the format.
        validation: likewise; without it a fraction of the training examples is held back.
        test: likewise, scored once at the end; may be left out.
        text: column of the text; for token classification, of the list of words.
        pair: column of a second text, where examples are pairs.
        label: column of the label, which a task without labels does not read; null takes the most
            probable class of the soft labels.
        task: the task; ``auto`` infers regression from numbers with a point, multi-label from
            lists or strings with ``label_separator``, else single-label.
        class_names: every class, in label order; empty takes those of a ``labels.txt`` beside the
            training file (one a line) if they fit, or else the labels that occur, sorted.
        label_separator: the text between several labels of an example.
        separator: the character between columns of a text file; empty takes what a first line
            ``sep=;`` declares, or else that of the suffix.
        validation_fraction: fraction of the training examples to hold back without validation file.
        max_length: longest input, in tokens; longer ones are truncated.
        limit: most examples of ``train``, ``validation`` and ``test``: a sample by the seed,
            stratified by class; below 1 a fraction of the examples; null for all.
        max_rows: most rows of a split; files with more are an error.
        weight: column of the training examples' weights in the loss, numbers from 0 up.
        soft_labels: columns of the probabilities that are trained on instead of the label: one a
            class, or one of lists; they sum to 1.
        group: column of the group of each example: those of one group are in one split.
        folds: split the training examples into so many folds; null for none.
        fold: the fold, from 0, that is the test split.
        windows: read long texts in windows of ``max_length`` that overlap by so many tokens, of
            pairs the second texts; null truncates them.
    """

    train: str
    validation: str | None = None
    test: str | None = None
    text: str = "text"
    pair: str | None = None
    label: str | None = "label"
    task: str = AUTO_TASK
    class_names: list[str] = field(default_factory=list)
    label_separator: str = "|"
    separator: str = ""
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
        if self.separator not in ("", "\\t") and len(self.separator) != 1:
            raise ValueError(f"separator must be one character, got {self.separator!r}")

    def build(self, seed: int) -> TextData:
        """Return the examples of all files."""
        refuse_shared_files({k: find_files(p, f"data.{k}") for k, p in self.paths().items()})
        splits = {name: self._rows(path, name, seed) for name, path in self.paths().items()}
        return self.examples(splits, seed, self._names(self.train, "train"), CLASS_NAMES_FILE)

    def read(self, split: str, spec: TaskSpec, seed: int) -> Split | None:
        """Return the rows of one split's file, labelled by the names of a known task."""
        path = self.paths().get(split)
        if not path:
            return None
        return known_split(
            split,
            self._rows(path, split, seed),
            spec,
            label_separator=self.label_separator,
            suggested_names=self.class_names or self._names(path, split),
            suggested_from="data.class_names" if self.class_names else CLASS_NAMES_FILE,
            most=self.limit.get(split),
            seed=seed,
        )

    def _names(self, path: str, split: str) -> list[str]:
        """Return the names beside a split's first file, unless the user names the classes."""
        return [] if self.class_names else names_beside(find_files(path, f"data.{split}")[0])

    def _rows(self, path: str, split: str, seed: int) -> Rows:
        own = self.columns()
        columns = {self.text: "data.text", **own.keys(split)}
        if self.pair:
            columns[self.pair] = "data.pair"
        table = read_table(
            path,
            f"data.{split}",
            self.separator.replace("\\t", "\t"),
            columns=columns,
            max_rows=self.max_rows,
            limit=self.limit.get(split),
            seed=seed,
            optional=own.unread(),
        )
        pairs = table.column(self.pair, "data.pair") if self.pair else None
        rows = Rows(table.column(self.text, "data.text"), (), pairs, table.place)
        return own.rows(split, table.column, rows, self.class_names)
