"""The statistics of a data set as sections, each a table with its sentences: printed, or a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.contracts import Split, TaskSpec, TextData
from xferlab.data.overlaps import joined
from xferlab.data.sampling import permutation
from xferlab.formatting import format_duration
from xferlab.statistics.baselines import MOST_ROWS, BaselineScores
from xferlab.statistics.rows import RowCounts, count_rows
from xferlab.statistics.tables import Table, format_part
from xferlab.statistics.tokens import TokenCounts, token_table

EXAMPLES = 10
LOOK = 5
"""The purpose of the sample of examples, see ``data.partition``."""
LONGEST = 160
"""Characters of a text among the examples."""
MANY_CUT = 0.02
"""Fraction of rows that are cut from which on there is a line."""


@dataclass(frozen=True)
class Advice:
    """What is unusual in the data, and what answers it.

    Attributes:
        text: what it is.
        overrides: any of them answers it.
    """

    text: str
    overrides: Sequence[str]

    def line(self) -> str:
        """Return both as a sentence."""
        fix = f": {', '.join(self.overrides)}" if self.overrides else ""
        return f"{self.text}{fix}"


@dataclass(frozen=True)
class DataSummary:
    """What a data set is like.

    Attributes:
        spec: the task that it defines.
        rows: counts by split.
        labels: tables of the labels.
        tokens: by split; empty where the model has no tokenizer.
        tokenizer: whose tokens they are, or why there are none.
        baselines: of simple models.
        notes: what reading noted, and what is unusual.
        examples: rows of train.
    """

    spec: TaskSpec
    rows: Mapping[str, RowCounts]
    labels: Sequence[Table]
    tokens: Mapping[str, TokenCounts]
    tokenizer: str
    baselines: Sequence[BaselineScores]
    notes: Sequence[str]
    examples: Table

    def tables(self) -> list[Table]:
        """Return every part but the notes, in the order that they are read in."""
        tables = [row_table(self.rows), *self.labels]
        if self.tokens:
            found = token_table(dict(self.tokens), self.spec)
            note = f"of {self.tokenizer}; data.max_length={self.spec.max_length}"
            tables.append(Table(found.title, found.columns, found.rows, note))
        if any(any(each.scores.values()) for each in self.baselines):
            tables.append(baseline_table(self.baselines))
        return [*tables, self.examples]


def length_advice(summary: DataSummary, positions: int | None) -> Advice | None:
    """Return what to do where many training rows are cut; None where few are.

    Args:
        summary: of the data.
        positions: tokens of the longest text that the model reads; None where not known.
    """
    import numpy as np

    counts = summary.tokens.get("train")
    spec = summary.spec
    if counts is None or spec.windows is not None or counts.cut < MANY_CUT * len(counts.lengths):
        return None
    wanted = math.ceil(float(np.percentile(counts.lengths, 99)) / 8) * 8
    longer = min(wanted, positions or wanted)
    overrides = [f"data.max_length={longer}"] if longer > spec.max_length else []
    if not spec.has_pairs and spec.task.has_labels:
        overrides.append(f"data.windows={max(1, spec.max_length // 4)}")
    part = counts.cut / len(counts.lengths)
    return Advice(f"{part:.1%} of the training rows are longer than is read", overrides)


def summary_of(
    data: TextData,
    tokenizer: Any,
    tokenizer_name: str,
    baselines: Sequence[BaselineScores],
    seed: int,
    follow: Callable[[int, float], None],
) -> DataSummary:
    """Return the summary of a data set; texts are read one after the other.

    Args:
        data: the examples of all splits.
        tokenizer: the model's; None where it has none before training.
        tokenizer_name: what it is of, or why there is none.
        baselines: their scores.
        seed: of the examples that are shown.
        follow: is given the rows that are tokenised, and their fraction.
    """
    from xferlab.statistics.tokens import count_tokens

    splits = data.splits
    total = sum(map(len, splits.values()))
    done = 0
    tokens = {}
    for name, split in splits.items() if tokenizer is not None else ():

        def move(rows: int, before: int = done) -> None:
            follow(before + rows, (before + rows) / total)

        tokens[name] = count_tokens(tokenizer, split, data.spec, move)
        done += len(split)
    return DataSummary(
        spec=data.spec,
        rows=count_rows(splits),
        labels=data.spec.task.label_tables(splits, data.spec),
        tokens=tokens,
        tokenizer=tokenizer_name,
        baselines=baselines,
        notes=data.notes,
        examples=example_table(data.train, data.spec, seed),
    )


def row_table(counts: Mapping[str, RowCounts]) -> Table:
    """Return the counts of rows, a row a split."""
    names = list(counts)
    columns = ["split", "rows", "empty", "repeated", "contradictory"]
    columns += [f"in {name} too" for name in names[:-1]]
    rows = []
    for name, each in counts.items():
        parts = (each.empty, each.repeated, each.contradictory)
        cells = [f"{each.rows:,}", *(format_part(part, each.rows) for part in parts)]
        for other in names[:-1]:
            shared = each.shared.get(other)
            if shared is None:
                cells.append("")
                continue
            labels = f", {shared.other_label:,} with another label" if shared.other_label else ""
            cells.append(format_part(shared.rows, each.rows) + labels)
        rows.append([name, *cells])
    return Table("rows", columns, rows)


def baseline_table(baselines: Sequence[BaselineScores]) -> Table:
    """Return the scores of simple models, a row a model."""
    splits = list(dict.fromkeys(name for each in baselines for name in each.scores))
    metrics = dict.fromkeys(m for b in baselines for scores in b.scores.values() for m in scores)
    columns = ["model", *(f"{split} {metric}" for split in splits for metric in metrics)]
    rows = []
    for each in baselines:
        values = [each.scores[split].get(metric) for split in splits for metric in metrics]
        rows.append([each.name, *("-" if v is None else f"{v:.4f}" for v in values)])
    last = baselines[-1]
    sample = "a sample of " if last.rows == MOST_ROWS else ""
    note = (
        f"trained on {sample}{last.rows:,} rows of train, scored on {' and '.join(splits)};"
        f" {format_duration(sum(each.seconds for each in baselines))}"
    )
    return Table("baselines", columns, rows, note)


def example_table(train: Split, spec: TaskSpec, seed: int) -> Table:
    """Return a few examples of train, the same for a seed."""
    rows = permutation(len(train), seed, LOOK)[:EXAMPLES].tolist()
    names = ["text"] if train.pairs is None else ["text", "pair"]
    cells = []
    for row in sorted(rows):
        texts = [train.texts[row], *([] if train.pairs is None else [train.pairs[row]])]
        label = [_format_label(train, row, spec)] if spec.task.has_labels else []
        cells.append([f"{row + 1:,}", *label, *map(_short, texts)])
    columns = ["example", *(["label"] if spec.task.has_labels else []), *names]
    return Table("examples of train", columns, cells, f"chosen by seed={seed}", is_text=True)


def _format_label(train: Split, row: int, spec: TaskSpec) -> str:
    (label,) = spec.task.label_names(train.labels[row : row + 1], spec.class_names)
    if not isinstance(label, list):
        return f"{label:.4g}" if isinstance(label, float) else str(label)
    return _short(" ".join("-" if each is None else str(each) for each in label), LONGEST // 3)


def _short(text: Any, most: int = LONGEST) -> str:
    text = joined(text)
    return text if len(text) <= most else f"{text[:most]}..."
