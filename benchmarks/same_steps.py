"""The same steps here and in PyTorch: one start, the same batches and rates, no dropout.

    python benchmarks/same_steps.py --checkpoint FOLDER --data FOLDER --peer PYTHON

``--data`` holds the folders sst2, mrpc, stsb, goemotions and wnut17; ``--peer`` is the Python of
an environment with PyTorch and transformers (``benchmarks/peer/README.md``). A fresh head is drawn
and written, with the encoder, as a folder that transformers loads; ``peer/same_steps.py`` trains it
on the batches written beside it. Seeds and dropout are out of the way, so the two must agree
step by step, where ``parity.py`` compares spreads. Of several labels each counts as predicted from
a probability of 0.1 on, since so few steps bring none to 0.5. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from parity import TASKS

from xferlab.callbacks import Callback, Step
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import Recipe, read
from xferlab.data.batching import Batch, batch_arrays
from xferlab.discovery import load_plugins
from xferlab.experiment.prepare import prepare
from xferlab.export.formats.transformers import config_json
from xferlab.models.architectures import read_architecture
from xferlab.models.checkpoint import resolve
from xferlab.models.to_transformers import encoder_tensors, head_tensors
from xferlab.tasks.base import Task
from xferlab.training.assemble import Experiment, assemble
from xferlab.training.evaluation import input_names, scores
from xferlab.training.loop import fit
from xferlab.training.summary import planned_rates

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
STEPS = {"sst2": 40, "mrpc": 40, "stsb": 40, "goemotions": 60, "wnut17": 100}
CHUNK = 50


class Losses(Callback):
    """Keeps the loss of every batch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_step(self, step: Step) -> None:
        """Note it."""
        self.values.append(step.loss)


def main() -> None:
    """Train every task twice, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("outputs/same_steps"))
    parser.add_argument("--rows", type=int, default=300, help="test rows that are scored")
    parser.add_argument("--tasks", default=",".join(TASKS))
    options = parser.parse_args()
    load_plugins(Path.cwd())
    publish(Path.cwd())
    checkpoint = without_dropout(options.checkpoint, options.out.absolute() / "checkpoint")
    print(
        "| task, steps | loss, first to last step | largest difference of a step's loss "
        "| test score | PyTorch | xferlab |\n|---|---|---|---|---|---|"
    )
    for task in options.tasks.split(","):
        compare(task, checkpoint, options)


def without_dropout(checkpoint: Path, folder: Path) -> Path:
    """Copy a checkpoint and switch its dropout off."""
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | NO_DROPOUT))
    return folder


def compare(task: str, checkpoint: Path, options: argparse.Namespace) -> None:
    """Train one task here and there and print its rows."""
    recipe, experiment = begun(task, checkpoint, options)
    folder = options.out.absolute() / task
    write_start(experiment, checkpoint, folder)
    write_batches(experiment, recipe, folder)
    losses = Losses()
    fit(experiment, [losses])
    ours = outputs_of(experiment)
    peer = Path(__file__).parent / "peer" / "same_steps.py"
    subprocess.run([str(options.peer), str(peer), str(folder)], check=True)
    theirs = np.load(folder / "answers.npz")
    apart = np.abs(np.array(losses.values) - theirs["losses"]).max()
    here = score(experiment, ours)
    there = score(experiment, theirs["outputs"])
    for name in TASKS[task][1].values():
        first = losses.values[0]
        last = losses.values[-1]
        print(
            f"| {task}, {len(losses.values)} | {first:.4f} to {last:.4f} | {apart:.1e}"
            f" | {name} | {there[name]:.4f} | {here[name]:.4f} |",
            flush=True,
        )


def begun(task: str, checkpoint: Path, options: argparse.Namespace) -> tuple[Recipe, Experiment]:
    """Return the task's experiment, ready to be trained."""
    words, _, _, rate = TASKS[task]
    suffix = "jsonl" if task == "wnut17" else "csv"
    files = [
        f"data.{s}={options.data}/{task}/{s}.{suffix}" for s in ("train", "validation", "test")
    ]
    limit = f"data.limit={{train: null, validation: 50, test: {options.rows}}}"
    recipe = read(
        compose_config(
            [
                "data=files",
                *files,
                limit,
                "model=encoder",
                f"model.checkpoint={checkpoint}",
                "model.pooling=first",  # the head of transformers' class, as in PyTorch
                "model.dropout=0",
                f"train.max_steps={STEPS[task]}",
                f"optimizer.lr={rate}",
                "train.batch_size=16",
                *words,
            ]
        )
    )
    recipe, data = prepare(recipe)
    return recipe, assemble(recipe, data)


def write_start(experiment: Experiment, checkpoint: Path, folder: Path) -> None:
    """Write the untrained network as a folder that transformers loads."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    network = experiment.model.network
    spec = experiment.spec
    config = read_architecture(resolve(str(checkpoint), weights=False).config, str(checkpoint))
    token_classification = spec.task is Task.token_classification
    tensors = encoder_tensors(network, config) | head_tensors(network, config, token_classification)
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    table = config_json(config, spec, experiment.model.tokenizer.pad_id, 0.0)
    (folder / "config.json").write_text(json.dumps(table | NO_DROPOUT))


def write_batches(experiment: Experiment, recipe: Recipe, folder: Path) -> None:
    """Write every training batch, the test rows, and what the optimizer is told."""
    arrays: dict[str, Any] = {
        "rates": planned_rates(experiment.learning_rate, experiment.budget.total_steps)
    }
    encoding = experiment.encodings["train"]
    labels = experiment.data.train.labels
    pad_id = experiment.model.tokenizer.pad_id
    for number, batch in enumerate(experiment.batches.steps(0, experiment.total_batches)):
        inputs, y = batch_arrays(encoding, labels, batch, pad_id)
        arrays |= {f"train/{number}/{name}": value for name, value in inputs.items()}
        arrays[f"train/{number}/labels"] = y
    for number, (inputs, _) in enumerate(test_chunks(experiment)):
        arrays |= {f"test/{number}/{name}": value for name, value in inputs.items()}
    np.savez(folder / "batches.npz", **arrays)
    optimizer = {
        name: getattr(recipe.optimizer, name)
        for name in ("weight_decay", "beta_1", "beta_2", "epsilon")
    }
    settings = {
        **optimizer,
        "max_grad_norm": recipe.train.max_grad_norm,
        "steps": experiment.total_batches,
        "task": experiment.spec.task.name,
    }
    (folder / "settings.json").write_text(json.dumps(settings))


def test_chunks(experiment: Experiment) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Return the test rows in order, all padded alike, with their labels."""
    encoding = experiment.encodings["test"]
    labels = experiment.data.splits["test"].labels
    longest = max(len(ids) for ids in encoding.token_ids)
    rows = np.arange(len(encoding.token_ids))
    return [
        batch_arrays(encoding, labels, Batch(rows[n : n + CHUNK], longest), 0)
        for n in range(0, len(rows), CHUNK)
    ]


def outputs_of(experiment: Experiment) -> np.ndarray:
    """Return the network's outputs for the test rows."""
    network = experiment.model.network
    names = input_names(network)
    return np.concatenate(
        [
            np.asarray(network({name: inputs[name] for name in names}, training=False))
            for inputs, _ in test_chunks(experiment)
        ]
    )


def score(experiment: Experiment, outputs: np.ndarray) -> dict[str, float]:
    """Return the scores of outputs by this project's metrics, whoever computed them."""
    labels = np.concatenate([labels for _, labels in test_chunks(experiment)])
    if experiment.spec.task is Task.multi_label:
        outputs = outputs - np.float32(np.log(0.1 / 0.9))
    return scores(experiment.loss, experiment.metrics, labels, outputs)


if __name__ == "__main__":
    main()
