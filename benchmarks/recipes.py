"""Ten presets, and the plain command, on public sets: the score one should get, time and memory.

    python benchmarks/recipes.py OUT --checkpoint FOLDER --data FOLDER [--only "few_shot;tagging"]

``--data`` holds the folders sst2, mrpc, stsb, goemotions, imdb and wnut17 with the files train,
validation and test. Each recipe is run with three seeds; ``data.limit`` samples other rows for
each. What has finished in OUT is not run again. Prints a table in Markdown: mean and standard
deviation of the test score, the processor minutes of a whole command, and the most memory that it
took.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from csv_files import read_csv, write_csv

SEEDS = (0, 1, 2)
PAIR = ("data.text=text_a", "data.pair=text_b")
ONE_LABEL = "goemotions, one label"
"""The examples of GoEmotions that have one emotion."""


@dataclass(frozen=True)
class Recipe:
    """A command on a data set.

    Attributes:
        data: the data set's folder, or ``ONE_LABEL``.
        score: the metric of the test split.
        words: the overrides beside the data's files and the checkpoint.
    """

    data: str
    score: str
    words: tuple[str, ...] = ()


RECIPES = {
    "frozen_encoder": Recipe("sst2", "accuracy", ("experiment=frozen_encoder",)),
    "few_shot": Recipe("sst2", "accuracy", ("experiment=few_shot", "data.limit.train=32")),
    "small_set": Recipe("sst2", "accuracy", ("experiment=small_set", "data.limit.train=512")),
    "low_rank": Recipe("sst2", "accuracy", ("experiment=low_rank",)),
    "several_labels": Recipe(
        "goemotions", "micro_f1", ("experiment=several_labels", "data.limit.train=8000")
    ),
    "rare_classes": Recipe(
        ONE_LABEL, "macro_f1", ("experiment=rare_classes", "data.limit.train=8000")
    ),
    "tagging": Recipe(
        "wnut17", "entity_f1", ("experiment=tagging", "data.text=tokens", "data.label=tags")
    ),
    "similarity": Recipe("stsb", "spearman", ("experiment=similarity", *PAIR, "loss.largest=5")),
    "long_texts": Recipe(
        "imdb",
        "accuracy",
        (
            "experiment=long_texts",
            *("data.limit.train=1000", "data.limit.validation=500", "data.limit.test=1000"),
        ),
    ),
    "own_texts": Recipe(
        "imdb",
        "masked_accuracy",
        (
            "experiment=own_texts",
            *("data.limit.train=2000", "data.limit.validation=500", "data.limit.test=500"),
        ),
    ),
    "plain, one text": Recipe("sst2", "accuracy"),
    "plain, a pair": Recipe("mrpc", "accuracy", PAIR),
    "plain, a number": Recipe("stsb", "pearson", PAIR),
}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default=";".join(RECIPES), help="names with ; between them")
    options = parser.parse_args()
    print("| recipe | data | command | score | mean ± sd | processor minutes | GB |")
    print("|---|---|---|---|---|---|---|")
    for name in options.only.split(";"):
        recipe = RECIPES[name]
        runs = [run(options, name, recipe, seed) for seed in SEEDS]
        scores = [found["scores"][recipe.score] for found in runs]
        shown = f"{statistics.mean(scores):.3f} ± {statistics.stdev(scores):.3f}"
        minutes = statistics.mean(found["processor_seconds"] for found in runs) / 60
        memory = max(found["peak_bytes"] for found in runs) / 1e9
        words = " ".join(recipe.words)
        print(
            f"| {name} | {recipe.data} | `{words}` | {recipe.score} | {shown} | {minutes:.1f} |"
            f" {memory:.1f} |",
            flush=True,
        )


def run(options: argparse.Namespace, name: str, recipe: Recipe, seed: int) -> dict:
    """Run a recipe with a seed, unless that has finished; return scores, time and memory."""
    folder = options.out.absolute() / name.replace(", ", "-").replace(" ", "-") / str(seed)
    cost = folder.with_suffix(".json")
    if not cost.is_file():
        command = [
            *(sys.executable, "-m", "xferlab", *data_words(options, recipe.data)),
            *("model=encoder", f"model.checkpoint={options.checkpoint.absolute()}"),
            *(*recipe.words, f"seed={seed}", f"hydra.run.dir={folder}", "train.keep=none"),
        ]
        process = subprocess.Popen(command, stdout=sys.stderr)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"the recipe {name} failed, see above")
        seconds = usage.ru_utime + usage.ru_stime
        found = {"processor_seconds": seconds, "peak_bytes": usage.ru_maxrss * 1024}
        cost.write_text(json.dumps(found))
    scores = json.loads((folder / "metrics.json").read_text())["test"]
    return json.loads(cost.read_text()) | {"scores": scores}


def data_words(options: argparse.Namespace, data: str) -> list[str]:
    """Return the overrides of a data set's files."""
    source = one_label(options) if data == ONE_LABEL else options.data.absolute() / data
    files = {path.stem: path for path in source.iterdir() if path.suffix in (".csv", ".jsonl")}
    return ["data=files", *(f"data.{split}={path}" for split, path in files.items())]


def one_label(options: argparse.Namespace) -> Path:
    """Write the examples of GoEmotions with one emotion, and return the folder."""
    source = options.data / "goemotions"
    target = options.out.absolute() / "one-label"
    for split in ("train", "validation", "test"):
        rows = [row for row in read_csv(source / f"{split}.csv") if row["label"].isdigit()]
        write_csv(target / f"{split}.csv", rows)
    (target / "labels.txt").write_bytes((source / "labels.txt").read_bytes())
    return target


if __name__ == "__main__":
    main()
