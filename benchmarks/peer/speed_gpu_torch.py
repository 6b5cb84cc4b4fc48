"""The side of ``speed_gpu.py`` that runs PyTorch: ``python speed_gpu_torch.py OPTIONS``."""

from __future__ import annotations

import json
import sys
import time

import speed_torch as peer
import torch
from speed_torch import cases

SIDE = 8192
"""Rows and columns of the matrices whose product gives the device's rate."""


def train(network: torch.nn.Module, optimizer: torch.optim.Optimizer, made: list) -> None:
    """Train on batches, and wait for the device."""
    device = next(network.parameters()).device
    for batch in made:
        inputs = {name: values.to(device, non_blocking=True) for name, values in batch.items()}
        loss = peer.take_step(network, optimizer, inputs, is_half=True)
    loss.item()


def rate(device: str, products: int = 10) -> float:
    """Return the rate of bfloat16 products of random numbers, operations a second."""
    side = SIDE if device == "cuda" else 768
    a = torch.randn(side, side, dtype=torch.bfloat16, device=device)
    b = torch.randn(side, side, dtype=torch.bfloat16, device=device)
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        for _ in range(products):
            c = a @ b
        c[0, 0].item()
        seconds.append(time.perf_counter() - began)
    return products * 2 * side**3 / min(seconds)


def batches(size: int) -> list[dict[str, torch.Tensor]]:
    """Return full training batches, grouped by length."""
    sizes = cases.lengths("medium")
    made = []
    for rows in cases.grouped(sizes, 1, size):
        if len(rows) == size:
            ids, mask, labels = cases.arrays(sizes[rows], int(sizes[rows].max()))
            batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
            made.append({name: torch.from_numpy(array).long() for name, array in batch.items()})
    return made


def main() -> None:
    """Print the result of every variant as it is measured, a JSON object a line."""
    options = json.loads(sys.argv[1])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU"
    print("device " + json.dumps({"device": name, "rate": rate(device)}))
    for name, is_compiled, size in options["variants"]:
        result = measured(options["shape"], is_compiled, batches(size)[: options["batches"]])
        print("result " + json.dumps({"name": name, "batch": size, **result}), flush=True)


def measured(shape: str, is_compiled: bool, made: list[dict[str, torch.Tensor]]) -> dict:
    """Return the seconds of the first round and of three more over these batches."""
    torch.manual_seed(0)
    network, optimizer = peer.model(shape, "cuda" if torch.cuda.is_available() else "cpu")
    network.train()
    if is_compiled:
        network = torch.compile(network, dynamic=True)
    walls = [
        cases.timed(lambda: train(network, optimizer, made))[0] for _ in range(1 + cases.ROUNDS)
    ]
    masks = [batch["attention_mask"] for batch in made]
    return {
        "steps": len(made),
        "first": walls[0],
        "walls": walls[1:],
        "tokens": int(sum(mask.sum() for mask in masks)),
        "cells": int(sum(mask.numel() for mask in masks)),
    }


if __name__ == "__main__":
    main()
