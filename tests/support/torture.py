"""Kills a run again and again, lets it go on, and compares it with one that was left alone.

    python -m tests.support.torture --kills 200 [--seed 0] [--scenarios plateau] [--workers 2]
        [--override model=bag_of_embeddings]

Each attempt is a process of its own that ends by SIGKILL: at a random moment, at a random one of
its own file operations, so also between a rename and the next write, or right after it has replaced
the file of the best weights.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.forked_runs import attempt, differing, ended, import_heavy, result, start
from xferlab.origin import PACKAGE

TINY = ["debug=tiny", "optimizer.lr=1e-3", "train.resume=auto"]
FILES = ["data=files", f"data.train={PACKAGE / 'bundled' / 'reviews' / 'train.csv'}"]
SCENARIOS = {
    "head_first": ["transfer=head_first", "train.epochs=3", "metric=[accuracy,f1]"],
    "head": ["head=multi_sample_dropout", "transfer=head_first", "train.epochs=3"],
    "plateau": [
        "schedule=reduce_on_plateau",
        "schedule.patience=1",
        "train.epochs=5",
        "train.patience=2",
        "optimizer.lr=3e-2",
    ],
    "accumulate": [
        "train.gradient_accumulation_steps=2",
        "train.batch_size=8",
        "train.max_steps=19",
        "transfer=layer_decay",
        "optimizer=lamb",
        "head=attention",
    ],
    "stack": [
        "transfer=[head_first,reinit_top,layer_decay,bitfit]",
        "train.epochs=3",
        "train.cache_frozen=false",
    ],
    "callbacks": [
        "callback=[tensorboard,csv_steps,stop_when,print_samples]",
        "+callback@callback.sparse=stop_when",
        "callback.stop_when.condition='val_loss < 0.68'",
        "callback.stop_when.epochs=2",
        "callback.sparse.condition='loss < 0'",
        "train.epochs=5",
        "train.checkpoint_every=2",
    ],
    "frozen": ["transfer=frozen", "train.epochs=4"],
    "lora": ["transfer=lora", "train.epochs=3", "model=encoder", "model.checkpoint=bundled:bert"],
    "half": ["train.precision=mixed_float16", "transfer=gradual", "train.epochs=2"],
    "objective": [
        "objective=mixup",
        "average=ema",
        "transfer=head_first",
        "train.epochs=3",
        "train.gradient_accumulation_steps=2",
        "train.batch_size=8",
    ],
    "few_shot": [
        "objective=contrastive_pairs",
        "objective.sampling=undersampling",
        "data.limit.train=12",
        "train.epochs=4",
    ],
    "masked_lm": [*FILES, "data.task=masked_lm", "data.label=null", "train.epochs=2"],
    "retrieval": [
        *FILES,
        "data.pair=label",
        "data.label=null",
        "data.task=retrieval",
        "train.epochs=2",
    ],
    "windows": [
        *FILES,
        "data.max_length=16",
        "data.windows=4",
        "data.folds=3",
        "data.fold=1",
        "postprocess=temperature",
        "train.epochs=2",
    ],
    "average": [
        "objective=fgm",
        "average=last_k",
        "average.k=2",
        "train.precision=mixed_float16",
        "train.epochs=3",
    ],
}
WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "shutil.rmtree")
KILLS_A_RUN = 6


def die_at(operations: int) -> None:
    """Have this process killed at one of its file operations below outputs/."""
    left = [operations]

    def count(event: str, args: tuple[Any, ...]) -> None:
        if event in WRITES and "outputs" in str(args[0]):
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def die_after_best(replaced: int) -> None:
    """Have this process killed at the first file operation after so many best files."""
    left = [replaced]

    def count(event: str, args: tuple[Any, ...]) -> None:
        if event in WRITES and left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "os.rename" and str(args[1]).endswith("checkpoints/best.safetensors"):
            left[0] -= 1

    sys.addaudithook(count)


def killed_attempt(overrides: list[str], folder: Path, seconds: float, rng: random.Random) -> int:
    """Run the words until a random kill, unless they end before; return the exit code."""
    way = rng.random()
    if way < 0.3:
        replaced = rng.randrange(1, 4)
        return attempt(overrides, folder, lambda: die_after_best(replaced))
    if way < 0.6:
        operations = rng.randrange(1, 150)
        return attempt(overrides, folder, lambda: die_at(operations))
    child = start(overrides, folder)
    time.sleep(rng.uniform(0, 0.8 * seconds))
    os.kill(child, signal.SIGKILL)  # it is not waited for yet, so this is surely the child
    return ended(child)


def torture(
    overrides: list[str], folder: Path, kills: int, rng: random.Random, tell: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run once in peace, then with kills until ``kills`` attempts died; compare each run.

    Returns:
        How many attempts were killed, and what differed.
    """
    peace = folder / "peace"
    peace.mkdir(parents=True)
    began = time.monotonic()
    assert attempt(overrides, peace) == 0, (peace / "output.txt").read_text()
    seconds = time.monotonic() - began
    wanted = result(peace)
    died = 0
    bad = []
    for number in range(1, kills + 1):
        war = folder / f"war{number}"
        war.mkdir()
        own = 0
        for _ in range(min(KILLS_A_RUN, kills - died)):
            every = f"train.checkpoint_every={rng.choice((1, 1, 2, 3, 5, '5min'))}"
            if killed_attempt([*overrides, every], war, seconds, rng) != -signal.SIGKILL:
                break
            own += 1
        code = attempt(overrides, war)
        different = differing(war, wanted) if code == 0 else [f"exit code {code}"]
        tell(f"run {number}: killed {own} times, then {different or 'equal'}")
        if different:
            bad.append(f"{war}: {different}")
        else:
            shutil.rmtree(war)
        died += own
        if died >= kills:
            break
    return died, bad


def torture_scenario(
    name: str, overrides: list[str], folder: Path, kills: int, seed: int
) -> tuple[int, list[str]]:
    """Torture one scenario, telling how it goes; as :func:`torture`."""
    print(f"{name}: {' '.join(SCENARIOS[name])}", flush=True)
    rng = random.Random(f"{seed} {name}")

    def tell(line: str) -> None:
        print(f"{name}: {line}", flush=True)

    return torture([*TINY, *SCENARIOS[name], *overrides], folder, kills, rng, tell)


def main() -> int:
    """Torture every scenario in turn; exit code 1 if any run differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--workers", type=int, default=2, help="scenarios at once")
    parser.add_argument("--override", action="append", default=[], help="for every scenario")
    options = parser.parse_args()
    import_heavy()
    names = options.scenarios.split(",")
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    fraction = -(-options.kills // len(names))
    tasks = [(name, options.override, folder / name, fraction, options.seed) for name in names]
    # forks: what was imported above is there in each
    with multiprocessing.get_context("fork").Pool(
        options.workers
    ) as pool:  # the imports are shared
        ends = pool.starmap(torture_scenario, tasks, chunksize=1)
    total = sum(died for died, _ in ends)
    bad = [line for _, lines in ends for line in lines]
    print(f"{total} kills, {len(bad)} runs differ", *bad, sep="\n")
    if not bad:
        shutil.rmtree(folder)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
