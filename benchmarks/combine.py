"""Several runs as one beside the best of them: 3 rates x 3 seeds, then average, soup and vote.

    python benchmarks/combine.py OUT --checkpoint FOLDER --data FOLDER [--sets sst2,mrpc]

``--data`` holds the folders sst2, mrpc, stsb and goemotions. 512 training examples (goemotions:
2,048), 400 validation and 800 test examples, four epochs. The best run is the one with the best
validation score. The examples are sampled once, so that all seeds have the same: runs that were
scored on other examples are not combined. What is in OUT is not run again. Prints a table in
Markdown; the report of each set, with its test of the best run against the combinations, is in OUT.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

from csv_files import read_csv, write_csv

LIMITS = {"validation": 400, "test": 800}
SWEEP = ["optimizer.lr=3e-5,1e-4,3e-4", "seed=0,1,2", "train.epochs=4"]
PAIR = ["data.text=text_a", "data.pair=text_b"]
SETS = {  # the overrides of the set, its training examples, its score, the ways to combine
    "sst2": ([], 512, "accuracy", ["average", "soup", "vote"]),
    "mrpc": (PAIR, 512, "accuracy", ["average", "soup", "vote"]),
    "stsb": (PAIR, 512, "pearson", ["average", "soup"]),
    "goemotions": ([], 2048, "micro_f1", ["average", "soup", "vote"]),
}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--workers", type=int, default=1, help="jobs at once")
    options = parser.parse_args()
    print("| set | score | runs | validation | test |\n|---|---|---|---|---|")
    for name in options.sets.split(","):
        _, _, score, ways = SETS[name]
        jobs = sweep(options, name)
        best = max(jobs, key=lambda job: score_of(job, "validation", score))
        tests = [score_of(job, "test", score) for job in jobs]
        print(f"| {name} | {score} | nine runs, mean | | {sum(tests) / len(tests):.4f} |")
        compared = {"best single run": best}
        compared |= {how: combined(options, name, jobs, how) for how in ways}
        for label, folder in compared.items():
            figures = [f"{score_of(folder, split, score):.4f}" for split in ("validation", "test")]
            print(f"| {name} | {score} | {label} | {' | '.join(figures)} |", flush=True)
        xferlab("report", *map(str, compared.values()), folder=options.out.absolute() / name)


def xferlab(*words: str, folder: Path | None = None) -> None:
    """Run a command of xferlab in a folder."""
    command = [sys.executable, "-m", "xferlab", *words]
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=folder)


def sweep(options: argparse.Namespace, name: str) -> list[Path]:
    """Run the jobs that are missing and return their folders."""
    own, examples, _, _ = SETS[name]
    data = options.out.absolute() / name / "data"
    files = [
        f"data.{split}={sampled(options.data / name, data, split, count)}"
        for split, count in {"train": examples, **LIMITS}.items()
    ]
    model = ["model=encoder", f"model.checkpoint={options.checkpoint.absolute()}"]
    folder = options.out.absolute() / name / "sweep"
    words = ["data=files", *files, *own, *model, *SWEEP]
    xferlab("-m", *words, f"hydra.sweep.dir={folder}", f"sweep.workers={options.workers}")
    return [path.parent for path in sorted(folder.glob("*/metrics.json"))]


def sampled(source: Path, folder: Path, split: str, count: int) -> Path:
    """Write ``count`` rows of a split, sampled with seed 0, and return the file."""
    rows = read_csv(source / f"{split}.csv")
    write_csv(folder / f"{split}.csv", random.Random(0).sample(rows, min(count, len(rows))))
    labels = source / "labels.txt"
    if labels.exists():
        (folder / labels.name).write_bytes(labels.read_bytes())
    return folder / f"{split}.csv"


def combined(options: argparse.Namespace, name: str, jobs: list[Path], how: str) -> Path:
    """Combine the jobs, unless that was done, and return the folder."""
    folder = options.out.absolute() / name / how
    if not (folder / "metrics.json").is_file():
        xferlab("combine", *map(str, jobs), "--how", how, "--output", str(folder))
    return folder


def score_of(run: Path, split: str, score: str) -> float:
    """Return a score of a finished run."""
    return float(json.loads((run / "metrics.json").read_text())[split][score])


if __name__ == "__main__":
    main()
