"""The recipe of xferlab's defaults in PyTorch, on the cells of ``benchmarks/small_data.py``.

    python small_data.py OUT.jsonl --checkpoint FOLDER --data FOLDER

Adds a line of JSON for each cell: the score of logistic regression on frozen vectors, and for three
epochs and for at least 400 steps the test score of the last epoch's weights and of the weights of
the best epoch (the later of equal ones) by the validation split. Uses a GPU where there is one.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

sys.path.append(str(Path(__file__).parents[1]))
from small_data import DRAWS, ROWS, TASKS, cut, logistic_score, unit

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH = 16
LENGTH = 128
RATE = 5e-5
WARMUP = 0.1
ENOUGH_STEPS = 400


class Network(torch.nn.Module):
    """A pretrained encoder with its pooler and a fresh head."""

    def __init__(self, checkpoint: str, outputs: int) -> None:
        super().__init__()
        self.body = AutoModel.from_pretrained(checkpoint, dtype=torch.float32)
        self.dropout = torch.nn.Dropout(0.1)
        self.head = torch.nn.Linear(self.body.config.hidden_size, outputs)
        torch.nn.init.normal_(self.head.weight, std=0.02)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, inputs: dict[str, Any]) -> torch.Tensor:
        """Return logits, float (batch, outputs)."""
        return self.head(self.dropout(self.body(**inputs).pooler_output))


class Cell:
    """One draw of one task: its examples as token ids and labels."""

    def __init__(self, checkpoint: str, train: list[Any], test: list[Any], seed: int) -> None:
        self.checkpoint = checkpoint
        self.seed = seed
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.classes = sorted({name for row in train for name in row["label"].split("|")})
        self.multi = any("|" in row["label"] for row in train)
        order = random.Random(seed).sample(range(len(train)), len(train))
        held = max(1, round(0.1 * len(train)))
        self.validation = self.encoded([train[i] for i in order[:held]])
        self.train = self.encoded([train[i] for i in order[held:]])
        self.test = self.encoded(test)

    def encoded(self, rows: list[Any]) -> tuple[Any, np.ndarray]:
        """Return the token ids and the labels of rows."""
        texts, pairs = columns(rows)
        place = {name: i for i, name in enumerate(self.classes)}
        labels = np.array([place.get(row["label"], -1) for row in rows])
        if self.multi:
            labels = np.zeros((len(rows), len(self.classes)), "float32")
            for i, row in enumerate(rows):
                known = [place[name] for name in row["label"].split("|") if name in place]
                labels[i, known] = 1
        return self.tokenizer(texts, pairs, truncation=True, max_length=LENGTH), labels

    def batches(self, ids: Any, order: list[int], size: int) -> Iterator[tuple[list[int], Any]]:
        """Yield row numbers and padded tensors."""
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            part = {key: [values[i] for i in rows] for key, values in ids.items()}
            yield rows, self.tokenizer.pad(part, return_tensors="pt").to(DEVICE)

    def fine_tuned(self, epochs: int) -> dict[str, float]:
        """Train; return the test scores of the last and of the best epoch's weights."""
        torch.manual_seed(self.seed)
        network = Network(self.checkpoint, len(self.classes)).to(DEVICE)
        ids, labels = self.train
        steps = epochs * math.ceil(len(labels) / BATCH)
        optimizer, schedule = optimizer_of(network, steps)
        shuffled = random.Random(self.seed)
        best = -1.0
        scores = {"steps": steps, "last": 0.0, "best": 0.0}
        for epoch in range(epochs):
            network.train()
            order = shuffled.sample(range(len(labels)), len(labels))
            for rows, inputs in self.batches(ids, order, BATCH):
                loss = self.loss(network(inputs), torch.tensor(labels[rows], device=DEVICE))
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            value = self.score(network, self.validation)
            if value >= best:
                best = value
                scores["best"] = self.score(network, self.test)
            if epoch == epochs - 1:
                scores["last"] = self.score(network, self.test)
        return scores

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch."""
        if self.multi:
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        return torch.nn.functional.cross_entropy(logits, labels)

    @torch.no_grad()
    def score(self, network: Network, split: tuple[Any, np.ndarray]) -> float:
        """Return accuracy, or micro F1 at 0.5 where an example has several labels."""
        network.eval()
        ids, labels = split
        logits = np.zeros((len(labels), len(self.classes)), "float32")
        for rows, inputs in self.batches(ids, list(range(len(labels))), 64):
            logits[rows] = network(inputs).cpu().numpy()
        if not self.multi:
            return float((logits.argmax(1) == labels).mean())
        predicted = logits > 0
        hits = (predicted & (labels > 0)).sum()
        total = predicted.sum() + (labels > 0).sum()
        return float(2 * hits / total) if total else 0.0


def optimizer_of(network: Network, steps: int) -> tuple[Any, Any]:
    """Return AdamW without decay of biases and norms, and warm-up with linear decay to 0."""
    spared = [n.endswith("bias") or "LayerNorm" in n for n, _ in network.named_parameters()]
    parameters = [p for _, p in network.named_parameters()]
    groups = [
        {"params": [p for p, s in zip(parameters, spared, strict=True) if not s]},
        {"params": [p for p, s in zip(parameters, spared, strict=True) if s], "weight_decay": 0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=0.01)
    warmup = round(WARMUP * steps)

    def multiplier(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, (steps - 1 - step) / max(1, steps - 1 - warmup))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, multiplier)


def columns(rows: list[Any]) -> tuple[list[str], list[str] | None]:
    """Return the texts and, of pairs, the second texts."""
    if "text_a" in rows[0]:
        return [row["text_a"] for row in rows], [row["text_b"] for row in rows]
    return [row["text"] for row in rows], None


@torch.no_grad()
def vectors(cell: Cell, texts: list[str], pairs: list[str] | None) -> np.ndarray:
    """Return the mean token vector of each text, (rows, hidden size)."""
    body = AutoModel.from_pretrained(cell.checkpoint, dtype=torch.float32).to(DEVICE).eval()
    ids = cell.tokenizer(texts, pairs, truncation=True, max_length=LENGTH)
    parts = []
    for _, inputs in cell.batches(ids, list(range(len(texts))), 64):
        hidden = body(**inputs).last_hidden_state
        mask = inputs["attention_mask"][..., None]
        parts.append(((hidden * mask).sum(1) / mask.sum(1)).cpu().numpy())
    return np.concatenate(parts)


def baseline(cell: Cell, train: list[Any], test: list[Any]) -> float:
    """Return the better test score of logistic regression on joint or separate vectors."""
    (texts, pairs) = columns(train)
    (test_texts, test_pairs) = columns(test)
    kinds = [(vectors(cell, texts, pairs), vectors(cell, test_texts, test_pairs))]
    if pairs and test_pairs:
        matrices = []
        for a, b in ((texts, pairs), (test_texts, test_pairs)):
            u = unit(vectors(cell, a, None))
            v = unit(vectors(cell, b, None))
            matrices.append(np.concatenate([u, v, abs(u - v), u * v], axis=1))
        kinds.append((matrices[0], matrices[1]))
    return max(logistic_score(x, x_test, train, test) for x, x_test in kinds)


def main() -> None:
    """Run every cell that OUT does not have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {json.loads(line)["cell"] for line in lines}
    for name in (f"{t} {size} {draw}" for draw in DRAWS for t in TASKS for size in ROWS):
        if name in done:
            continue
        task, size, draw = name.split()
        train, test = cut(options.data, task, int(size), int(draw))
        cell = Cell(options.checkpoint, train, test, int(draw))
        enough = math.ceil(ENOUGH_STEPS / math.ceil(len(cell.train[1]) / BATCH))
        record = {
            "cell": name,
            "validation": len(cell.validation[1]),
            "logistic_regression": baseline(cell, train, test),
            "three_epochs": cell.fine_tuned(3),
            "enough_steps": cell.fine_tuned(max(3, enough)),
        }
        with options.out.open("a") as stream:
            stream.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
