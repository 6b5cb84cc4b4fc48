"""Writes what the PyTorch backbone of a checkpoint gives for some sentences, as plain arrays.

For holding another implementation of the same checkpoint against: same text, same numbers.
The file has, one row a sentence in the file's order, `cls` (last hidden state of the first
token), `mean` (mean of the last hidden states over the real tokens), `pooler` (the pooler's
output, where the model has one), `input_ids` (padded with the tokenizer's own id) and `lengths`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer


def backbone_outputs(
    checkpoint: Path, texts: list[str], max_length: int, batch_size: int
) -> dict[str, np.ndarray]:
    """Runs the backbone in 32-bit floats, without dropout.

    Args:
        checkpoint: A Hugging Face folder.
        texts: The sentences.
        max_length: Longest input in tokens; longer ones are cut.
        batch_size: Sentences a batch; each batch is padded to its own longest.

    Returns:
        Arrays by name, first axis the sentence.
    """
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    whole = tokenizer(texts, truncation=True, max_length=max_length, padding=True)
    found: dict[str, list[np.ndarray]] = {"cls": [], "mean": [], "pooler": []}
    for start in range(0, len(texts), batch_size):
        batch = tokenizer(
            texts[start : start + batch_size],
            truncation=True,
            max_length=max_length,
            padding=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            output = model(**batch)
        states = output.last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).float()
        found["cls"].append(states[:, 0].numpy())
        found["mean"].append(((states * mask).sum(1) / mask.sum(1)).numpy())
        if getattr(output, "pooler_output", None) is not None:
            found["pooler"].append(output.pooler_output.numpy())
    arrays = {name: np.concatenate(parts) for name, parts in found.items() if parts}
    arrays["input_ids"] = np.asarray(whole["input_ids"], "int32")
    arrays["lengths"] = np.asarray(whole["attention_mask"], "int32").sum(-1)
    return arrays


def main() -> None:
    """Reads the command line, writes the arrays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--texts", type=Path, required=True, help="UTF-8, one sentence a line")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    texts = args.texts.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    arrays = backbone_outputs(args.checkpoint, texts, args.max_length, args.batch_size)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.out, **arrays)
    for name, array in arrays.items():
        print(f"{name} {array.shape} {array.dtype}")


if __name__ == "__main__":
    main()
