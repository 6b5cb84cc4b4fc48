"""Rows that stand in two splits, texts with two labels, labels as texts: reported or refused.

Texts are compared by 64-bit digests, blanks collapsed, so a million rows take 8 MB a split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split
from xferlab.data.labels import Rows
from xferlab.data.notes import Notes, named_rows, shown
from xferlab.errors import ConfigError
from xferlab.formatting import format_count

if TYPE_CHECKING:
    import numpy as np

WITHOUT = {
    "test": "data.test=null runs without a test split",
    "validation": "data.validation=null holds back a fraction of train",
}


def check_columns(text: str, pair: str | None, label: str | None) -> None:
    """Raise ConfigError for plugin fields that name a column twice."""
    for name, column, other, its in (
        ("label", label, "text", text),
        ("label", label, "pair", pair),
        ("pair", pair, "text", text),
    ):
        if column is not None and column == its:
            raise ConfigError(
                f"data.{name} and data.{other} are the same column: '{column}'",
                where=f"data.{name}",
                fix=f"data.{name}=COLUMN, the one that holds the {name}",
            )


def refuse_shared_files(files: Mapping[str, Iterable[Path]]) -> None:
    """Raise ConfigError if a file of validation or test is one of train, whatever it is called."""
    train = {path.resolve() for path in files.get("train", ())}
    for name in WITHOUT:
        for path in files.get(name, ()):
            if path.resolve() in train:
                raise ConfigError(
                    f"{path} is among the training files too",
                    where=f"data.{name}",
                    fix=f"name rows that are not trained on; {WITHOUT[name]}",
                )


def refuse_copied_labels(rows: Rows) -> None:
    """Raise ConfigError if the text of every row is nothing but its label."""
    for column, values in (("text", rows.texts), ("pair", rows.pairs)):
        if values is not None and len(values) and all(map(_is_copy, values, rows.labels)):
            raise ConfigError(
                f"the {column} of every row is its label, e.g. {shown(values[0])}",
                where=f"data.{column}",
                fix=f"choose the column of the {column}: data.{column}=COLUMN",
            )


def _is_copy(text: Any, label: Any) -> bool:
    return isinstance(text, str) and text.strip() == str(label).strip()


def report_conflicts(split: Split, notes: Notes) -> None:
    """Report texts of train that stand there with different labels."""
    import numpy as np

    texts = text_digests(split)
    if len(np.unique(texts)) == len(texts):
        return
    labels = label_digests(split.labels)
    order = np.lexsort((labels, texts))
    same = texts[order][1:] == texts[order][:-1]
    differ = np.flatnonzero(same & (labels[order][1:] != labels[order][:-1]))
    if not len(differ):
        return
    found = np.unique(texts[order][differ])
    first = sorted(np.flatnonzero(texts == texts[order][differ[0]]).tolist())
    rows = int(np.isin(texts, found).sum())
    notes.add(
        f"different labels for the same text in train: {format_count(len(found), 'text')} in"
        f" {format_count(rows, 'row')}, e.g. {_shown(split, first[0])} in {named_rows(first)}"
    )


def report_overlaps(splits: Mapping[str, Split], held_back: bool, notes: Notes) -> None:
    """Report rows of validation and test that are rows of train, or of each other.

    Args:
        splits: by name, as they are used.
        held_back: whether validation was taken from the training rows; then rows of test are
            compared with both.
        notes: takes the lines.

    Raises:
        ConfigError: all rows of a split that the user named are training rows.
    """
    import numpy as np

    digests = {name: text_digests(split) for name, split in splits.items()}
    train = digests["train"]
    if held_back:
        shared = np.isin(digests["validation"], train)
        _report(
            "validation", splits["validation"], shared, ", held back from train,", "train", notes
        )
        train = np.concatenate([train, digests["validation"]])
    for name in ("test",) if held_back else ("validation", "test"):
        if name not in splits:
            continue
        shared = np.isin(digests[name], train)
        if shared.all():
            raise ConfigError(
                f"every row of {name} is a training row, e.g. {_shown(splits[name], 0)}",
                where=f"data.{name}",
                fix=f"name rows that are not trained on; {WITHOUT[name]}",
            )
        _report(name, splits[name], shared, "", "train", notes)
    if {"validation", "test"} <= splits.keys() and not held_back:
        shared = np.isin(digests["test"], digests["validation"])
        _report("test", splits["test"], shared, "", "validation", notes)


def _report(
    name: str, split: Split, shared: np.ndarray, which: str, other: str, notes: Notes
) -> None:
    number = int(shared.sum())
    if number:
        verb = "is a row" if number == 1 else "are rows"
        notes.add(
            f"{number:,} of {format_count(len(split), f'{name} row')}"
            f" ({number / len(split):.1%}){which}"
            f" {verb} of {other} too, e.g. {_shown(split, int(shared.argmax()))}"
        )


def _shown(split: Split, row: int) -> str:
    return shown(joined(split.texts[row]))


def joined(text: Any) -> str:
    """Return a text, or a list of words, with blanks collapsed, as rows are compared."""
    return " ".join((text if isinstance(text, str) else " ".join(text)).split())


def text_digests(split: Split) -> np.ndarray:
    """Return 64 bits of each row's text, and second text, uint64 (rows,)."""
    texts = map(joined, split.texts)
    if split.pairs is None:
        return _hashed(texts, len(split))
    pairs = zip(texts, map(joined, split.pairs), strict=True)
    return _hashed((f"{text}\n{pair}" for text, pair in pairs), len(split))


def label_digests(labels: Sequence[Any]) -> np.ndarray:
    """Return 64 bits of each row's label, uint64 (rows,)."""
    return _hashed((label.tobytes() for label in labels), len(labels))


def _hashed(values: Iterable[str | bytes], rows: int) -> np.ndarray:
    import numpy as np

    def number(value: str | bytes) -> int:
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")

    return np.fromiter(map(number, values), dtype="uint64", count=rows)
