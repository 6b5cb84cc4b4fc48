"""Fine-tunes a checkpoint with the Hugging Face Trainer and writes scores and times as JSON.

The peer that a run of this repository is compared with: the same data files, the same
checkpoint, the same number of rows a batch, on PyTorch.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scores
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

TASKS = ("single_label", "multi_label", "regression", "token_classification")
PROBLEMS = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "numpy", "scikit-learn", "scipy")
UNSEEN = -100  # the label that PyTorch's cross-entropy leaves out
Row = dict[str, Any]


@dataclass
class Split:
    """The rows of one file: encoded for the model, and the labels as they stand in the file."""

    encoded: list[Row]
    labels: Any
    words: list[list[int | None]]


class Meter(TrainerCallback):
    """Measures each step's wall time and counts what the model is fed."""

    def __init__(self) -> None:
        """Starts with nothing counted."""
        self.seconds: list[float] = []
        self.wall = self.cpu = 0.0
        self.rows = self.tokens = self.padded = 0

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """Starts the clocks once the model and the optimizer exist."""
        self.wall = time.perf_counter()
        self.cpu = time.process_time()

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        """Stops the clocks before the evaluation."""
        self.wall = time.perf_counter() - self.wall
        self.cpu = time.process_time() - self.cpu

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        """Notes when a step starts."""
        self._start = time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Notes how long the step took: forward, backward, clipping and the update."""
        self.seconds.append(time.perf_counter() - self._start)

    def count(self, mask: torch.Tensor) -> None:
        """Adds one batch's rows, real tokens and positions (padding included)."""
        self.rows += mask.shape[0]
        self.tokens += int(mask.sum())
        self.padded += mask.numel()


class MeteredTrainer(Trainer):
    """A Trainer that shows each training batch to a meter."""

    meter: Meter

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Counts the batch, then does what Trainer does."""
        self.meter.count(inputs["attention_mask"])
        return super().training_step(model, inputs, *args, **kwargs)


def label_names(folder: Path, task: str) -> list[str]:
    """Reads `labels.txt`, one name a line; a regression has one unnamed output."""
    if task == "regression":
        return ["score"]
    return (folder / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1]


def read_table(
    path: Path, task: str, classes: int, tokenizer: PreTrainedTokenizerBase, length: int
) -> Split:
    """Reads and encodes a CSV file with `text,label` or `text_a,text_b,label`."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = ["text"] if "text" in rows[0] else ["text_a", "text_b"]
    texts = [[row[name] for row in rows] for name in columns]
    batch = tokenizer(*texts, truncation=True, max_length=length)
    labels: Any
    if task == "multi_label":
        labels = np.zeros((len(rows), classes), "float32")
        for place, row in enumerate(rows):
            labels[place, [int(one) for one in row["label"].split("|") if one]] = 1.0
    else:
        kind = "float32" if task == "regression" else "int64"
        labels = np.asarray([float(row["label"]) for row in rows]).astype(kind)
    encoded = [
        {name: batch[name][place] for name in batch} | {"labels": labels[place].tolist()}
        for place in range(len(rows))
    ]
    return Split(encoded, labels, [])


def read_tags(
    path: Path, names: list[str], tokenizer: PreTrainedTokenizerBase, length: int
) -> Split:
    """Reads and encodes a JSON lines file with `tokens` and `tags`; the first piece is labelled."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    tokens = [row["tokens"] for row in rows]
    batch = tokenizer(tokens, is_split_into_words=True, truncation=True, max_length=length)
    ids = {name: place for place, name in enumerate(names)}
    encoded = []
    words = []
    for place, row in enumerate(rows):
        seen: set[int] = set()
        firsts: list[int | None] = []
        for word in batch.word_ids(place):
            firsts.append(None if word is None or word in seen else word)
            seen.update(() if word is None else (word,))
        labels = [UNSEEN if word is None else ids[row["tags"][word]] for word in firsts]
        encoded.append({name: batch[name][place] for name in batch} | {"labels": labels})
        words.append(firsts)
    return Split(encoded, [row["tags"] for row in rows], words)


def read_split(
    args: argparse.Namespace, name: str, names: list[str], tokenizer: PreTrainedTokenizerBase
) -> Split:
    """Reads one split of the data folder for the task."""
    if args.task == "token_classification":
        return read_tags(args.data / f"{name}.jsonl", names, tokenizer, args.max_length)
    path = args.data / f"{name}.csv"
    return read_table(path, args.task, len(names), tokenizer, args.max_length)


def build_model(args: argparse.Namespace, names: list[str]) -> PreTrainedModel:
    """Puts a new head on the checkpoint's backbone, in 32-bit floats."""
    config = AutoConfig.from_pretrained(args.checkpoint)
    config.id2label = dict(enumerate(names))
    config.label2id = {name: place for place, name in enumerate(names)}
    kind: Any = AutoModelForTokenClassification
    if args.task != "token_classification":
        config.problem_type = PROBLEMS[args.task]
        kind = AutoModelForSequenceClassification
    return kind.from_pretrained(args.checkpoint, config=config, dtype=torch.float32)


def training_arguments(args: argparse.Namespace, scratch: str) -> TrainingArguments:
    """Spells the recipe in Trainer's terms; nothing is saved on the way."""
    return TrainingArguments(
        output_dir=scratch,
        num_train_epochs=args.epochs,
        max_steps=args.max_steps,
        per_device_train_batch_size=args.batch_size,
        learning_rate=args.lr,
        weight_decay=args.weight_decay,
        max_grad_norm=1.0,
        lr_scheduler_type="linear",
        warmup_steps=args.warmup,  # a value below 1 is a share of all steps
        optim="adamw_torch",
        train_sampling_strategy="group_by_length" if args.group_by_length else "random",
        seed=args.seed,
        save_strategy="no",
        eval_strategy="no",
        logging_steps=args.log_every,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )


def predict(model: PreTrainedModel, split: Split, collate: Callable[[list[Row]], Any]) -> list:
    """Returns the logits of every row in the file's order; rows of like length share a batch."""
    model.eval()
    order = sorted(range(len(split.encoded)), key=lambda at: len(split.encoded[at]["input_ids"]))
    logits: list[Any] = [None] * len(order)
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            chosen = order[start : start + 64]
            batch = collate([split.encoded[at] for at in chosen])
            batch.pop("labels")
            for at, one in zip(chosen, model(**batch).logits.numpy(), strict=True):
                logits[at] = one
    return logits


def evaluate(
    task: str, names: list[str], model: PreTrainedModel, split: Split, collate: Any
) -> dict[str, float]:
    """Scores the model's outputs on a split; a word cut off by the length limit counts as O."""
    logits = predict(model, split, collate)
    if task != "token_classification":
        return getattr(scores, task)(np.stack(logits), split.labels)
    predicted = []
    for tags, words, one in zip(split.labels, split.words, logits, strict=True):
        guess = ["O"] * len(tags)
        for word, best in zip(words, one.argmax(-1), strict=False):
            if word is not None:
                guess[word] = names[best]
        predicted.append(guess)
    return scores.token_classification(predicted, split.labels)


def file_notes(folder: Path) -> dict[str, str]:
    """Digests of the data files, so that two results can be seen to share their data."""
    paths = sorted([*folder.glob("*.csv"), *folder.glob("*.jsonl")])
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def times(meter: Meter, steps: int) -> dict[str, float]:
    """Sums up the meter."""
    return {
        "training_seconds": meter.wall,
        "training_cpu_seconds": meter.cpu,
        "steps": steps,
        "seconds_a_step": meter.wall / steps,
        "median_step_seconds": statistics.median(meter.seconds),
        "fast_step_seconds": float(np.percentile(meter.seconds, 10)),
        "rows": meter.rows,
        "tokens": meter.tokens,
        "padded_tokens": meter.padded,
        "tokens_a_second": meter.tokens / meter.wall,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Trains, evaluates and gathers what is worth keeping."""
    load = os.getloadavg()[0]
    torch.set_num_threads(args.threads)
    set_seed(args.seed)
    names = label_names(args.data, args.task)
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    train = read_split(args, "train", names, tokenizer)
    test = read_split(args, args.split, names, tokenizer)
    collator = (
        DataCollatorForTokenClassification
        if args.task == "token_classification"
        else DataCollatorWithPadding
    )
    collate = collator(tokenizer, padding="longest")
    model = build_model(args, names)
    meter = Meter()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = MeteredTrainer(
            model=model,
            args=training_arguments(args, scratch),
            train_dataset=train.encoded,  # type: ignore[arg-type]
            data_collator=collate,
            processing_class=tokenizer,
            callbacks=[meter],
        )
        trainer.meter = meter
        outcome = trainer.train()
    started = time.perf_counter()
    metrics = evaluate(args.task, names, model, test, collate)
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()
    }
    return {
        "metrics": metrics,
        "times": times(meter, outcome.global_step)
        | {"evaluation_seconds": time.perf_counter() - started, "load_before": load},
        "train_loss": outcome.training_loss,
        "losses": [
            {key: line[key] for key in ("step", "loss", "grad_norm", "learning_rate")}
            for line in trainer.state.log_history
            if "grad_norm" in line
        ],
        "settings": settings,
        "train_rows": len(train.encoded),
        "evaluated_rows": len(test.encoded),
        "data": file_notes(args.data),
        "parameters": sum(one.numel() for one in model.parameters()),
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
    }


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--data", type=Path, required=True, help="train, test and labels.txt")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--max-steps", type=int, default=-1, help="overrides --epochs")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of all steps")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log-every", type=int, default=20, help="steps a point of the loss")
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--group-by-length", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    return parser.parse_args()


def main() -> None:
    """Runs once and writes the result."""
    args = parse()
    result = run(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({"metrics": result["metrics"], "times": result["times"]}))


if __name__ == "__main__":
    main()
