"""Which rows a command asks about: typed, from a file, or from standard input."""

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
from xferlab.inference.run import row_problem

CHUNK_ROWS = 8192
CHUNK_LETTERS = 4_000_000
"""Rows that are held at once: as many as this, or as have this many letters."""


@dataclass(frozen=True)
class InputRow:
    """A row to be asked about.

    Attributes:
        number: counted from 1, bad rows included.
        line: where it begins in its file, 0 where there are no lines.
        text: a string, for tagging perhaps a list of words.
        pair: the second text, where rows are pairs.
        problem: why it cannot be asked about, "" if it can.
    """

    number: int
    line: int
    text: Any
    pair: Any
    problem: str


@dataclass(frozen=True)
class InputStream:
    """Rows, and how far they are.

    Attributes:
        rows: yields every row once, in order.
        stream: where they are read, None if they were typed.
        waits: somebody types them, so that each should be answered at once.
    """

    rows: Iterator[InputRow]
    stream: Stream | None = None
    waits: bool = False

    @property
    def notes(self) -> Sequence[str]:
        """What was guessed about the file."""
        return self.stream.notes if self.stream else ()

    def chunks(self) -> Iterator[list[InputRow]]:
        """Yield the rows, a bounded number at a time."""
        chunk: list[InputRow] = []
        letters = 0
        for row in self.rows:
            chunk.append(row)
            letters += len(row.text) if isinstance(row.text, str | list) else 0
            if self.waits or len(chunk) >= CHUNK_ROWS or letters >= CHUNK_LETTERS:
                yield chunk
                chunk, letters = [], 0
        if chunk:
            yield chunk


def typed_rows(spec: TaskSpec, texts: Sequence[str]) -> InputStream:
    """Return the texts of a command line; of pairs, two words are a row."""
    if not spec.has_pairs:
        rows = [StreamedRow(0, {"text": text}) for text in texts]
        return InputStream(_inputs(spec, iter(rows), "text", None))
    if len(texts) % 2:
        raise ConfigError(
            f"this run was trained on pairs of texts, and {len(texts)} are typed",
            where="TEXT",
            fix='type two a row: predict RUN "first text" "second text"',
        )
    of_two = zip(texts[::2], texts[1::2], strict=True)
    rows = [StreamedRow(0, {"text": text, "pair": pair}) for text, pair in of_two]
    return InputStream(_inputs(spec, iter(rows), "text", "pair"))


def piped_rows(spec: TaskSpec) -> InputStream:
    """Return the lines of standard input, one text a line, of pairs with a tab between the two."""
    waits = sys.stdin.isatty()
    stream = text_lines(as_utf8(sys.stdin.buffer))
    names = ("first", "second") if spec.has_pairs else ("text", None)
    return InputStream(_inputs(spec, stream.rows(()), *names), stream, waits)


def file_rows(
    spec: TaskSpec,
    config: Mapping[str, Any],
    name: str,
    text: str | None,
    pair: str | None,
    separator: str = "",
) -> InputStream:
    """Return the rows of a file, the same that a training would read.

    Args:
        spec: the task.
        config: the run's: its ``data.text`` and ``data.pair`` are the usual columns, its
            ``data.separator`` is tried first.
        name: the file.
        text: column of the text, None for the usual one.
        pair: column of the second text, likewise.
        separator: what stands between columns, "" for the usual.

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
    usual = data if isinstance(data, Mapping) else {}
    wanted = [name for name in (usual.get("text"), "text") if isinstance(name, str)]
    stream = _opened(name, [text] if text else wanted, separator, usual.get("separator"))
    if tuple(stream.columns) == LINE_COLUMNS and spec.has_pairs:
        wanted = ["first"]
    column = column_of(stream, text, wanted, "--text", name)
    second = None
    if spec.has_pairs:
        known = [usual.get("pair"), "pair", "second"]
        usual_pair = [name for name in known if isinstance(name, str)]
        second = column_of(stream, pair, usual_pair, "--pair", name)
    columns = [column] if second is None else [column, second]
    return InputStream(_inputs(spec, stream.rows(columns), column, second), stream)


def _opened(name: str, wanted: Sequence[str], separator: str, of_run: Any) -> Stream:
    """Open a file by the separator that was typed, or the run's own, or the file's usual one."""
    chosen = separator.replace("\\t", "\t")
    own = of_run.replace("\\t", "\t") if isinstance(of_run, str) else ""
    if not chosen and len(own) == 1:
        try:
            stream = open_stream(name, "--file", own, "--separator")
        except ConfigError:
            pass  # the file may be of another kind than the training's: its own is tried
        else:
            if set(wanted) & set(stream.columns):
                return stream
    return open_stream(name, "--file", chosen, "--separator")


def _inputs(
    spec: TaskSpec, rows: Iterator[StreamedRow], text: str, pair: str | None
) -> Iterator[InputRow]:
    for number, row in enumerate(rows, 1):
        first = row.values.get(text)
        second = row.values.get(pair) if pair else None
        problem = row.problem or row_problem(spec, first, second)
        yield InputRow(number, row.line, first, second, problem)
