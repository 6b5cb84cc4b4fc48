"""A variant of ``speed_gpu.py``: ``python speed_gpu_torch.py SHAPE BATCHES [compile]``."""

from __future__ import annotations

import json
import sys
import time

import speed_torch as peer
import torch
from speed_torch import cases


def train(network: torch.nn.Module, optimizer: torch.optim.Optimizer, made: list) -> None:
    """Train on batches, and wait for the device."""
    device = next(network.parameters()).device
    for batch in made:
        inputs = {name: values.to(device, non_blocking=True) for name, values in batch.items()}
        loss = peer.take_step(network, optimizer, inputs, is_half=True)
    loss.item()


def rate(device: str) -> float:
    """Return the rate of bfloat16 products, operations a second."""
    a = torch.ones(768, 768, dtype=torch.bfloat16, device=device)
    b = torch.ones(768, 3072, dtype=torch.bfloat16, device=device)
    seconds = []
    for _ in range(12):
        began = time.perf_counter()
        (a @ b)[0, 0].item()
        seconds.append(time.perf_counter() - began)
    return 2 * 768 * 768 * 3072 / sorted(seconds)[6]


def main() -> None:
    """Train twice on the same batches, time the second, print the result."""
    shape, count, *flags = sys.argv[1:]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network, _ = peer.model(shape)
    network = network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)
    if "compile" in flags:
        network = torch.compile(network, dynamic=True)
    made = peer.batches("train", "medium", 1, int(count))
    train(network, optimizer, made)
    wall, _ = cases.timed(lambda: train(network, optimizer, made))
    result = {
        "wall": wall,
        "tokens": int(sum(batch["attention_mask"].sum() for batch in made)),
        "rate": rate(device),
        "device": torch.cuda.get_device_name() if device == "cuda" else "no GPU",
    }
    print("result " + json.dumps(result))


if __name__ == "__main__":
    main()
