"""Time of a text in exports of one run, taken in turn: ``python benchmarks/export_speed.py RUN``.

RUN/export has ``onnx``, ``onnx_int8``, ``litert`` and ``litert_int8``, those that are to be timed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import xferlab
from xferlab.export.formats import FORMATS

BATCHES = {1: 32, 32: 128}
"""Texts a batch, and tokens of each."""
ROUNDS = 7


def milliseconds(predict: Callable, inputs: dict[str, np.ndarray]) -> float:
    """Return the processor's wall time of one batch, by text."""
    began = time.perf_counter()
    predict(inputs)
    return 1000 * (time.perf_counter() - began) / len(inputs["token_ids"])


def main() -> None:
    """Print the table: the least of several rounds, which other load disturbs least."""
    run = xferlab.load(sys.argv[1])
    folders = sorted(path for path in (Path(sys.argv[1]) / "export").iterdir())
    timed = {
        path.name: path for path in folders if path.name.partition("_")[0] in ("onnx", "litert")
    }
    readers = {name: FORMATS[name].read(path, run.spec) for name, path in timed.items()}
    print("| texts x tokens |", " | ".join(readers), "|")
    print("|---|", "---|" * len(readers), sep="")
    for texts, tokens in BATCHES.items():
        ids = np.random.default_rng(0).integers(5, 1000, (texts, tokens)).astype("int32")
        whole = {"token_ids": ids, "padding_mask": ids * 0 + 1, "segment_ids": ids * 0}
        inputs = {name: whole[name] for name in run.model.network.input}
        found: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(ROUNDS):
            for name, predict in readers.items():
                found[name].append(milliseconds(predict, inputs))
        cells = (f"{min(each):.2f} ms" for each in found.values())
        print(f"| {texts} x {tokens} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
