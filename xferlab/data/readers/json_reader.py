"""Reader of JSON: one object a line, objects over several lines, or one list of objects."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from xferlab.data.readers.examples import NOT_UNICODE, Stream, StreamedRow, checked_row
from xferlab.data.readers.text_file import TOO_LONG, NumberedLine, TextFile, decoded
from xferlab.errors import ConfigError

HEAD_ROWS = 1_000
"""Rows that the names of columns are taken from, unless a column is missing there."""
ONE_A_LINE = "write one JSON object a line"
_DECODER = json.JSONDecoder()
_NOT_BLANK = re.compile(r"\S")


def json_stream(text: TextFile, key: str) -> Stream:
    """Open a JSON file.

    Raises:
        ConfigError: it has no rows, or something other than rows.
    """
    first = _first_line(text)
    if first is None:
        raise ConfigError(f"{text.path} has no rows", where=key, fix="name a file that has some")
    line, data = first
    first_character = _first_character(text)
    if first_character == "[":
        return _of_rows(text, _listed(text))
    if first_character == "{" and data is not None and _row(line, data).problem:
        objects = _objects(text)
        if objects:
            return _of_rows(text, objects)
    only = _only_object(text)
    if only is not None:
        _refuse_table(text, only)
    return _of_lines(text)


def _first_line(text: TextFile) -> NumberedLine | None:
    """Return the first line that is not blank."""
    with text.open() as stream:
        for line, data in text.lines(stream):
            if data is None or decoded(data).strip():
                return line, data
    return None


def _first_character(text: TextFile) -> str:
    """Return the first character that is not blank, also of a line that is too long."""
    with text.open() as stream:
        return decoded(stream.read(1000)).lstrip()[:1]


def _of_lines(text: TextFile) -> Stream:
    """Return the rows of a file of one object a line."""
    stream = text.open()

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        for line, data in text.lines(stream):
            if data is None or data.strip():
                yield _select(_row(line, data), columns)

    columns = _names(text, HEAD_ROWS)
    if not columns:
        with text.open() as again:
            line, data = next((n, d) for n, d in text.lines(again) if d is None or d.strip())
        problem = _row(line, data).problem or "is empty"
        raise _no_row(text, f"line {line} {problem}", line)
    return Stream(columns, rows, text.size(), stream.tell, all_columns=lambda: _names(text, None))


def _no_row(text: TextFile, problem: str, line: int = 0) -> ConfigError:
    return ConfigError(
        f"{text.path} has no row in JSON: {problem}",
        where=f"{text.path}:{line}" if line else str(text.path),
        fix=ONE_A_LINE,
    )


def _names(text: TextFile, most: int | None) -> list[str]:
    """Return the keys of the first readable rows; of all where ``most`` is None."""
    names: dict[str, None] = {}
    with text.open() as stream:
        for number, (line, data) in enumerate(text.lines(stream)):
            if most is not None and number >= most:
                break
            if data is not None and data.strip():
                names.update(dict.fromkeys(_row(line, data).values))
    return list(names)


def _select(row: StreamedRow, columns: Sequence[str]) -> StreamedRow:
    """Return a row with these columns only, None for a missing one."""
    if row.problem:
        return row
    return checked_row(row.line, {name: row.values.get(name) for name in columns})


def _row(line: int, data: bytes | None) -> StreamedRow:
    """Return the object of one line."""
    if data is None:
        return StreamedRow(line, {}, TOO_LONG)
    try:
        row = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return StreamedRow(line, {}, NOT_UNICODE)
    except (ValueError, RecursionError) as e:
        return StreamedRow(line, {}, f"is not a row in JSON: {_json_problem(e)}", ONE_A_LINE)
    return _as_row(line, row)


def _as_row(line: int, row: Any) -> StreamedRow:
    if isinstance(row, dict):
        return StreamedRow(line, row)
    what = 'is not a row in JSON: a row must be an object: {"text": ..., "label": ...}'
    return StreamedRow(line, {}, what, ONE_A_LINE)


def _json_problem(e: Exception) -> str:
    """Return the decoder's error in words."""
    if isinstance(e, json.JSONDecodeError):
        return f"{e.msg} at column {e.colno}"
    if isinstance(e, RecursionError):
        return "it is nested too deeply"
    return "a number in it has thousands of digits"


def _whole(text: TextFile) -> str:
    """Return a whole file as one string; ConfigError if it is not Unicode."""
    with text.open() as stream:
        data = stream.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        what = f"line {line} {NOT_UNICODE}"
        raise ConfigError(what, where=f"{text.path}:{line}", fix="save it as UTF-8") from e


def _listed(text: TextFile) -> list[StreamedRow]:
    """Return the rows of a JSON list."""
    try:
        found = json.loads(_whole(text))
    except (ValueError, RecursionError) as e:
        line = e.lineno if isinstance(e, json.JSONDecodeError) else 1
        raise ConfigError(
            f"line {line} is not a row in JSON: {_json_problem(e)}",
            where=f"{text.path}:{line}",
            fix="write one JSON object a line, or one list of objects",
        ) from e
    return [_as_row(0, row) for row in found]


def _objects(text: TextFile) -> list[StreamedRow]:
    """Return objects of several lines each; [] if the file has another layout."""
    whole = _whole(text)
    rows: list[StreamedRow] = []
    at = 0
    line = 1
    counted = 0
    while (match := _NOT_BLANK.search(whole, at)) is not None:
        line += whole.count("\n", counted, match.start())
        counted = match.start()
        try:
            row, at = _DECODER.raw_decode(whole, counted)
        except (ValueError, RecursionError):
            return []
        rows.append(_as_row(line, row))
    if len(rows) == 1:
        _refuse_table(text, rows[0].values)
    return rows


def _only_object(text: TextFile) -> dict[str, Any] | None:
    """Return the object of a file that has one line."""
    with text.open() as stream:
        lines = (pair for pair in text.lines(stream) if pair[1] is None or pair[1].strip())
        line, data = next(lines)
        if next(lines, None) is not None:
            return None
    return _row(line, data).values


def _refuse_table(text: TextFile, values: dict[str, Any]) -> None:
    """Raise ConfigError for a file that is one object with all rows."""
    is_table = bool(values) and all(isinstance(value, dict) and value for value in values.values())
    is_split = values.keys() >= {"columns", "data"}  # as pandas writes it
    lists = [
        name
        for name, value in values.items()
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
    ]
    quoted = shlex.quote(str(text.path))
    path = text.path.with_suffix(".jsonl")
    if is_table or is_split or _is_columns(text, values):
        fix = f"{ONE_A_LINE}, as pandas does: to_json({str(path)!r}, orient='records', lines=True)"
    elif lists:
        rows = shlex.quote(f".[{json.dumps('train' if 'train' in lists else lists[0])}][]")
        fix = f"{ONE_A_LINE}: jq -c {rows} {quoted} > {shlex.quote(str(path))}"
    else:
        return
    raise ConfigError(
        f"{text.path} is one JSON object that holds all rows, not a row each",
        where=str(text.path),
        fix=fix,
    )


def _is_columns(text: TextFile, values: dict[str, Any]) -> bool:
    """Return whether an object has a list for each column; in JSON lines that is a row of words."""
    lengths = {len(value) if isinstance(value, list) else 0 for value in values.values()}
    one_length = len(values) > 1 and len(lengths) == 1
    return text.path.suffix.lower() == ".json" and one_length and lengths.pop() > 1


def _of_rows(text: TextFile, rows: list[StreamedRow]) -> Stream:
    """Return the stream of rows that are in memory."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row.values))
    if rows and not names:
        raise _no_row(text, f"row 1 {rows[0].problem or 'is empty'}")
    done = 0

    def chosen(columns: Sequence[str]) -> Iterator[StreamedRow]:
        nonlocal done
        for row in rows:
            done += 1
            yield _select(row, columns)

    return Stream(list(names), chosen, len(rows), lambda: done)
