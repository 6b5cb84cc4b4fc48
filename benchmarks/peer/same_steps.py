"""Trains a folder of transformers on batches that were written beside it, in PyTorch.

    python same_steps.py FOLDER

`benchmarks/same_steps.py` writes the folder and starts this. `answers.npz` gets the loss of every
step and the outputs for the test rows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

NOT_DECAYED = ("bias", "LayerNorm.weight")


def main() -> None:
    """Train, then answer."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    arrays = np.load(folder / "batches.npz")
    token_classification = settings["task"] == "token_classification"
    kind = (
        AutoModelForTokenClassification
        if token_classification
        else AutoModelForSequenceClassification
    )
    model = kind.from_pretrained(folder)
    model.train()  # dropout is 0 in the folder
    losses = train(model, settings, arrays)
    model.eval()
    chunks = sorted({int(key.split("/")[1]) for key in arrays.files if key.startswith("test/")})
    with torch.no_grad():
        outputs = [model(**inputs_of(arrays, f"test/{n}")).logits.numpy() for n in chunks]
    np.savez(folder / "answers.npz", losses=np.array(losses), outputs=np.concatenate(outputs))


def train(model: Any, settings: dict[str, Any], arrays: Any) -> list[float]:
    """Take the steps and return the loss of each, before its update."""
    named = list(model.named_parameters())
    spared = [p for name, p in named if name.endswith(NOT_DECAYED)]
    decayed = [p for name, p in named if not name.endswith(NOT_DECAYED)]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": settings["weight_decay"]},
            {"params": spared, "weight_decay": 0.0},
        ],
        betas=(settings["beta_1"], settings["beta_2"]),
        eps=settings["epsilon"],
    )
    losses = []
    for step in range(settings["steps"]):
        labels = torch.from_numpy(arrays[f"train/{step}/labels"])
        if settings["task"] in ("single_label", "token_classification"):
            labels = labels.long()
            labels[labels < 0] = -100  # what PyTorch's cross-entropy leaves out
        loss = model(**inputs_of(arrays, f"train/{step}"), labels=labels).loss
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["max_grad_norm"])
        for group in optimizer.param_groups:
            group["lr"] = float(arrays["rates"][step])
        optimizer.step()
        optimizer.zero_grad()
    return losses


def inputs_of(arrays: Any, place: str) -> dict[str, torch.Tensor]:
    """Return a batch as transformers calls it."""
    names = {
        "input_ids": "token_ids",
        "token_type_ids": "segment_ids",
        "attention_mask": "padding_mask",
    }
    return {
        ours: torch.from_numpy(arrays[f"{place}/{name}"]).long() for ours, name in names.items()
    }


if __name__ == "__main__":
    main()
