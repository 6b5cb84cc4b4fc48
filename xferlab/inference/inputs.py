"""The inputs of a prediction: from the command line, a file, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.data.readers.examples import Stream, StreamedRow
from xferlab.data.readers.stream import LINE_COLUMNS, column_of, open_stream, text_lines
from xferlab.data.readers.text_file import as_utf8
from xferlab.errors import ConfigError
from xferlab.inference.run import example_problem

CHUNK_ROWS = 8192
CHUNK_CHARACTERS = 4_000_000
"""A chunk ends after this many rows, or this many characters."""


@dataclass(frozen=True)
class InputRow:
    """A row to predict.

    Attributes:
        number: counted from 1, bad rows included.
        line: its first line in the file, 0 where there are no lines.
        text: a string, for token classification also a list of words.
        pair: the second text, where the run was trained on pairs.
        problem: why there is no prediction for it, "" if there is one.
    """

    number: int
    line: int
    text: Any
    pair: Any
    problem: str


@dataclass(frozen=True)
class InputStream:
    """Rows to predict, and where they come from.

    Attributes:
        rows: yields every row once, in order.
        stream: that they are read from, None for those of the command line.
        is_interactive: whether a person types them, so that each is predicted at once.
    """

    rows: Iterator[InputRow]
    stream: Stream | None = None
    is_interactive: bool = False

    @property
    def notes(self) -> Sequence[str]:
        """Remarks on how the file was read."""
        return self.stream.notes if self.stream else ()

    def chunks(self) -> Iterator[list[InputRow]]:
        """Yield the rows, a bounded number at a time."""
        chunk: list[InputRow] = []
        characters = 0
        for row in self.rows:
            chunk.append(row)
            characters += len(row.text) if isinstance(row.text, str | list) else 0
            if self.is_interactive or len(chunk) >= CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
                yield chunk
                chunk = []
                characters = 0
        if chunk:
            yield chunk


def command_line_rows(spec: TaskSpec, texts: Sequence[str]) -> InputStream:
    """Return the texts of a command line; of pairs, two arguments are a row."""
    if not spec.has_pairs:
        rows = [StreamedRow(0, {"text": text}) for text in texts]
        return InputStream(_inputs(spec, iter(rows), "text", None))
    if len(texts) % 2:
        raise ConfigError(
            f"this run was trained on pairs of texts, and {len(texts)} are given",
            where="TEXT",
            fix='give two for each row: predict RUN "first text" "second text"',
        )
    of_two = zip(texts[::2], texts[1::2], strict=True)
    rows = [StreamedRow(0, {"text": text, "pair": pair}) for text, pair in of_two]
    return InputStream(_inputs(spec, iter(rows), "text", "pair"))


def piped_rows(spec: TaskSpec) -> InputStream:
    """Return the lines of standard input, one text a line, of pairs with a tab between the two."""
    stream = text_lines(as_utf8(sys.stdin.buffer))
    names = ("first", "second") if spec.has_pairs else ("text", None)
    return InputStream(_inputs(spec, stream.rows(()), *names), stream, sys.stdin.isatty())


def file_rows(
    spec: TaskSpec,
    config: Mapping[str, Any],
    name: str,
    text: str | None,
    pair: str | None,
    separator: str = "",
) -> InputStream:
    """Return the rows of a file, the same ones that a training would read.

    Args:
        spec: the task.
        config: of the run: ``data.text`` and ``data.pair`` are the default columns,
            ``data.separator`` is tried first.
        name: the file.
        text: column of the text, None for the default.
        pair: column of the second text, None for the default.
        separator: between columns, "" for the default.

    Raises:
        ConfigError: no such file or column.
    """
    if pair and not spec.has_pairs:
        raise ConfigError(
            "this run was trained on single texts, without pairs",
            where="--pair",
            fix="leave it out",
        )
    data = config.get("data")
    defaults = data if isinstance(data, Mapping) else {}
    columns_of_text = [c for c in (defaults.get("text"), "text") if isinstance(c, str)]
    stream = _open(name, [text] if text else columns_of_text, separator, defaults.get("separator"))
    if tuple(stream.columns) == LINE_COLUMNS and spec.has_pairs:
        columns_of_text = ["first"]
    column = column_of(stream, text, columns_of_text, "--text", name)
    second = None
    if spec.has_pairs:
        columns_of_pair = [defaults.get("pair"), "pair", "second"]
        names = [column for column in columns_of_pair if isinstance(column, str)]
        second = column_of(stream, pair, names, "--pair", name)
    columns = [column] if second is None else [column, second]
    return InputStream(_inputs(spec, stream.rows(columns), column, second), stream)


def _open(name: str, columns: Sequence[str], separator: str, of_run: Any) -> Stream:
    """Open a file by the given separator, or the run's, or the default of its format."""
    chosen = separator.replace("\\t", "\t")
    own = of_run.replace("\\t", "\t") if isinstance(of_run, str) else ""
    if not chosen and len(own) == 1:
        try:
            stream = open_stream(name, "--file", own, "--separator")
        except ConfigError:
            pass  # the file may have another format than the training's
        else:
            if set(columns) & set(stream.columns):
                return stream
    return open_stream(name, "--file", chosen, "--separator")


def _inputs(
    spec: TaskSpec, rows: Iterator[StreamedRow], text: str, pair: str | None
) -> Iterator[InputRow]:
    for number, row in enumerate(rows, 1):
        first = row.values.get(text)
        second = row.values.get(pair) if pair else None
        problem = row.problem or example_problem(spec, first, second)
        yield InputRow(number, row.line, first, second, problem)
