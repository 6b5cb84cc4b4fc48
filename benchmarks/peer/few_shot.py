"""SetFit's test accuracy with its defaults, and that of its head on the encoder as it is.

    python few_shot.py --checkpoint FOLDER --train FILE --test FILE --seed 0 --out FILE

Needs setfit 1.1, which needs transformers 4. The files have the columns text and label. ``--steps``
bounds the training of the encoder; without it SetFit trains one epoch of its pairs.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Train, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("checkpoint", "train", "test", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=-1)
    options = parser.parse_args()
    texts, labels = read(options.train)
    test_texts, test_labels = read(options.test)

    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(str(options.checkpoint))
    model.model_head.fit(model.encode(texts), labels)
    found = {"frozen": accuracy(model, test_texts, test_labels)}
    model = SetFitModel.from_pretrained(str(options.checkpoint))
    arguments = TrainingArguments(
        output_dir=str(options.out.parent / "setfit"),
        seed=options.seed,
        max_steps=options.steps,
        report_to="none",
        save_strategy="no",
        show_progress_bar=False,
    )
    data = Dataset.from_dict({"text": texts, "label": labels})
    trainer = Trainer(model=model, args=arguments, train_dataset=data)
    began = time.monotonic()
    trainer.train()
    found["setfit"] = accuracy(model, test_texts, test_labels)
    found["steps"] = trainer.st_trainer.state.global_step
    found["seconds"] = time.monotonic() - began
    options.out.write_text(json.dumps(found))


def read(path: Path) -> tuple[list[str], list[str]]:
    """Return texts and labels."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def accuracy(model: Any, texts: list[str], labels: list[str]) -> float:
    """Return the fraction of texts whose label is predicted."""
    predicted = model.predict(texts, as_numpy=True)
    return sum(map(str.__eq__, map(str, predicted), labels)) / len(labels)


if __name__ == "__main__":
    main()
