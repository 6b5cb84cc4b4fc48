"""DataFrames of pandas and polars: their texts, and predictions as another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError, did_you_mean
from xferlab.inference.predictions import Predictions


def is_frame(texts: Any) -> bool:
    """Return whether examples are a DataFrame of pandas or polars."""
    return is_pandas(texts) or is_polars(texts)


def is_pandas(table: Any) -> bool:
    """Return whether a table is a DataFrame of pandas, which is not imported for it."""
    return hasattr(table, "iloc") and hasattr(table, "columns")


def is_polars(table: Any) -> bool:
    """Return whether a table is a DataFrame of polars, which is not imported for it."""
    return hasattr(table, "to_dicts") and hasattr(table, "columns")


def columns_of_frame(frame: Any, data: Any, spec: TaskSpec) -> tuple[list[Any], list[Any] | None]:
    """Return the texts of a DataFrame, and the second texts where a run reads pairs.

    Args:
        frame: of pandas or polars.
        data: the ``data`` node of the run's config, which names the columns.
        spec: the run's task.

    Raises:
        ConfigError: it has no such column, or two.
    """
    names = data if isinstance(data, Mapping) else {}
    texts = _column(frame, names.get("text") or "text")
    return texts, _column(frame, names.get("pair") or "pair") if spec.has_pairs else None


def _column(frame: Any, name: str) -> list[Any]:
    if name not in list(frame.columns):
        raise ConfigError(
            f"the DataFrame has no column '{name}', which the run was trained on",
            where="predict",
            fix=f"rename a column: {did_you_mean(name, [str(each) for each in frame.columns])}",
        )
    if list(frame.columns).count(name) > 1:
        what = f"the DataFrame has two columns '{name}'"
        raise ConfigError(what, where="predict", fix="rename one")
    return list(frame[name])


def as_frame(predictions: Predictions, frame: Any) -> Any:
    """Return predictions as a DataFrame of the kind and with the index of another one."""
    rows = list(predictions.rows())
    if is_pandas(frame):
        return type(frame)(rows, index=frame.index)
    return type(frame)(rows)
