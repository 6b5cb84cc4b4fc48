"""What saving costs of a training: ``python benchmarks/checkpoint_cost.py [WORDS]``.

Trains in turn with the default interval and with none, ``--repetitions`` times, on WORDS (a model,
rows, a length), in one process. Two answers, of which the second does not mind other work on the
machine: the difference of the paired runs, and the share of a run's own time that its saves took.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.experiment import run as running
from xferlab.experiment import train_and_test as runner
from xferlab.training.checkpointing import FolderCheckpointer

EVERY = {"default": [], "none": ["train.checkpoint_every=null"]}


class Stopwatch:
    """Counts calls of a function and adds up their seconds.

    Attributes:
        wall: seconds by the clock.
        processor: seconds of all processors, which other work on the machine spares.
        calls: how many there were.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin again."""
        self.wall = 0.0
        self.processor = 0.0
        self.calls = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            wall = time.perf_counter()
            processor = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.wall += time.perf_counter() - wall
                self.processor += time.process_time() - processor
                self.calls += 1

        return timed


def main() -> None:
    """Print a row a run, then the two answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    options, words = parser.parse_known_args()
    workspace = tempfile.mkdtemp(prefix="checkpoint-cost-")
    os.chdir(workspace)
    load_plugins(Path.cwd())
    publish(Path.cwd())
    training = Stopwatch()
    saving = Stopwatch()
    runner.fit = training.around(runner.fit)
    FolderCheckpointer._save = saving.around(FolderCheckpointer._save)
    trained: dict[str, list[float]] = {name: [] for name in EVERY}
    fractions = []
    saves = []
    print("| interval | fit, s | fit, processor s | saves | a save, s | share of fit |")
    print("|---|---|---|---|---|---|", flush=True)
    run(read(compose_config([*words, "train.max_steps=2"])), "warm")  # compiled kernels, tokens
    for number in range(options.repetitions):
        for name, interval in list(EVERY.items())[:: -1 if number % 2 else 1]:
            training.clear()
            saving.clear()
            run(read(compose_config([*words, *interval])), f"{name}{number}")
            trained[name].append(training.processor)
            fraction = saving.wall / training.wall
            each = saving.wall / max(saving.calls, 1)
            print(
                f"| {name} | {training.wall:.1f} | {training.processor:.1f} | {saving.calls}"
                f" | {each:.2f} | {fraction:.2%} |",
                flush=True,
            )
            if name == "default":
                fractions.append(fraction)
                saves.append(saving.calls)
    ratios = [a / b - 1 for a, b in zip(*trained.values(), strict=True)]
    print(
        f"\nfraction of fit: {statistics.mean(fractions):.2%}, at most {max(fractions):.2%};"
        f" saves: {saves}"
    )
    print("paired, processor seconds:", ", ".join(f"{ratio:+.1%}" for ratio in ratios))


def run(recipe: Any, name: str) -> None:
    """Train in a folder of its own; a run is known by its config, so folders are named."""
    running.run(recipe, Path(name))


if __name__ == "__main__":
    main()
