"""What callbacks cost of a training: ``python benchmarks/callback_cost.py [OVERRIDES]``.

Trains in turn without a callback and with three, ``--repetitions`` times, in one process. Prints
the fraction of each training that its callbacks took, the framework's own included (progress,
history, best weights), and the difference of the paired runs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from checkpoint_cost import Stopwatch

from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.experiment import train_and_test
from xferlab.experiment.run import run
from xferlab.training.callback_list import CallbackList

CALLBACKS = {
    "none": ["callback=[]"],
    "three": [
        "callback=[tensorboard,csv_steps,stop_when]",
        "callback.stop_when.condition='val_loss < 0'",
    ],
}


def main() -> None:
    """Print a row a run, then the paired differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    options, overrides = parser.parse_known_args()
    os.chdir(tempfile.mkdtemp(prefix="callback-cost-"))
    load_plugins(Path.cwd())
    publish(Path.cwd())
    training = Stopwatch()
    events = Stopwatch()
    train_and_test.fit = training.around(train_and_test.fit)
    CallbackList._pass_on = events.around(CallbackList._pass_on)
    run(read(compose_config([*overrides, "train.max_steps=2"])), Path("warm"))  # kernels, tokens
    seconds: dict[str, list[float]] = {name: [] for name in CALLBACKS}
    print("| callbacks | fit, s | in callbacks, s | fraction |")
    print("|---|---|---|---|", flush=True)
    for number in range(options.repetitions):
        for name, chosen in list(CALLBACKS.items())[:: -1 if number % 2 else 1]:
            training.clear()
            events.clear()
            run(read(compose_config([*overrides, *chosen])), Path(f"{name}{number}"))
            seconds[name].append(training.wall)
            fraction = events.wall / training.wall
            print(
                f"| {name} | {training.wall:.2f} | {events.wall:.3f} | {fraction:.2%} |", flush=True
            )
    ratios = [three / none - 1 for none, three in zip(*seconds.values(), strict=True)]
    print("paired, seconds:", ", ".join(f"{ratio:+.1%}" for ratio in ratios))


if __name__ == "__main__":
    main()
