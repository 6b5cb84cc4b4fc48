"""Methods for small training sets beside plain fine-tuning: one sweep a method, one report a task.

    python benchmarks/methods.py OUT --checkpoint FOLDER --data FOLDER [--tasks sst2,mrpc]

``--data`` holds the folders sst2 and mrpc. 512 training examples, another sample for each of five
seeds, the same for every method; 400 validation and 800 test examples; all other settings at their
defaults. What is in OUT is not run again. Prints a table in Markdown, and below it the report's
own comparison of the methods on the same examples.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

SEEDS = "0,1,2,3,4"
METHODS = {
    "plain": [],
    "r_drop": ["objective=r_drop"],
    "awp": ["objective=awp"],
    "ema": ["average=ema"],
    "layer_decay + reinit_top": ["transfer=[reinit_top,layer_decay]"],
    "supervised_contrastive": ["objective=supervised_contrastive"],
}
LIMITS = ["data.limit.train=512", "data.limit.validation=400", "data.limit.test=800"]


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", default="sst2,mrpc")
    parser.add_argument("--workers", type=int, default=1, help="jobs at once")
    options = parser.parse_args()
    print("| task | method | test accuracy, mean ± sd of 5 seeds | validation accuracy |")
    print("|---|---|---|---|")
    for task in options.tasks.split(","):
        for method in METHODS:
            jobs = sweep(options, task, method)
            test = shown([job["test"]["accuracy"] for job in jobs])
            validation = shown([job["validation"]["accuracy"] for job in jobs])
            print(f"| {task} | {method} | {test} | {validation} |", flush=True)
    for task in options.tasks.split(","):
        folders = [str(folder_of(options, task, method)) for method in METHODS]
        subprocess.run([sys.executable, "-m", "xferlab", "report", *folders], check=True)


def folder_of(options: argparse.Namespace, task: str, method: str) -> Path:
    """Return the folder of a method's sweep."""
    return options.out.absolute() / task / method.replace(" + ", "_")


def sweep(options: argparse.Namespace, task: str, method: str) -> list[dict]:
    """Run the seeds of a method that are missing and return the content of ``metrics.json``."""
    data = options.data.absolute() / task
    files = [f"data.{split}={data / split}.csv" for split in ("train", "validation", "test")]
    pair = ["data.text=text_a", "data.pair=text_b"] if task == "mrpc" else []
    model = ["model=encoder", f"model.checkpoint={options.checkpoint.absolute()}"]
    folder = folder_of(options, task, method)
    words = ["data=files", *files, *pair, *model, *LIMITS, *METHODS[method], f"seed={SEEDS}"]
    place = [f"hydra.sweep.dir={folder}", f"sweep.workers={options.workers}"]
    command = [sys.executable, "-m", "xferlab", "-m", *words, *place]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/metrics.json"))]


def shown(values: list[float]) -> str:
    """Return mean and standard deviation."""
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    main()
