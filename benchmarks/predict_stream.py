"""Peak memory and rate of ``predict`` on few and on many lines.

``python benchmarks/predict_stream.py RUN`` writes 10,000 and 1,000,000 lines of CSV, has each
answered by a process of its own, and prints what the second one needs more than the first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEXT = "the a film plot cast was not very good bad great poor fine and but of it this"
WORDS = TEXT.split()


def write_lines(path: Path, count: int) -> None:
    """Write ``count`` rows of 4 to 15 words, the same ones each time."""
    with path.open("w") as stream:
        stream.write("id,text\n")
        for i in range(count):
            words = (WORDS[(i * 7 + j * j * 3) % len(WORDS)] for j in range(4 + i % 12))
            stream.write(f"{i},{' '.join(words)}\n")


def measure(run: Path, source: Path, output: Path) -> tuple[float, float, float]:
    """Return seconds, processor seconds and peak resident megabytes of one command."""
    command = [sys.executable, "-m", "xferlab", "predict", str(run)]
    began = time.monotonic()
    child = subprocess.Popen([*command, "--file", str(source), "--output", str(output)])
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, "predict failed"
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    run, counts = Path(sys.argv[1]).resolve(), [int(n) for n in sys.argv[2:]] or [10_000, 1_000_000]
    found = []
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print("| rows | seconds | processor seconds | peak memory, MB | output, MB |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            source, output = Path(folder) / "rows.csv", Path(folder) / "answers.csv"
            write_lines(source, count)
            seconds, processor, peak = measure(run, source, output)
            with output.open() as stream:
                assert sum(1 for _ in stream) == count + 1
            size = output.stat().st_size / 1e6
            found.append((count, seconds, processor, peak))
            print(f"| {count:,} | {seconds:.0f} | {processor:.0f} | {peak:.0f} | {size:.1f} |")
            sys.stdout.flush()
    if len(found) > 1:
        rows = found[-1][0] - found[0][0]
        wall, processor = (found[-1][i] - found[0][i] for i in (1, 2))
        print(f"beyond the start: {rows / wall:,.0f} rows a second,"
              f" {rows / processor:,.0f} a processor second;"
              f" {found[-1][3] / found[0][3]:.2f} times the memory")  # fmt: skip


if __name__ == "__main__":
    main()
