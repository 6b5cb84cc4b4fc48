"""Labelled examples of a Python program as files, which runs, sweeps and resumes read.

The files are named by their content, so the same examples give the same run id.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xferlab.config.overrides import format_override, key_of
from xferlab.data.splits import SPLITS
from xferlab.errors import ConfigError
from xferlab.inference.frames import is_pandas, is_polars
from xferlab.io.atomic import atomic_write

FOLDER = Path("outputs/data")
"""Of the files, in the working directory."""
FORMS = (
    "give a DataFrame, a datasets.Dataset, a list of dicts, (texts, labels),"
    " or a dict of them by split"
)
Columns = Mapping[str, Sequence[Any]]


def data_overrides(data: Any, overrides: Sequence[str]) -> list[str]:
    """Write examples to files, one a split, and return the overrides that read them.

    Args:
        data: None; a table of the training examples: a DataFrame of pandas or polars, a
            ``datasets.Dataset``, a list of dicts, or texts and labels; or a dict of tables with
            the keys ``train``, ``validation`` and ``test``.
        overrides: of the caller.

    Raises:
        ConfigError: the data is of no such form, or ``overrides`` choose other data.
    """
    if data is None:
        return []
    for override in overrides:
        if key_of(override) in ("data", *(f"data.{split}" for split in SPLITS)):
            raise ConfigError(
                f"data= is given, and {override} chooses other data",
                where=override,
                fix="leave one of them out",
            )
    splits = data if _is_by_split(data) else {"train": data}
    if "train" not in splits or set(splits) - set(SPLITS):
        raise ConfigError(
            f"data has the splits {', '.join(map(str, splits)) or 'none'}",
            where="data",
            fix=f"name them {', '.join(SPLITS)}; train is needed",
        )
    needed = _needed_columns(overrides)
    paths = {}
    for split, table in splits.items():
        columns = columns_of(table, split)
        paths[split] = _write(_plain_columns(columns, needed, split))
    written = [format_override(f"data.{split}", str(path)) for split, path in paths.items()]
    return ["data=files", *written]


def _is_by_split(data: Any) -> bool:
    """Return whether a dict holds tables by split, ours or of other names, and no columns."""
    return isinstance(data, Mapping) and not set(SPLITS).isdisjoint(data)


def columns_of(table: Any, name: str) -> Columns:
    """Return a table's columns by name, as plain data.

    Args:
        table: see :func:`data_overrides`.
        name: of the table, for errors.
    """
    if is_polars(table):
        columns = {str(column): table[column].to_list() for column in table.columns}
    elif hasattr(table, "column_names") and hasattr(table, "features"):  # datasets
        columns = {column: _with_class_names(table, column) for column in table.column_names}
    elif is_pandas(table):
        columns = _columns_of_pandas(table, name)
    elif isinstance(table, Mapping):
        columns = {str(column): list(values) for column, values in table.items()}
    elif _is_pair(table):
        columns = dict(zip(("text", "label"), map(list, table), strict=True))
    elif isinstance(table, Sequence) and table and all(isinstance(row, Mapping) for row in table):
        names = dict.fromkeys(str(key) for row in table for key in row)
        columns = {key: [row.get(key) for row in table] for key in names}
    else:
        raise ConfigError(f"data is {type(table).__name__}", where=f"data, {name}", fix=FORMS)
    lengths = {column: len(values) for column, values in columns.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{column} {length}" for column, length in lengths.items())
        raise ConfigError(
            f"the columns have different lengths: {listed}" if lengths else "the table is empty",
            where=f"data, {name}",
            fix="give as many labels as texts" if lengths else FORMS,
        )
    return columns


def _is_pair(table: Any) -> bool:
    is_pair = isinstance(table, tuple) and len(table) == 2
    return is_pair and not any(isinstance(part, str | Mapping) for part in table)


def _with_class_names(table: Any, column: str) -> list[Any]:
    """Return a column of a ``datasets.Dataset``, class indices as the names of their classes."""
    values = list(table[column])
    names = getattr(table.features[column], "names", None)
    return [names[v] if isinstance(v, int) and v >= 0 else v for v in values] if names else values


def _columns_of_pandas(table: Any, name: str) -> dict[str, list[Any]]:
    names = [str(column) for column in table.columns]
    twice = next((column for column in names if names.count(column) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"the DataFrame has two columns '{twice}'", where=f"data, {name}", fix="rename one"
        )
    return {column: table.iloc[:, i].tolist() for i, column in enumerate(names)}


def _write(columns: Columns) -> Path:
    """Write a table as JSON lines and return the file, which is named by its content."""
    names = list(columns)
    rows = (dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True))
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    content = "".join(lines).encode("utf-8", "surrogatepass")
    path = FOLDER / f"{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    return path


def _plain_columns(columns: Columns, needed: set[str], name: str) -> dict[str, list[Any]]:
    """Return the columns that files can hold, such as no images or times.

    Raises:
        ConfigError: a column that the experiment reads is none of them.
    """
    plain = {}
    for column, values in columns.items():
        try:
            plain[column] = [plain_value(value) for value in values]
        except TypeError as error:
            if column in needed:
                raise ConfigError(
                    f"the column '{column}' holds {error}",
                    where=f"data, {name}",
                    fix="convert it to texts, numbers or lists of them",
                ) from None
    return plain


def _needed_columns(overrides: Sequence[str]) -> set[str]:
    """Return the columns that the experiment reads."""
    needed = {"data.text": "text", "data.label": "label"}
    keys = (*needed, "data.pair", "data.weight", "data.soft_labels", "data.group")
    for override in overrides:
        if key_of(override) in keys:
            needed[key_of(override)] = override.partition("=")[2]
    return {
        name.strip(" '\"") for value in needed.values() for name in value.strip("[]").split(",")
    }


def plain_value(value: Any) -> Any:
    """Return a cell as JSON data: NaN and NA as None, arrays as lists, NumPy's numbers as Python's.

    Raises:
        TypeError: it is none of these; the message is the name of its type.

    >>> plain_value(float("nan")), plain_value(("a", "b"))
    (None, ['a', 'b'])
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, list | tuple):
        return [plain_value(each) for each in value]
    if hasattr(value, "tolist"):  # of NumPy
        return plain_value(value.tolist())
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise TypeError(type(value).__name__)
