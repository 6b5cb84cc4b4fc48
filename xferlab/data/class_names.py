"""Class names: the user's, those beside the data, or those that occur; and label positions."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from xferlab.contracts import Task
from xferlab.data.class_names_file import Names, is_garbled
from xferlab.data.label_parsing import FLOAT, INTEGER, without_decimal_point
from xferlab.data.labels import UNLABELLED, Rows, distinct_names, name_of, replace_names, row_error
from xferlab.data.notes import Notes, join_some, shown
from xferlab.errors import ConfigError, nearest
from xferlab.formatting import format_count

SHOWN = 8
LONGEST = 40
"""Characters of a name that a message shows."""


def choose_names(
    rows: Rows,
    values: Sequence[Any],
    task: Task,
    chosen: Sequence[str],
    suggested: Names,
    notes: Notes,
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the class names and the position of each label value.

    Args:
        rows: training split.
        values: its labels, of :func:`~xferlab.data.labels.label_values`.
        task: the task; one without classes has no names.
        chosen: names that the user gave, in order.
        suggested: names that come with the data, used if they fit.
        notes: collects notes.
    """
    if not task.has_classes:
        return (), {}
    found = distinct_names(values)
    if not found:
        raise ConfigError("no row has a label", where="data.label", fix="data.label=COLUMN")
    names = tuple(name_of(name) for name in chosen)
    if len(set(names)) < len(names):
        raise ConfigError("a class is named twice", where="data.class_names", fix="name it once")
    source = "data.class_names" if names else suggested.source
    if not names and suggested.names:
        names = _suggested_if_fitting(rows, values, suggested, notes)
    if not names:
        _check_unlabelled(rows, values, task, notes)
        names = _sorted_names(rows, found, task)
        return names, {name: i for i, name in enumerate(names)}
    code = {name: i for i, name in enumerate(names)}
    positions = {str(i): i for i in range(len(names))}
    _refuse_other_numbers(rows, values, names, source)
    by_position = not found <= code.keys() and found <= positions.keys()
    _note_names(found, names, by_position, source, notes)
    return names, positions if by_position else code


def _suggested_if_fitting(
    rows: Rows, values: Sequence[Any], suggested: Names, notes: Notes
) -> tuple[str, ...]:
    """Return the names that come with the data, or () where they do not fit."""
    names = suggested.names
    source = suggested.source
    twice = [name for name, times in Counter(names).items() if times > 1 or not name]
    if twice:
        what = f"names {shown(twice[0])} twice" if twice[0] else "has an empty line"
        notes.add(f"{source} is not used: it {what}")
        return ()
    found = distinct_names(values)
    labels = found - set(UNLABELLED)
    fits = labels <= set(names) or labels <= {str(i) for i in range(len(names) + 1)}
    if fits and is_garbled(names):
        raise ConfigError(
            f"{source} beside the training file, which names the classes, is not UTF-8:"
            f" {shown(next(name for name in names if is_garbled([name])))}",
            where=source,
            fix="save it as UTF-8; data.class_names=[A,B] is used instead of it",
        )
    if fits:
        return names
    label = _unknown_label(found, names)
    near = next((name for name in names if _normal_form(name) == _normal_form(label)), None)
    hint = f" ({shown(near)} differs only in case, blanks or Unicode form)" if near else ""
    notes.add(
        f"{source} is not used: the label {shown(label)} is none of its"
        f" {format_count(len(names), 'name')}, {_some(names)}{hint}"
    )
    return ()


def _refuse_other_numbers(
    rows: Rows, values: Sequence[Any], names: Sequence[str], source: str
) -> None:
    """Raise ConfigError for numbers that are not positions in the names: -1, or counted from 1."""
    found = distinct_names(values)
    if found <= set(names):
        return
    positions = {str(i) for i in range(len(names))}
    unlabelled = found & set(UNLABELLED)
    if (
        unlabelled
        and found - unlabelled
        and (found - unlabelled <= positions or found - unlabelled <= set(names))
    ):
        raise _unlabelled_error("train", rows, values, unlabelled)
    numbers = all(map(INTEGER.fullmatch, found))
    if numbers and found & positions and not found <= {*positions, str(len(names))}:
        odd = _unknown_label(found, names)
        raise ConfigError(
            f"there is a label {odd}, and {source} names"
            f" {format_count(len(names), 'class')}, which the numbers 0 to {len(names) - 1} stand"
            " for",
            where=rows.place(next(i for i, v in enumerate(values) if odd in distinct_names([v]))),
            fix="correct it, or name every class: data.class_names=[...]",
        )
    from_one = {str(i + 1) for i in range(len(names))}
    if found <= from_one and str(len(names)) in found:
        numbers_as_names = join_some(range(1, len(names) + 1), SHOWN).replace(" ", "")
        raise ConfigError(
            f"labels are numbers from 1 to {len(names)}, and numbers are positions in {source},"
            f" counted from 0: {_some(names)}",
            where=rows.place(
                next(i for i, v in enumerate(values) if str(len(names)) in distinct_names([v]))
            ),
            fix="number the labels from 0, write the names in their place, or use the numbers as"
            f" names: data.class_names=[{numbers_as_names}]",
        )


def _unknown_label(found: set[str], names: Sequence[str]) -> str:
    """Return a label that is not a name, and not a position if it is a number."""
    positions = {str(i) for i in range(len(names))}
    return min(found - set(names) - positions or found - set(names))


def _unlabelled_error(
    split: str, rows: Rows, values: Sequence[Any], unlabelled: set[str]
) -> ConfigError:
    wrong = [i for i, value in enumerate(values) if distinct_names([value]) & unlabelled]
    what = (
        f"of {split} have the label {' or '.join(sorted(unlabelled))}, which means 'not labelled'"
    )
    fix = "leave such rows out, or write their labels"
    if split == "test":
        fix = "data.test=null runs without a test split; or leave such rows out"
    return row_error(rows, wrong, what, "label", fix)


def _note_names(
    found: set[str], names: Sequence[str], by_position: bool, source: str, notes: Notes
) -> None:
    if not found <= set(names) and not by_position:
        return
    there = {names[int(v)] for v in found} if by_position else found
    absent = [name for name in names if name not in there]
    if by_position:
        positions = join_some((f"{i} is {name}" for i, name in enumerate(names)), SHOWN)
        notes.add(f"labels are positions in {source}: {positions}")
    if absent:
        notes.add(f"{source}: {len(names)} classes; without a training row: {_some(absent)}")


def _check_unlabelled(rows: Rows, values: Sequence[Any], task: Task, notes: Notes) -> None:
    """Note -1 as a class among numbers >= 0; raise ConfigError for -100."""
    found = distinct_names(values)
    if task.is_per_word or not found & set(UNLABELLED):
        return
    numbers = all(map(INTEGER.fullmatch, found))
    if "-100" in found and numbers and all(int(name) >= -1 for name in found - {"-100"}):
        raise _unlabelled_error("train", rows, values, {"-100"})
    others = found - {"-1"}
    if "-1" in found and all(INTEGER.fullmatch(n) and int(n) >= 0 for n in others):
        number = sum("-1" in distinct_names([value]) for value in values)
        notes.add(
            f"the label -1 ({format_count(number, 'row')}) is taken for a class; leave these rows"
            " out if it means 'not labelled'"
        )


def _sorted_names(rows: Rows, found: set[str], task: Task) -> tuple[str, ...]:
    if task.is_exclusive:
        _check_classes(rows, found, task)
    if all(map(INTEGER.fullmatch, found)):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))


def _check_classes(rows: Rows, found: set[str], task: Task) -> None:
    """Raise ConfigError for a column of one value, or of a new value in every second row."""
    if len(found) == 1:
        unit, label = ("word", "tag") if task.is_per_word else ("example", "label")
        raise ConfigError(
            f"every {unit} of train has the {label} '{next(iter(found))}'",
            where="data.label",
            fix="choose a column with two or more classes, or name all in data.class_names",
        )
    if not task.is_per_word and len(rows) >= 20 and len(found) > len(rows) / 2:
        raise ConfigError(
            f"the label column has {len(found)} different values in {len(rows)} rows",
            where="data.label",
            fix="choose another column, or data.task=regression if it holds numbers",
        )


def label_codes(
    split: str, rows: Rows, values: Sequence[Any], code: dict[str, int], fix: str = ""
) -> list[Any]:
    """Return values with every label replaced by its position, or raise ConfigError."""
    for plain in (values, normalized_names(values)):
        try:
            return replace_names(plain, code)
        except KeyError:
            pass
    unknown = distinct_names(values) - set(code)
    if unknown <= set(UNLABELLED):
        raise _unlabelled_error(split, rows, values, unknown)
    first = next(i for i, v in enumerate(values) if distinct_names([v]) & unknown)
    label = sorted(distinct_names([values[first]]) & unknown)[0]
    near = nearest(label, code)
    usual = "correct it, or name every class: data.class_names=[...]"
    raise ConfigError(
        f"{split} has a label '{_some([label])}' that is none of: {_some(list(code), 12)}",
        where=rows.place(first),
        fix=(f"did you mean '{near}'? " if near else "") + (fix or usual),
    )


def normalized_names(values: Sequence[Any]) -> list[Any]:
    """Return names with whole numbers written without a point: ``1.0`` is ``1``."""
    return [without_decimal_point(v) if isinstance(v, str) else v for v in values]


def codes_by_name(
    split: str,
    rows: Rows,
    values: Sequence[Any],
    names: Sequence[str],
    suggested: Names,
    notes: Notes,
) -> list[Any]:
    """Return values with every label replaced by its position in ``names``, found by its name.

    Args:
        split: what the rows are called in messages.
        rows: where the values are from.
        values: labels, of :func:`~xferlab.data.labels.label_values`.
        names: the classes of the run's task.
        suggested: names that come with the rows, if they do: numbers are positions among these;
            without them numbers that are no names are positions in ``names``.
        notes: takes what is worth a line.

    Raises:
        ConfigError: a label is none of the names.
    """
    code = {name: i for i, name in enumerate(names)}
    own = suggested.names
    if own and (len(set(own)) < len(own) or "" in own):
        notes.add(f"{suggested.source} is not used: it is no list of different names")
        own = ()
    if not distinct_names(values) <= code.keys() and distinct_names(normalized_names(values)) <= {
        *code,
        *map(str, range(len(own or names))),
    }:
        values = normalized_names(values)
    found = distinct_names(values)
    order = own or tuple(names)
    if not found <= code.keys() and found <= {str(i) for i in range(len(order))}:
        where = suggested.source if own else "the run's classes"
        _note_names(found, order, True, where, notes)
        values = [_by_position(value, order) for value in values]
    elif not found <= code.keys():
        _refuse_other_numbers(rows, values, order, suggested.source if own else "the run's classes")
    fix = "the run has no other class: leave such rows out"
    return label_codes(split, rows, values, code, fix)


def _by_position(value: Any, order: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [None if v is None else order[int(v)] for v in value]
    return order[int(value)]


def report_variants(names: Sequence[str], counts: Sequence[int], unit: str, notes: Notes) -> None:
    """Note classes whose names differ only in case, blanks, Unicode form or a zero."""
    alike: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        alike.setdefault(_normal_form(name), []).append(i)
    groups = [found for found in alike.values() if len(found) > 1]
    if not groups:
        return
    first = " and ".join(f"{shown(names[i])} ({format_count(counts[i], unit)})" for i in groups[0])
    more = f"; {format_count(len(groups) - 1, 'more group')} likewise" if len(groups) > 1 else ""
    notes.add(
        f"the classes {first} differ only in case, blanks, Unicode form or zeros, and are kept"
        f" apart{more}"
    )


def _normal_form(name: str) -> str:
    if FLOAT.fullmatch(name):
        return str(float(name))
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _some(names: Sequence[str], most: int = SHOWN) -> str:
    short = (name if len(name) <= LONGEST else f"{name[:LONGEST]}..." for name in names)
    return join_some(short, most)
