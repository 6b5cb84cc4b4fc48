"""Few examples: contrastive pairs with a logistic head, SetFit itself, and plain fine-tuning.

    python benchmarks/few_shot.py OUT --checkpoint FOLDER --data FOLDER --peer PYTHON

``--data`` holds the folders sst2 and goemotions; the task emotions is the rows of goemotions whose
one label is anger, fear, joy, love, sadness or surprise. 8 and 64 training rows a class, three
draws, the same rows for every side; 400 test rows at random. SetFit has its defaults (``--peer`` is
the Python of an environment with setfit 1.1), xferlab ``experiment=few_shot``, fine-tuning its
defaults. One epoch of the pairs, of both at most ``--steps`` steps. Frozen is the logistic head on
the encoder as it is. What is in OUT is not run again; ``--sides`` runs some sides alone. Prints a
table in Markdown: accuracy, mean and standard deviation of the draws.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

from csv_files import Row, read_csv, write_csv

PEER = Path(__file__).parent / "peer" / "few_shot.py"
EMOTIONS = ("anger", "fear", "joy", "love", "sadness", "surprise")
ROWS = (8, 64)
DRAWS = (0, 1, 2)
TEST_ROWS = 400
PAIRS = 16
"""Pairs of a batch, SetFit's default and that of ``experiment=few_shot``."""
SIDES = ("setfit", "few_shot", "plain")


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--tasks", default="sst2,emotions")
    parser.add_argument("--steps", type=int, default=520)
    parser.add_argument("--sides", default=",".join(SIDES))
    options = parser.parse_args()
    lines = ["| task | rows a class | steps | frozen | SetFit | xferlab | fine-tuning |"]
    lines.append("|---|---|---|---|---|---|---|")
    for size in ROWS:
        for task in options.tasks.split(","):
            cells = [run_cell(options, task, size, draw) for draw in DRAWS]
            columns = ("frozen", "setfit", "few_shot", "plain")
            scores = " | ".join(format_scores([cell.get(key) for cell in cells]) for key in columns)
            lines.append(f"| {task} | {size} | {cells[0]['steps']} | {scores} |")
    print("\n".join(lines))


def run_cell(options: argparse.Namespace, task: str, size: int, draw: int) -> dict[str, float]:
    """Return the scores of one draw of one task; what OUT does not have is trained."""
    folder = options.out.absolute() / task / f"{size}_{draw}"
    train, validation, test = cut(options.data, task, size, draw)
    for name, rows in (("train", train), ("validation", validation), ("test", test)):
        if not (folder / f"{name}.csv").exists():
            write_csv(folder / f"{name}.csv", rows)
    steps = steps_of(train)
    bound = options.steps if steps > options.steps else None
    cell: dict[str, float] = {"steps": min(steps, options.steps)}
    for side in options.sides.split(","):
        kept = folder / f"{side}.json"
        if not kept.exists() and side == "setfit":
            run_setfit(options, folder, bound, draw, kept)
        elif not kept.exists():
            run_xferlab(options, folder, side, bound, draw, kept)
        print(task, size, draw, kept.read_text(), file=sys.stderr, flush=True)
        cell |= json.loads(kept.read_text())
    cell["steps"] = min(steps, options.steps)
    return cell


def cut(data: Path, task: str, size: int, draw: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Return ``size`` training rows a class, 48 more for validation, and the test rows."""
    train = read_rows(data, task, "train")
    test = read_rows(data, task, "test")
    random.Random(0).shuffle(test)
    random.Random(f"{task} {size} {draw}").shuffle(train)
    counts: Counter[str] = Counter()
    kept: list[Row] = []
    others: list[Row] = []
    for row in train:
        is_wanted = counts[row["label"]] < size
        counts[row["label"]] += 1
        (kept if is_wanted else others).append(row)
    return kept, others[:48], test[:TEST_ROWS]


def read_rows(data: Path, task: str, split: str) -> list[Row]:
    """Return the rows of a task's split; of emotions with names as labels."""
    if task != "emotions":
        return read_csv(data / task / f"{split}.csv")
    names = (data / "goemotions" / "labels.txt").read_text().split()
    rows = read_csv(data / "goemotions" / f"{split}.csv")
    single = [row for row in rows if "|" not in row["label"]]
    named = [{"text": row["text"], "label": names[int(row["label"])]} for row in single]
    return [row for row in named if row["label"] in EMOTIONS]


def steps_of(train: list[Row]) -> int:
    """Return the steps of one epoch of SetFit's pairs, as many of each kind."""
    counts = Counter(row["label"] for row in train).values()
    alike = sum(count * (count + 1) // 2 for count in counts)
    every = len(train) * (len(train) + 1) // 2
    return -(-2 * max(alike, every - alike) // PAIRS)


def run_setfit(
    options: argparse.Namespace, folder: Path, bound: int | None, draw: int, kept: Path
) -> None:
    """Train SetFit and write its scores."""
    files = [f"--train={folder}/train.csv", f"--test={folder}/test.csv", f"--out={kept}"]
    steps = [] if bound is None else [f"--steps={bound}"]
    command = [options.peer, PEER, f"--checkpoint={options.checkpoint}", *files, *steps]
    with (folder / "setfit.txt").open("w") as log:
        subprocess.run([*command, f"--seed={draw}"], check=True, stdout=log, stderr=log)


def run_xferlab(
    options: argparse.Namespace, folder: Path, side: str, bound: int | None, draw: int, kept: Path
) -> None:
    """Train here and write the test score."""
    splits = ("train", "validation", "test")
    words = ["data=files", *(f"data.{name}={folder}/{name}.csv" for name in splits)]
    words += ["model=encoder", f"model.checkpoint={options.checkpoint.absolute()}", f"seed={draw}"]
    if side == "few_shot":
        words.append("experiment=few_shot")
        words += [] if bound is None else [f"train.max_steps={bound}"]
    shutil.rmtree(folder / side, ignore_errors=True)  # of a run that was ended
    command = [sys.executable, "-m", "xferlab", *words, f"hydra.run.dir={folder}/{side}"]
    with (folder / f"{side}.txt").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
    metrics = json.loads((folder / side / "metrics.json").read_text())
    record = json.loads((folder / side / "run.json").read_text())
    found = {side: metrics["test"]["accuracy"], f"{side}_steps": record["plan"]["steps"]}
    kept.write_text(json.dumps(found | {f"{side}_seconds": metrics["seconds"]}))


def format_scores(values: list[float | None]) -> str:
    """Return mean and standard deviation."""
    found = [value for value in values if value is not None]
    if len(found) < 2:
        return ""
    return f"{statistics.mean(found):.3f} ± {statistics.stdev(found):.3f}"


if __name__ == "__main__":
    main()
