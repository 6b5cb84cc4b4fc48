"""Labels that are numbers: values or classes, decimal signs, and other text among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from xferlab.contracts import Task
from xferlab.data.label_parsing import (
    NOTHING,
    NumberFormats,
    number_formats,
    with_decimal_point,
    without_decimal_point,
)
from xferlab.data.labels import Cells, Rows, present_labels, row_error
from xferlab.data.notes import Notes, named_rows, shown
from xferlab.errors import ConfigError
from xferlab.formatting import format_count


def task_of_numbers(rows: Rows, cells: Cells, notes: Notes) -> Task:
    """Return the task of plain labels: regression for numbers with fractions, else one label."""
    found = number_formats(cells)
    if found.words:
        _report_mixture(rows, cells, found, notes)
        return Task.single_label
    if found.comma:
        _refuse_ambiguous_commas(rows, found)
    if not found.pointed and not found.comma:
        return Task.single_label
    sign = "comma" if found.comma else "point"
    if found.fractions:
        few = len(found.fractions)
        rest = (
            f" in {named_rows(found.fractions)} of {len(cells):,}" if 2 * few < len(cells) else ""
        )
        notes.add(
            f"labels are numbers with a {sign}{rest}: data.task is regression (data.task="
            "single_label takes each number for a class)"
        )
        return Task.regression
    row = (found.pointed or found.comma)[0]
    notes.add(
        f"labels are whole numbers written with a {sign} ({named_rows([row])}:"
        f" {shown(rows.labels[row])}): they are taken for classes (data.task=regression takes them"
        " for values)"
    )
    return Task.single_label


def _report_mixture(rows: Rows, cells: Cells, found: NumberFormats, notes: Notes) -> None:
    """Note labels that are partly numbers and partly words; ConfigError where that fits no task."""
    words = [row for row in found.words if _is_nothing(rows.labels[row])]
    if 2 * found.count >= len(cells) and (found.fractions or len(words) == len(found.words)):
        kind = "numbers with fractions" if found.fractions else "numbers"
        raise row_error(
            rows,
            found.words,
            f"of train have a label that is no number, e.g. {shown(rows.labels[found.words[0]])},"
            f" and the other {found.count:,} are {kind}",
            "label",
            "correct them or leave them out; data.task=single_label takes each for a class's name",
        )
    if found.count:
        fewer = "numbers" if found.count < len(found.words) else "words"
        some = found.words if fewer == "words" else found.whole + found.pointed + found.comma
        notes.add(
            f"{format_count(len(cells), 'label')} are words and numbers: all are taken for classes;"
            f" {len(some):,} are {fewer}, e.g. {shown(rows.labels[some[0]])} ({named_rows(some)})"
        )
    elif words:
        notes.add(
            f"{format_count(len(words), 'label')} such as {shown(rows.labels[words[0]])}"
            f" ({named_rows(words)}) taken for the name of a class, not for a missing label"
        )


def _is_nothing(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in NOTHING


def _refuse_ambiguous_commas(rows: Rows, found: NumberFormats) -> None:
    """Raise ConfigError for commas that may stand between thousands, or beside points."""
    if found.thousands:
        what = f"the comma in {shown(rows.labels[found.comma[0]])} may be a decimal comma or stand"
        fix = (
            "write 1234.5 instead of 1,234.5 or 1.234,5; data.task=single_label reads them as names"
        )
        raise ConfigError(f"{what} between thousands", where=rows.place(found.comma[0]), fix=fix)
    if found.pointed:
        fewer = min((found.comma, found.pointed), key=len)
        raise row_error(
            rows,
            fewer,
            "have a label written with another decimal sign than the others, e.g."
            f" {shown(rows.labels[fewer[0]])}",
            "label",
            "write all with a point; data.task=single_label takes each for a class's name",
        )


def replace_decimal_commas(name: str, rows: Rows, notes: Notes) -> Rows:
    """Return rows of a regression with a point in place of each decimal comma."""
    found = number_formats(present_labels(rows))
    if not found.comma or found.words:
        return rows
    _refuse_ambiguous_commas(rows, found)
    first = found.comma[0]
    notes.add(
        f"the labels of {name} have a decimal comma: {shown(rows.labels[first])} is"
        f" {float(with_decimal_point(rows.labels[first])):g}"
    )
    return dataclasses.replace(rows, labels=[with_decimal_point(value) for value in rows.labels])


def normalize_whole_numbers(splits: Mapping[str, Rows], known: set[str]) -> dict[str, Rows]:
    """Return splits with whole numbers as such, where all classes of train are whole numbers.

    Args:
        splits: ``train`` and others, one label a row.
        known: names of classes, which are left as they are.
    """
    found = number_formats(present_labels(splits["train"]))
    if found.words or found.fractions or not (found.pointed or found.comma):
        return dict(splits)
    return {
        name: dataclasses.replace(rows, labels=[_whole(value, known) for value in rows.labels])
        for name, rows in splits.items()
    }


def _whole(value: Any, known: set[str]) -> Any:
    if not isinstance(value, str) or value.strip() in known:
        return value
    return without_decimal_point(str(with_decimal_point(value)).strip())
