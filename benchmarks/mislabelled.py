"""Planted wrong labels: how many of them are in the first rows of ``mislabelled.csv``.

    python benchmarks/mislabelled.py OUT --checkpoint FOLDER --data FOLDER [--rows 2000]
    python benchmarks/mislabelled.py OUT --checkpoint FOLDER --data FOLDER --tune

``--data`` holds train.csv with the columns text and label (two classes). 5 % of a sample of its
rows get the other label; five folds of them, and two seeds, are trained with a frozen encoder, or
one seed with the whole of it. What has finished in OUT is not run again.
Prints a line for each number of first rows, and what chance would find.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from pathlib import Path

from csv_files import read_csv, write_csv

FRACTION = 0.05
FROZEN = ("experiment=frozen_encoder", "optimizer.lr=1e-3", "seed=0,1")
TUNED = ("optimizer.lr=3e-5", "train.epochs=3", "seed=0")
FIRST = (0.5, 1, 2)
"""Rows that are looked at, as multiples of the planted ones."""


def main() -> None:
    """Plant, train, report, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    planted = plant(options.data / "train.csv", options.out / "train.csv", options.rows)
    command = [
        *(sys.executable, "-m", "xferlab", "-m", "data=files", "data.train=train.csv"),
        *("data.folds=5", "data.fold=0,1,2,3,4"),
        *("model=encoder", f"model.checkpoint={options.checkpoint.absolute()}"),
        *(TUNED if options.tune else FROZEN),
    ]
    subprocess.run(command, cwd=options.out, check=True)
    table = max((options.out / "outputs" / "sweeps").glob("*/mislabelled.csv"))
    rows = [int(row["row"]) for row in read_csv(table)]
    print(f"{len(planted)} of {options.rows} labels are wrong; {len(rows)} rows are listed")
    for size in [*(round(each * len(planted)) for each in FIRST), len(rows)]:
        found = len(planted & set(rows[:size]))
        chance = size * len(planted) / options.rows
        print(f"first {min(size, len(rows))} rows: {found} planted ones ({chance:.0f} by chance)")


def plant(source: Path, target: Path, count: int) -> set[int]:
    """Write a sample in which some labels are wrong; return those rows, from 1."""
    rng = random.Random(0)
    rows = rng.sample(read_csv(source), count)
    names = sorted({row["label"] for row in rows})
    wrong = set(rng.sample(range(1, count + 1), round(FRACTION * count)))
    planted = []
    for number, row in enumerate(rows, start=1):
        label = names[1 - names.index(row["label"])] if number in wrong else row["label"]
        planted.append({"text": row["text"], "label": label})
    write_csv(target, planted)
    return wrong


if __name__ == "__main__":
    main()
