"""Fine-tuning here beside Hugging Face's Trainer: the same weights, rows, steps and rates.

    python benchmarks/parity.py --checkpoint FOLDER --data FOLDER --peer FOLDER [--seeds 0,1,2]

``--data`` holds the folders sst2, mrpc, stsb, goemotions and wnut17; ``--peer`` the JSON files that
``benchmarks/peer/finetune.py`` wrote, as TASK_STEPS_seedK.json. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

TASKS = {
    "sst2": (["metric=[accuracy]"], {"accuracy": "accuracy"}, 200, 5e-5),
    "mrpc": (
        ["data.text=text_a", "data.pair=text_b", "metric=[f1]", "metric.f1.average=binary"],
        {"f1": "f1"},
        200,
        5e-5,
    ),
    "stsb": (
        ["data.text=text_a", "data.pair=text_b"],
        {"pearson": "pearson", "spearman": "spearman"},
        200,
        5e-5,
    ),
    "goemotions": (
        ["train.batch_size=32"],
        {"micro_f1": "micro_f1", "macro_f1": "macro_f1"},
        1350,
        2e-4,
    ),
    "wnut17": (
        ["data.text=tokens", "data.label=tags"],
        {"entity_f1": "entity_f1"},
        300,
        2e-4,
    ),
}


def main() -> None:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("outputs/parity"))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--tasks", default=",".join(TASKS))
    options = parser.parse_args()
    print(
        "| task | steps, peak rate | score | Trainer (PyTorch) | xferlab |\n|---|---|---|---|---|"
    )
    for task in options.tasks.split(","):
        words, scores, steps, rate = TASKS[task]
        ours = run(options, task, words, steps, rate)
        theirs = [
            json.loads(path.read_text())["metrics"]
            for path in sorted(options.peer.glob(f"{task}_{steps}_seed*.json"))
        ]
        for name, peer_name in scores.items():
            row = [shown([r[peer_name] for r in theirs]), shown([r[name] for r in ours])]
            print(f"| {task} | {steps}, {rate:g} | {name} | {row[0]} | {row[1]} |", flush=True)


def run(
    options: argparse.Namespace, task: str, words: list[str], steps: int, rate: float
) -> list[dict[str, float]]:
    """Train one task with every seed and return the test scores of the last weights."""
    folder = options.out.absolute() / task
    data = options.data / task
    suffix = "jsonl" if task == "wnut17" else "csv"
    if not folder.exists():
        files = [f"data.{s}={data}/{s}.{suffix}" for s in ("train", "validation", "test")]
        model = ["model=encoder", f"model.checkpoint={options.checkpoint}", "model.pooling=first"]
        length = [f"train.max_steps={steps}", f"optimizer.lr={rate}", "train.batch_size=16"]
        command = [sys.executable, "-m", "xferlab", "-m", f"seed={options.seeds}", "data=files"]
        command += [*files, *model, *length, "train.restore_best=false", "sweep.threads=1", *words]
        subprocess.run(
            [*command, f"hydra.sweep.dir={folder}"], check=True, stdout=subprocess.DEVNULL
        )
    jobs = sorted(folder.glob("*/metrics.json"))
    return [json.loads(job.read_text())["test"] for job in jobs]


def shown(values: list[float]) -> str:
    """Return mean and spread as text."""
    if not values:
        return "not run"
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread} (n={len(values)})"


if __name__ == "__main__":
    main()
