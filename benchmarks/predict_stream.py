"""Peak memory and rate of ``predict`` on few and on many lines.

``python benchmarks/predict_stream.py RUN [ROWS ...]`` writes 10,000 and 1,000,000 lines of CSV, has
them answered one after the other by one process, and prints how its peak memory grew.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from xferlab.cli.main import main as xferlab

TEXT = "the a film plot cast was not very good bad great poor fine and but of it this"
WORDS = TEXT.split()


def write_lines(path: Path, count: int) -> None:
    """Write ``count`` rows of 4 to 15 words, the same ones each time."""
    with path.open("w") as stream:
        stream.write("id,text\n")
        for i in range(count):
            words = (WORDS[(i * 7 + j * j * 3) % len(WORDS)] for j in range(4 + i % 12))
            stream.write(f"{i},{' '.join(words)}\n")


def main() -> None:
    """Print the table."""
    run = Path(sys.argv[1]).resolve()
    counts = [int(n) for n in sys.argv[2:]] or [10_000, 1_000_000]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print("| rows | seconds | processor seconds | peak memory so far, MB | output, MB |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.csv"
        output = Path(folder) / "answers.csv"
        for count in counts:
            write_lines(source, count)
            began = time.monotonic()
            before = time.process_time()
            words = ["predict", str(run), "--file", str(source), "--output", str(output)]
            assert xferlab(words) == 0, "predict failed"
            seconds = time.monotonic() - began
            processor = time.process_time() - before
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            with output.open() as stream:
                assert sum(1 for _ in stream) == count + 1
            size = output.stat().st_size / 1e6
            row = f"{count:,} | {seconds:.0f} | {processor:.0f} | {peak:.0f} | {size:.1f}"
            print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
