"""Writes tests/fixtures/masked_lm: tiny random masked language models and their losses by PyTorch.

Run it with an environment that has torch and transformers:

    python tools/families/masked_lm.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "masked_lm"
ROWS = 40
SIZES = {
    "vocab_size": ROWS,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
DISTILBERT = {
    "vocab_size": ROWS,
    "dim": 12,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 20,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
SPECIAL = {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")}
KINDS = {
    "bert": (transformers.BertConfig, SIZES),
    "roberta": (transformers.RobertaConfig, {**SIZES, "type_vocab_size": 1, "pad_token_id": 1}),
    "distilbert": (transformers.DistilBertConfig, DISTILBERT),
    "albert": (transformers.AlbertConfig, {**SIZES, "embedding_size": 8}),
    "mpnet": (transformers.MPNetConfig, {**SIZES, "pad_token_id": 1}),
    "electra": (transformers.ElectraConfig, {**SIZES, "embedding_size": 8}),
    "modernbert": (transformers.ModernBertConfig, {**SIZES, **SPECIAL, "local_attention": 6}),
}


def write(name: str, folder: Path) -> None:
    """Write one checkpoint, a batch with chosen tokens, and PyTorch's loss of it."""
    torch.manual_seed(0)
    kind, sizes = KINDS[name]
    model = transformers.AutoModelForMaskedLM.from_config(kind(**sizes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms that are neither 0 nor 1
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    random = np.random.default_rng(1)
    ids = random.integers(5, ROWS, (3, 10))
    mask = np.array([[1] * 10, [1] * 7 + [0] * 3, [1] * 4 + [0] * 6])
    ids[mask == 0] = model.config.pad_token_id
    chosen = (random.random(ids.shape) < 0.4) & (mask == 1)
    targets = np.where(chosen, random.integers(5, ROWS, ids.shape), -1)
    labels = torch.tensor(np.where(chosen, targets, -100))
    given = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    with torch.no_grad():
        found = model(**given, labels=labels)
    right = (found.logits.argmax(-1).numpy() == targets)[chosen].sum()
    np.savez(
        folder / "expected.npz",
        token_ids=ids.astype("int32"),
        padding_mask=mask.astype("int32"),
        targets=targets.astype("int32"),
        loss=found.loss.numpy(),
        right=right,
    )


if __name__ == "__main__":
    for name in KINDS:
        write(name, FOLDER / name)
