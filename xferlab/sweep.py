"""The table of a sweep, read from what its jobs left on disk; needs no TensorFlow."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError, printable
from xferlab.files import read_json, write_whole
from xferlab.record import read_status
from xferlab.safety import read_config_data


def sweep_rows(folder: Path) -> list[dict[str, Any]]:
    """Return one row a job: its id, what was swept, status, best score and test scores."""
    jobs = sorted(path.parent for path in folder.glob("*/status.json"))
    if not jobs:
        raise ConfigError(
            "there is no run in this folder", where=str(folder), fix="name a sweep's folder"
        )
    settings = {job: _settings(job) for job in jobs}
    keys = swept_keys(list(settings.values()))
    rows = [_row(job, {key: settings[job].get(key) for key in keys}) for job in jobs]
    return sorted(rows, key=lambda row: [_order(row[key]) for key in keys])


def swept_keys(settings: list[dict[str, Any]]) -> list[str]:
    """Return the keys whose values differ between jobs.

    >>> swept_keys([{"a": 1, "b": 2}, {"a": 1, "b": 3}])
    ['b']
    """
    keys = list(dict.fromkeys(key for each in settings for key in each))
    return [key for key in keys if len({repr(each.get(key)) for each in settings}) > 1]


def _order(value: Any) -> tuple[bool, float, str]:
    """Return what numbers sort by as numbers, and all else after them by its text."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (not number, float(value) if number else 0.0, "" if number else str(value))


def _settings(job: Path) -> dict[str, Any]:
    return dict(_flat(read_config_data(job / "config.yaml")))


def _flat(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(node, Mapping):
        return [(prefix, node)]
    return [pair for k, v in node.items() for pair in _flat(v, f"{prefix}.{k}" if prefix else k)]


def _row(job: Path, swept: dict[str, Any]) -> dict[str, Any]:
    status = read_status(job)
    row = {"run": job.name, **swept, "status": status["status"]}
    path = job / "metrics.json"
    if path.exists():
        metrics = read_json(path)
        row[metrics["best"]["monitor"]] = metrics["best"]["value"]
        row["best epoch"] = metrics["best"]["epoch"]
        row |= {f"test {name}": value for name, value in metrics.get("test", {}).items()}
        row["seconds"] = metrics["seconds"]
    elif "error" in status:
        row["error"] = status["error"]
    return row


def print_table(folder: Path) -> int:
    """Print the table, write it as ``results.csv``; return 1 if any job did not finish."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text  # a plain str may hold markup, such as links

    rows = sweep_rows(folder)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        number = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(
            Text(printable(column)), justify="right" if number else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(Text(printable(_shown(row.get(column)))) for column in columns))
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=200)).print(table)
    print(f"{folder / 'results.csv'}")
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / "results.csv", text.getvalue())
    return int(any(row["status"] != "finished" for row in rows))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
