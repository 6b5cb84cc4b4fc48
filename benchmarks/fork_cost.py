"""What a forked job would save beside a fresh process: ``python benchmarks/fork_cost.py``. Linux.

Imports what a job imports, tells what that cost, forks children that each train a small network,
and tells what of the memory they share. The decision these figures are for is in docs/design.md.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

CHILDREN = 4


def main() -> None:
    """Print the figures."""
    started = time.process_time()
    wall = time.monotonic()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from xferlab.backend.process import import_backend

    import_backend()
    import transformers  # noqa: F401

    seconds = time.process_time() - started
    waited = time.monotonic() - wall
    threads = len(list(Path("/proc/self/task").iterdir()))
    print(f"import: {seconds:.1f} processor seconds, {waited:.0f} s; {memory()['Rss']} MB resident")
    print(f"threads after it, whose locks a fork copies as they are: {threads}")
    for number in range(CHILDREN):
        child = os.fork()
        if child == 0:
            train(number)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code == 0, f"child {number} ended with {code}"


def train(number: int) -> None:
    """Fit a small network and print what it took."""
    before = memory()
    started = time.process_time()
    import keras
    import numpy as np

    network = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
    network.compile("adam", "mse")
    network.fit(np.ones((64, 4)), np.ones((64, 1)), verbose=0)
    after = memory()
    seconds = time.process_time() - started
    print(
        f"child {number}: trained in {seconds:.1f} processor seconds; proportional share"
        f" {before['Pss']} MB at its start, {after['Pss']} MB now; written {after['Private_Dirty']}"
        f" MB of {after['Rss']} MB resident"
    )


def memory() -> dict[str, int]:
    """Return the megabytes of this process, as the kernel sums them up."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines}


if __name__ == "__main__":
    main()
