"""Labels that are lists: of names, multi-hot, or written as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from xferlab.contracts import Task, TaskSpec
from xferlab.data.class_names_file import Names
from xferlab.data.label_parsing import as_bit, detect_multi_hot, literal_list
from xferlab.data.labels import Rows, is_missing, present_labels, row_error
from xferlab.data.notes import Notes, join_some, named_rows, shown
from xferlab.errors import ConfigError
from xferlab.formatting import format_count


def are_lists_in_text(rows: Rows, choice: Task | None, notes: Notes) -> bool:
    """Return whether the labels are lists that are written as text, as in CSV files."""
    if choice is not None and not choice.has_label_lists:
        return False
    cells = present_labels(rows)
    if not cells or not all(isinstance(value, str) for _, value in cells):
        return False
    others = [i for i, value in cells if literal_list(value) is None]
    if len(others) == len(cells):
        return False
    without = set(others)
    written = [i for i, _ in cells if i not in without]
    if not others:
        first = written[0]
        notes.add(
            f"labels are lists written as text ({named_rows([first])}:"
            f" {shown(rows.labels[first])}): they are read as lists"
        )
        return True
    if choice is None and len(written) < len(others):
        notes.add(
            f"{format_count(len(written), 'label')} such as {shown(rows.labels[written[0]])}"
            f" ({named_rows(written)}) taken for the name of a class"
        )
        return False
    what = f"have a label that is no list, e.g. {shown(rows.labels[others[0]])}, among"
    raise row_error(
        rows,
        others,
        f"of train {what} {format_count(len(written), 'list')} written as text",
        "label",
        "write all as lists; data.task=single_label takes each for a class's name",
    )


def parse_lists(name: str, rows: Rows) -> Rows:
    """Return rows with labels parsed from lists in text, and texts too where all are such lists."""
    labels = [value if is_missing(value) else _as_list(value) for value in rows.labels]
    wrong = [
        i for i, value in enumerate(labels) if value is None and not is_missing(rows.labels[i])
    ]
    if wrong:
        what = f"of {name} have a label that is no list, e.g. {shown(rows.labels[wrong[0]])}"
        raise row_error(rows, wrong, what, "label", "write it as the lists of train are written")
    texts = [_as_list(text) for text in rows.texts]
    are_lists = bool(texts) and all(text is not None for text in texts)
    return dataclasses.replace(rows, labels=labels, texts=texts if are_lists else rows.texts)


def _as_list(value: Any) -> list[Any] | None:
    if isinstance(value, list | tuple):
        return list(value)
    return literal_list(value) if isinstance(value, str) else None


def split_labels(
    splits: Mapping[str, Rows], separator: str, known: Collection[str] = ()
) -> dict[str, Rows]:
    """Return splits with each label split at the separator, where every label is a string.

    Args:
        splits: rows by split.
        separator: the text between the labels of a string.
        known: names of classes, which are not split.
    """
    first = next(iter(splits.values()))
    if not all(isinstance(value, str) for _, value in present_labels(first)):
        return dict(splits)

    def parts(value: Any) -> Any:
        is_text = isinstance(value, str) and not is_missing(value)
        if is_text and value.strip() in known:
            return [value.strip()]
        return [part.strip() for part in value.split(separator)] if is_text else value

    return {
        name: dataclasses.replace(rows, labels=[parts(value) for value in rows.labels])
        for name, rows in splits.items()
    }


def are_multi_hot_or_fractions(rows: Rows) -> bool:
    """Return whether lists cannot be tags: all multi-hot of one width, or with fractions."""
    lists = [value for _, value in present_labels(rows) if isinstance(value, list | tuple)]
    hot = detect_multi_hot(lists)
    return bool(hot.width and not hot.against) or any(_is_fraction(v) for row in lists for v in row)


def multi_hot_width(rows: Rows, choice: Task | None, has_names: bool, notes: Notes) -> int:
    """Return the number of classes of multi-hot lists; 0 for lists of names."""
    cells = [(i, value) for i, value in present_labels(rows) if isinstance(value, list | tuple)]
    broken = [i for i, value in cells if any(_is_fraction(item) for item in value)]
    if broken:
        what = (
            f"have a list of numbers with fractions as label, e.g. {shown(rows.labels[broken[0]])}"
        )
        fix = "write names, or 0 and 1 for each class: fractions of classes are not supported"
        raise row_error(rows, broken, f"of train {what}", "label", fix)
    lists = [value for _, value in cells]
    hot = detect_multi_hot(lists)
    if hot.against:
        against = [cells[i][0] for i in hot.against]
        raise row_error(
            rows,
            against,
            f"of train have a label that is no list of {hot.width} times 0 or 1, as the other"
            f" {len(cells) - len(against):,} are, e.g. {shown(rows.labels[against[0]])}",
            "label",
            "correct them; lists of names may have any length, and each name once",
        )
    if hot.repeats:
        odd = [cells[i][0] for i in hot.repeats]
        notes.add(
            f"{format_count(len(odd), 'list')} of labels ({named_rows(odd)}:"
            f" {shown(rows.labels[odd[0]])}) have one twice, which counts once"
        )
    single = all(len(v) == 1 and as_bit(v[0]) is not None for v in lists)
    if not hot.width and lists and single and not has_names and choice is None:
        raise ConfigError(
            f"every label is a list of one 0 or 1, e.g. {shown(lists[0])}: it may be the number of"
            " a class, or whether one class is present",
            where=rows.place(cells[0][0]),
            fix="write plain numbers for one label a row, or name data.class_names=[A,B]",
        )
    return hot.width


def _is_fraction(item: Any) -> bool:
    return isinstance(item, float) and not item.is_integer()


def from_multi_hot(
    splits: Mapping[str, Rows],
    task: Task,
    width: int,
    chosen: Sequence[str],
    suggested: Sequence[str],
    notes: Notes,
) -> tuple[dict[str, Rows], tuple[str, ...]]:
    """Return multi-hot rows as lists of names, and the names of all classes."""
    if chosen and len(chosen) != width:
        raise ConfigError(
            f"labels are lists of {width} times 0 or 1; the classes named are {len(chosen)}",
            where="data.class_names",
            fix=f"name {width}, in the order of the lists",
        )
    fits = len(suggested) == width
    names = tuple(map(str, chosen or (suggested if fits else range(width))))
    ready = {name: multi_hot_names(name, rows, names) for name, rows in splits.items()}
    singles = all(len(v) == 1 for _, v in present_labels(ready["train"]))
    source = "data.class_names" if chosen else "the data's own names" if fits else "positions"
    kind = (
        "one 1 a row; data.task=single_label takes them for one class" if singles else "multi-hot"
    )
    unused = f"; the {len(suggested)} names that come with it do not fit" if suggested else ""
    if task.has_label_lists:
        notes.add(
            f"labels are lists of {width} times 0 or 1 ({kind}): the classes are {source}:"
            f" {join_some(names)}"
            f"{'' if fits or chosen else unused}"
        )
        return ready, names
    if not singles:
        return dict(splits), ()
    one = {
        name: dataclasses.replace(rows, labels=[v[0] if v else None for v in rows.labels])
        for name, rows in ready.items()
    }
    return one, names


def multi_hot_names(name: str, rows: Rows, names: Sequence[str]) -> Rows:
    """Return rows whose labels are lists of 0 and 1, one for each of ``names``, as lists of names.

    Raises:
        ConfigError: a label is no such list.
    """
    wrong = [i for i, v in enumerate(rows.labels) if not _is_multi_hot_of(v, len(names))]
    if wrong:
        what = f"of {name} have a label that is no list of {len(names)} times 0 or 1"
        example = f"{what}, e.g. {shown(rows.labels[wrong[0]])}"
        raise row_error(rows, wrong, example, "label", "write one 0 or 1 for each class")
    labels = [[n for n, v in zip(names, row, strict=True) if as_bit(v)] for row in rows.labels]
    return dataclasses.replace(rows, labels=labels)


def _is_multi_hot_of(value: Any, width: int) -> bool:
    if not isinstance(value, list | tuple) or len(value) != width:
        return False
    return all(as_bit(item) is not None for item in value)


def names_of_multi_hot(
    name: str, rows: Rows, spec: TaskSpec, suggested: Names, notes: Notes
) -> Rows:
    """Return rows with lists of names, for lists of names or of 0 and 1 of a run's task."""
    lists = [value for _, value in present_labels(rows) if isinstance(value, list | tuple)]
    width = spec.num_classes
    fits = width > 1 and all(_is_multi_hot_of(value, width) for value in lists)
    hot = detect_multi_hot(lists)
    if not fits and not hot.width:
        return rows
    if not fits:
        wrong = next(i for i, value in enumerate(rows.labels) if not _is_multi_hot_of(value, width))
        raise ConfigError(
            f"labels of {name} are lists of 0 and 1, e.g. {shown(rows.labels[wrong])}, and the run"
            f" has {format_count(width, 'class')}",
            where=rows.place(wrong),
            fix=f"write lists of {width}, in the order of: {', '.join(spec.class_names[:8])}",
        )
    own = suggested.names if len(suggested.names) == width else spec.class_names
    source = suggested.source if own is suggested.names else "the run's classes"
    notes.add(
        f"labels of {name} are lists of {width} times 0 or 1, in the order of {source}:"
        f" {join_some(own)}"
    )
    found = multi_hot_names(name, rows, own)
    if spec.task.has_label_lists or not all(len(row) == 1 for row in found.labels):
        return found
    return dataclasses.replace(found, labels=[row[0] for row in found.labels])
