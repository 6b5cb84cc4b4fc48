"""Reading, tokenising and batching of ten thousand to a million generated rows.

    python benchmarks/data_scale.py [--rows 10000,100000,1000000] [--kinds csv,parquet]

Each row is a text of 4 to 15 words and one of three labels. Every size is measured in a process of
its own: microseconds of processor time a row for each step, seconds in all, and the peak of
resident memory beyond that of the imports, in bytes a row and beside the size of the file.

Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STEPS = ("read", "label", "digest", "tokenise", "first batches")


def main() -> None:
    """Generate the files, measure each, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--kinds", default="csv,parquet")
    parser.add_argument("--measure", type=Path, help="the file that this process measures")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure)))
        return
    units = " | ".join(f"{step}, us a row" for step in STEPS)
    print(
        f"| kind | rows | {units} | in all, us a row | wall, s | bytes a row | file, bytes a row |"
    )
    print(f"|{'---|' * (len(STEPS) + 6)}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kinds.split(","):
            for rows in map(int, options.rows.split(",")):
                print_row(kind, rows, generated(Path(folder), kind, rows))


def print_row(kind: str, rows: int, path: Path) -> None:
    """Measure one file in a fresh process and print its row."""
    command = [sys.executable, __file__, "--measure", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    each = [1e6 * result["seconds"][step] / rows for step in STEPS]
    cells = [f"{value:.1f}" for value in (*each, sum(each))]
    memory = f"{result['memory'] / rows:,.0f} | {path.stat().st_size / rows:.0f}"
    print(
        f"| {kind} | {rows:,} | {' | '.join(cells)} | {result['wall']:.1f} | {memory} |", flush=True
    )


def generated(folder: Path, kind: str, rows: int) -> Path:
    """Write a file of made-up sentences and return its path."""
    chance = random.Random(rows)
    words = Path(__file__).read_text().lower().split()
    path = folder / f"{rows}.{kind}"
    lines = (" ".join(chance.choices(words, k=chance.randint(4, 15))) for _ in range(rows))
    texts = [
        line.replace('"', "").replace(",", "") + f" {number}" for number, line in enumerate(lines)
    ]
    labels = [chance.choice(("good", "bad", "fair")) for _ in range(rows)]
    if kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": labels}), path)
    else:
        with path.open("w") as file:
            file.write("text,label\n")
            file.writelines(f"{text},{label}\n" for text, label in zip(texts, labels, strict=True))
    return path


def measured(path: Path) -> dict[str, Any]:
    """Return the processor seconds of each step, wall seconds and bytes of memory of one file."""
    import numpy  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import transformers  # noqa: F401

    from xferlab.data.batching import BatchPlan, batch_arrays, row_lengths
    from xferlab.data.labels import Rows
    from xferlab.data.readers.table import read_table
    from xferlab.data.splits import text_data
    from xferlab.data.token_cache import encode_cached
    from xferlab.data.tokenizer import load_tokenizer
    from xferlab.models.checkpoint import resolve

    tokenizer = load_tokenizer(resolve("bundled:bert", weights=False).folder)
    tokenizer.encode(["a text"], None, 64)
    seconds: dict[str, float] = {}
    before = peak()
    began = time.monotonic()
    with Timed(seconds, "read"):
        table = read_table(
            str(path), "data.train", columns={"text": "", "label": ""}, max_rows=10**8
        )
    with Timed(seconds, "label"):
        rows = Rows(table.columns["text"], table.columns["label"], None, table.place)
        data = text_data({"train": rows}, 0, max_length=64)
    with Timed(seconds, "digest"):
        assert data.train.digest
    with Timed(seconds, "tokenise"), tempfile.TemporaryDirectory() as cache:
        encoding = encode_cached(tokenizer, data.train, 64, Path(cache))
    with Timed(seconds, "first batches"):
        plan = BatchPlan(row_lengths(encoding), 32, 0)
        for batch in plan.epoch(0)[:100]:
            batch_arrays(encoding, data.train.labels, batch, tokenizer.pad_id)
    return {"seconds": seconds, "wall": time.monotonic() - began, "memory": peak() - before}


class Timed:
    """Adds the processor seconds of a block to a table."""

    def __init__(self, seconds: dict[str, float], step: str) -> None:
        self._seconds = seconds
        self._step = step

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(self, *error: object) -> None:
        self._seconds[self._step] = time.process_time() - self._began


def peak() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
