"""What pretraining is worth on the demo task: three learners, five seeds, one table.

    python benchmarks/transfer_table.py [--out FOLDER]

(a) TF-IDF and logistic regression, (b) the network of ``model=bert`` from random weights, (c) the
same network fine-tuned from its checkpoint. (a) and (b) get the best of several settings by
validation accuracy; (c) is the default command, and once more the README's ``optimizer.lr=3e-5``.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path

import xferlab

SEEDS = "0,1,2,3,4"
REVIEWS = Path(xferlab.__file__).parent / "bundled" / "reviews"
SCRATCH = ["model.pretrained=false", "optimizer.lr=3e-4,1e-3", "train.epochs=10"]


def main() -> None:
    """Run everything and print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("outputs/transfer_table"))
    out = parser.parse_args().out
    scratch = best_setting(sweep(out / "scratch", *SCRATCH), "optimizer.lr")
    rows = [
        ("TF-IDF (words, pairs of words) + logistic regression", [bag_of_words()]),
        (f"the same network from scratch (10 epochs, lr {scratch[0]:g})", scratch[1]),
        ("fine-tuned, `model=bert`", tests(sweep(out / "default"))),
        (
            "fine-tuned, `model=bert optimizer.lr=3e-5`",
            tests(sweep(out / "sentence", "optimizer.lr=3e-5")),
        ),
    ]
    print("| learner | test accuracy | seeds |\n|---|---|---|")
    for name, values in rows:
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        print(f"| {name} | {statistics.mean(values):.3f}{spread} | {len(values)} |")


def sweep(folder: Path, *words: str) -> list[Path]:
    """Run one sweep over the seeds and return its jobs' folders."""
    command = [sys.executable, "-m", "xferlab", "-m", f"seed={SEEDS}", *words]
    subprocess.run(
        [*command, f"hydra.sweep.dir={folder.absolute()}"], check=True, stdout=sys.stderr
    )
    return sorted(path.parent for path in folder.glob("*/metrics.json"))


def tests(jobs: list[Path]) -> list[float]:
    """Return the test accuracy of each job."""
    return [json.loads((job / "metrics.json").read_text())["test"]["accuracy"] for job in jobs]


def best_setting(jobs: list[Path], key: str) -> tuple[float, list[float]]:
    """Return the value of ``key`` with the best mean validation accuracy, and its test scores."""
    from omegaconf import OmegaConf

    groups: dict[float, list[Path]] = {}
    for job in jobs:
        groups.setdefault(OmegaConf.select(OmegaConf.load(job / "config.yaml"), key), []).append(
            job
        )

    def validation(value: float) -> float:
        scores = [json.loads((j / "metrics.json").read_text())["best"] for j in groups[value]]
        return statistics.mean(score["value"] for score in scores)

    best = max(groups, key=validation)
    return best, tests(groups[best])


def bag_of_words() -> float:
    """Return the test accuracy of the best TF-IDF model by validation accuracy."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    split = {name: read(REVIEWS / f"{name}.csv") for name in ("train", "validation", "test")}
    models = [
        make_pipeline(
            TfidfVectorizer(ngram_range=(1, n), token_pattern=r"(?u)\b\w+\b"),
            LogisticRegression(C=c, max_iter=5000),
        ).fit(*split["train"])
        for n in (1, 2, 3)
        for c in (0.1, 0.3, 1, 3, 10, 30)
    ]
    best = max(models, key=lambda model: model.score(*split["validation"]))
    return float(best.score(*split["test"]))


def read(path: Path) -> tuple[list[str], list[str]]:
    """Return the texts and labels of a CSV file."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [row["text"] for row in rows], [row["label"] for row in rows]


if __name__ == "__main__":
    main()
