"""What both sides of ``speed.py`` compute: shapes, lengths, batches, and how a round is timed."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SHAPES = {  # width, heads, layers, feed-forward width
    "minilm": (384, 12, 6, 1536),
    "distilbert": (768, 12, 6, 3072),
    "bert-base": (768, 12, 12, 3072),
}
VOCABULARY = 30522
BATCH = 32
CLASSES = 2
ROUNDS = 3
"""Of a variant on a GPU, after one that compiles."""
WINDOW = 50
"""Batches that the peer's sampler sorts by length together, as transformers does."""


def lengths(texts: str) -> np.ndarray:
    """Return the tokens of texts: ``short`` as of SST-2 (25), ``medium`` (90), ``long`` (230)."""
    random = np.random.default_rng(0)
    if texts == "medium":
        return random.integers(40, 129, 3200)
    if texts == "long":
        return random.integers(200, 257, 320)
    return np.clip(random.lognormal(3.1, 0.5, 1600), 5, 66).astype("int64")


def grouped(sizes: np.ndarray, seed: int, batch: int = BATCH) -> list[np.ndarray]:
    """Return batches as transformers' sampler makes them with ``train_sampling_strategy``."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(sizes))
    size = WINDOW * batch
    windows = [order[i : i + size] for i in range(0, len(order), size)]
    ordered = np.concatenate([w[np.argsort(-sizes[w], kind="stable")] for w in windows])
    return [ordered[i : i + batch] for i in range(0, len(ordered), batch)]


def at_random(sizes: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return batches of texts of any length."""
    order = np.random.default_rng(seed).permutation(len(sizes))
    return [order[i : i + BATCH] for i in range(0, len(order), BATCH)]


def arrays(sizes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return token ids, mask and labels of a batch, int32, padded to ``length``."""
    random = np.random.default_rng(int(sizes.sum()))
    ids = random.integers(1, VOCABULARY, (len(sizes), length)).astype("int32")
    mask = (np.arange(length) < sizes[:, None]).astype("int32")
    return ids * mask, mask, random.integers(0, CLASSES, len(sizes)).astype("int32")


def largest() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the batch of the longest short texts, whose memory is measured."""
    sizes = np.sort(lengths("short"))[-BATCH:]
    return arrays(sizes, int(sizes.max()))


def private_memory() -> float:
    """Return the MiB of this process that are no pages of files, which processes share."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def timed(body: Callable[[], None]) -> tuple[float, float]:
    """Return the wall seconds and the processor seconds of a call."""
    wall = time.perf_counter()
    processor = time.process_time()
    body()
    return time.perf_counter() - wall, time.process_time() - processor


def answer(run: Callable[[str, int, int], dict[str, Any]]) -> None:
    """Serve requests, one JSON list a line: ``[case, seed, batches]``.

    Each result has the processor seconds since the process started and its peak of memory, MiB.
    """
    for line in requests():
        result = run(*json.loads(line))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        result |= {"since start": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}
        print("result " + json.dumps(result), flush=True)


def requests() -> Iterator[str]:
    """Yield the lines of standard input."""
    print("result ready", flush=True)
    yield from sys.stdin


def matrix_rate(product: Callable[[], Any], operations: int, times: int = 20) -> float:
    """Return the median rate of a matrix product, in GFLOP/s of processor time."""
    product()
    return operations / statistics.median(timed(product)[1] for _ in range(times)) / 1e9
