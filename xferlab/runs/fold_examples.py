"""The examples that a run with folds was tested on, saved as data beside their outputs.

``predictions/fold.jsonl`` has a line for each test example, in their order: ``row``, its number
among all training examples from 1, ``text``, ``pair`` where examples are pairs, and ``label``: of
tags a list with null for each word that has no output. A report puts the folds together by it, and
shows texts, without reading the data again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split, TaskSpec
from xferlab.io.atomic import atomic_write
from xferlab.io.records import read_text
from xferlab.runs.predictions import FOLDER, LARGEST_BYTES

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
FILE = "fold.jsonl"


@dataclass(frozen=True)
class FoldExamples:
    """The examples of one fold.

    Attributes:
        rows: the position of each among all training examples, from 0.
        texts: of each; for tags a list of words.
        pairs: second texts, where examples are pairs.
        labels: as they are written, by name.
    """

    rows: Sequence[int]
    texts: Sequence[Any]
    pairs: Sequence[str] | None
    labels: Sequence[Any]


def keep_fold_examples(
    folder: Path, split: Split, rows: np.ndarray, spec: TaskSpec, labels: Any
) -> None:
    """Write the examples of a fold, unless they are too large.

    Args:
        folder: the run's.
        split: the fold.
        rows: the position of each example among all training examples.
        spec: the task.
        labels: of the stored outputs, as ``keep_predictions`` takes them.
    """
    names = spec.task.label_names(labels, spec.class_names)
    lines = []
    for i, row in enumerate(rows.tolist()):
        pair = {} if split.pairs is None else {"pair": split.pairs[i]}
        label = names[i][: len(split.texts[i])] if spec.task.is_per_word else names[i]
        line = {"row": row + 1, "text": split.texts[i], **pair, "label": label}
        lines.append(json.dumps(line, ensure_ascii=False, default=str) + "\n")
    content = "".join(lines).encode("utf-8", "surrogatepass")
    if len(content) > LARGEST_BYTES:
        log.info("note       the texts of the fold take %d MB and are not kept", len(content) >> 20)
        return
    path = folder / FOLDER / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, content)


def read_fold_examples(folder: Path) -> FoldExamples:
    """Return the examples of a run's fold.

    Raises:
        ValueError: there are none, or the file is not what this module writes.
    """
    path = folder / FOLDER / FILE
    if not path.is_file() or path.parent.is_symlink():
        raise ValueError("it has not kept the examples of its fold")
    try:
        # not splitlines(): it also divides at U+2028 and U+0085, which JSON has as they are
        lines = read_text(path, LARGEST_BYTES).rstrip("\n").split("\n")
        records = [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError):
        raise ValueError("its file of examples is damaged") from None
    if not all(_is_example(each) for each in records):
        raise ValueError("its file of examples is damaged")
    pairs = [each["pair"] for each in records if "pair" in each]
    return FoldExamples(
        [each["row"] - 1 for each in records],
        [each["text"] for each in records],
        pairs if len(pairs) == len(records) > 0 else None,
        [each.get("label") for each in records],
    )


def _is_example(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("row"), int):
        return False
    is_text = isinstance(record.get("text"), str | list)
    return is_text and record["row"] > 0 and isinstance(record.get("pair", ""), str)
