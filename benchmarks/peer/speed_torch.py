"""The side of ``speed.py`` that runs the peer: PyTorch, the step that transformers' Trainer takes.

Forward under autocast, backward, clipping, fused AdamW: what Trainer adds around it is left out.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

sys.path.insert(0, str(Path(__file__).parents[1]))
import speed_cases as cases


@cache
def model(shape: str, device: str = "cpu") -> tuple[Any, Any]:
    """Return a classifier with random weights, and its optimizer."""
    width, heads, layers, inner = cases.SHAPES[shape]
    config = BertConfig(
        vocab_size=cases.VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        num_labels=cases.CLASSES,
    )
    network = BertForSequenceClassification(config).to(device)
    decayed = [w for n, w in network.named_parameters() if "bias" not in n and "Norm" not in n]
    others = [w for n, w in network.named_parameters() if "bias" in n or "Norm" in n]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return network, torch.optim.AdamW(groups, lr=1e-5, fused=True)


def batches(kind: str, texts: str, seed: int, count: int) -> list[dict[str, torch.Tensor]]:
    """Return padded batches, grouped by length or at random, as ``kind`` says."""
    sizes = cases.lengths(texts)
    order = cases.at_random if "random" in kind else cases.grouped
    plan = order(sizes, seed)
    chosen = np.random.default_rng(seed).permutation(len(plan))[:count]
    made = []
    for rows in (plan[i] for i in chosen):
        ids, mask, labels = cases.arrays(sizes[rows], int(sizes[rows].max()))
        batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        made.append({name: torch.from_numpy(array).long() for name, array in batch.items()})
    return made


def run(case: str, seed: int, count: int) -> dict[str, Any]:
    """Time ``count`` batches of a case such as ``train minilm short fp32``, or measure."""
    if case.startswith("rate"):
        return {"rate": rate(case.split()[1])}
    if case.startswith("memory"):
        _, shape, precision = case.split()
        arrays = zip(("input_ids", "attention_mask", "labels"), cases.largest(), strict=True)
        batch = {name: torch.from_numpy(array).long() for name, array in arrays}
        train(shape, [batch] * count, precision == "bf16")
        return {"private": cases.private_memory()}
    kind, shape, texts, precision = case.split()
    made = batches(kind, texts, seed, count)
    step = train if kind.startswith("train") else predict
    wall, processor = cases.timed(lambda: step(shape, made, precision == "bf16"))
    masks = [batch["attention_mask"] for batch in made]
    return {
        "wall": wall,
        "processor": processor,
        "tokens": int(sum(mask.sum() for mask in masks)),
        "cells": int(sum(mask.numel() for mask in masks)),
    }


def train(shape: str, made: list[dict[str, torch.Tensor]], is_half: bool) -> None:
    """Train on batches."""
    network, optimizer = model(shape)
    network.train()
    for batch in made:
        take_step(network, optimizer, batch, is_half).item()


def take_step(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: dict[str, torch.Tensor],
    is_half: bool,
) -> torch.Tensor:
    """Take one optimizer step on the device that the batch is on; return the loss."""
    device = batch["input_ids"].device.type
    with torch.autocast(device, torch.bfloat16, enabled=is_half):
        loss = network(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss


def predict(shape: str, made: list[dict[str, torch.Tensor]], is_half: bool) -> None:
    """Compute the outputs of batches."""
    network, _ = model(shape)
    network.eval()
    for batch in made:
        inputs = {name: values for name, values in batch.items() if name != "labels"}
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            network(**inputs).logits.float().numpy()


def rate(precision: str) -> float:
    """Return the rate of the largest product of MiniLM's step."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.ones(768, 384, dtype=dtype)
    b = torch.ones(1536, 384, dtype=dtype)
    return cases.matrix_rate(lambda: a @ b.T, 2 * 768 * 384 * 1536)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(int(sys.argv[1]))
    cases.answer(run)
