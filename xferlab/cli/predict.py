"""``predict RUN``: predictions of a finished run for texts and files."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xferlab.cli.flags import FlagParser
from xferlab.errors import ConfigError, printable
from xferlab.inference.inputs import InputRow, InputStream, command_line_rows, file_rows, piped_rows
from xferlab.inference.load import load_run
from xferlab.inference.run import Run
from xferlab.inference.run_folder import WEIGHTS
from xferlab.inference.writers import FORMATS, TEXT_WRITERS, ParquetWriter, Writer, format_of
from xferlab.io.atomic import atomic_replace
from xferlab.progress import RowProgress

MOST_REPORTED = 20
"""Invalid rows that are named on standard error; the rest are only counted."""
EXAMPLES = """\
examples:
  predict RUN "a fine film" "not worth it"      two texts (of pairs: two words are a row)
  predict RUN --file reviews.csv                its columns by name: --text, --pair
  predict RUN --file reviews.jsonl --output labelled.parquet
  cat reviews.txt | python -m xferlab predict RUN > labelled.csv

files: .csv .tsv .jsonl .parquet, or .txt with one text a line. They may be larger than memory.
An invalid row is named on standard error; in the output it keeps its place, with the reason in
the column 'error', and the exit code is 1.
"""


def parser() -> FlagParser:
    """Return the parser of the command."""
    arguments = FlagParser("predict", "Predict texts with a finished run.", EXAMPLES)
    arguments.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    arguments.add_argument(
        "texts", metavar="TEXT", nargs="*", help="texts; none reads standard input"
    )
    arguments.add_argument("--file", help="a file of texts")
    arguments.add_argument("--weights", choices=WEIGHTS, help="default: those of the run's scores")
    arguments.add_argument("--text", metavar="COLUMN", help="its column of texts")
    arguments.add_argument("--pair", metavar="COLUMN", help="its column of second texts")
    arguments.add_argument("--separator", metavar="SIGN", default="", help="between its columns")
    arguments.add_argument("--output", type=Path, help="a .csv, .jsonl or .parquet file to write")
    arguments.add_argument(
        "--format", choices=FORMATS, help="without --output: table in a terminal, csv in a pipe"
    )
    return arguments


def predict(argv: list[str]) -> int:
    """Predict every row; return 0, or 1 if some could not be predicted."""
    flags = parser().read(argv)
    _refuse_contradictions(flags)
    kind = format_of(flags.output) if flags.output else flags.format
    run = load_run(flags.run, flags.weights)
    inputs = _inputs(run, flags)
    more = [] if run.postprocessor is None else run.postprocessor.columns
    if flags.output is None:
        kind = kind or ("table" if sys.stdout.isatty() else "csv")
        return _answer(run, inputs, lambda: TEXT_WRITERS[kind](run.spec, sys.stdout, more))
    codes: list[int] = []

    def write(path: Path) -> None:
        if kind == "parquet":
            codes.append(_answer(run, inputs, lambda: ParquetWriter(run.spec, path, more)))
            return
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = TEXT_WRITERS[str(kind)]
            codes.append(_answer(run, inputs, lambda: writer(run.spec, stream, more)))

    atomic_replace(flags.output, write)
    print(f"written    {printable(str(flags.output))}", file=sys.stderr)
    return codes[0]


def _refuse_contradictions(flags: argparse.Namespace) -> None:
    """Raise ConfigError for arguments that exclude each other."""
    if flags.file and flags.texts:
        raise ConfigError(
            "both a file and texts are given", where="--file", fix="leave one of them out"
        )
    file = next((text for text in flags.texts if _is_file(text)), None)
    if file is not None:
        raise ConfigError(
            f"'{file}' is given as a text, and it is a file",
            where="TEXT",
            fix=f"--file {shlex.quote(file)}  predicts its rows; printf %s {shlex.quote(file)} | "
            "python -m xferlab predict RUN  predicts the name itself",
        )
    of_file = {"--text": flags.text, "--pair": flags.pair, "--separator": flags.separator}
    column = next((flag for flag, value in of_file.items() if value), "")
    if column and not flags.file:
        what = (
            "defines how a file is read" if column == "--separator" else "names a column of a file"
        )
        raise ConfigError(f"{column} {what}", where=column, fix="add --file FILE")
    if len(flags.separator.replace("\\t", "\t")) > 1:
        raise ConfigError(
            f"a separator is one character, got {flags.separator!r}",
            where="--separator",
            fix="for instance --separator=';', or --separator='\\t' for a tab",
        )
    if flags.format and flags.output:
        raise ConfigError(
            "the suffix of --output determines the format",
            where="--format",
            fix="leave --format out",
        )


def _is_file(text: str) -> bool:
    """Return whether a text is the name of a file with a suffix, which no sentence is."""
    try:
        return bool(Path(text).suffix) and " " not in text and Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or a NUL byte
        return False


def _inputs(run: Run, flags: argparse.Namespace) -> InputStream:
    if flags.file:
        inputs = file_rows(
            run.spec, run.config, flags.file, flags.text, flags.pair, flags.separator
        )
        for note in inputs.notes:
            print(f"note       {printable(note)}", file=sys.stderr)
        return inputs
    if flags.texts:
        return command_line_rows(run.spec, flags.texts)
    if sys.stdin.isatty():
        print("one text a line; Ctrl-D ends", file=sys.stderr)
    return piped_rows(run.spec)


def _answer(run: Run, inputs: InputStream, open_writer: Callable[[], Writer]) -> int:
    """Write the prediction of each row, in order, a chunk at a time."""
    run.build()  # one that cannot be built leaves no half-written output
    writer = open_writer()
    bad = 0
    count = 0
    with RowProgress() as progress:
        for chunk in inputs.chunks():
            rows = answered(run, chunk)
            writer.write(rows)
            for row in chunk:
                if row.problem:
                    bad += 1
                    if bad <= MOST_REPORTED:
                        progress.print(_describe_problem(row))
            count += len(chunk)
            if inputs.stream is not None:
                progress.move(count, inputs.stream.fraction)
    writer.close()
    if bad:
        more = f" ({bad - MOST_REPORTED} of them not named)" if bad > MOST_REPORTED else ""
        print(f"{bad:,} of {count:,} rows could not be predicted{more}", file=sys.stderr)
    return 1 if bad else 0


def answered(run: Run, chunk: Sequence[InputRow]) -> list[dict[str, Any]]:
    """Return plain data a row, in order; a row with a problem has that in ``error``."""
    good = [row for row in chunk if not row.problem]
    pairs = [row.pair for row in good] if run.spec.has_pairs else None
    predicted = iter(run.predict([row.text for row in good], pairs).rows())
    rows = []
    for row in chunk:
        if row.problem:
            rows.append({"row": row.number, "error": row.problem})
        else:
            rows.append({"row": row.number, **next(predicted)})
    return rows


def _describe_problem(row: InputRow) -> str:
    line = f" (line {row.line})" if row.line else ""
    return f"row {row.number}{line} {printable(row.problem)}"
