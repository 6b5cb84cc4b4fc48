"""The most confident errors of a model, with their texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.escaping import csv_text, markdown, markdown_table
from xferlab.evaluation.split_outputs import SplitOutputs

if TYPE_CHECKING:
    import numpy as np

NUMBER = 50
LONGEST = 400
"""Characters of a text in Markdown; the CSV has all."""


@dataclass(frozen=True)
class ErrorsTable:
    """Errors, the most confident first.

    Attributes:
        header: names of the columns; the first is ``row``, counted from 1 in the split.
        rows: one error each; numbers are numbers.
        total: examples with an error, shown or not.
        order: what the first error has most of.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int
    order: str

    def csv(self) -> str:
        """Return the errors as CSV."""
        return csv_text([self.header, *self.rows])

    def markdown(self) -> str:
        """Return the errors as a table in Markdown; long texts are cut."""
        counts = f"{self.total:,} examples have an error; the {len(self.rows)} with {self.order}"
        cells = [[_cell(value) for value in row] for row in self.rows]
        return f"{counts}:\n\n{markdown_table(self.header, cells)}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    text = str(value)
    return markdown(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def text_columns(outputs: SplitOutputs) -> tuple[str, ...]:
    """Return the names of the columns of an example's text or texts."""
    return ("text",) if outputs.pairs is None else ("text", "pair")


def most_confident(confidence: np.ndarray, is_wrong: np.ndarray, number: int) -> np.ndarray:
    """Return the wrong examples, the most confident first, at most ``number``."""
    import numpy as np

    order = np.argsort(-confidence, kind="stable")
    return order[is_wrong[order]][:number]
