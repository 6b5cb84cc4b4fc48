"""The side of ``speed.py`` that predicts with onnxruntime, float32: PyTorch's network, exported."""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime
import speed_torch as peer
import torch
from speed_torch import cases

INPUTS = ("input_ids", "attention_mask")


class Logits(torch.nn.Module):
    """The classifier with plain tensors for arguments and result."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the logits, ``(batch, classes)``."""
        return self.network(input_ids=input_ids, attention_mask=attention_mask).logits


@cache
def session(shape: str, threads: int) -> Any:
    """Return the optimized graph of a shape."""
    network = Logits(peer.model(shape)[0]).eval()
    example = tuple(torch.ones(2, 16, dtype=torch.long) for _ in INPUTS)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=512)}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network, example, path, input_names=INPUTS, dynamic_shapes=(axes, axes), dynamo=True
        )
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(case: str, seed: int, count: int) -> dict[str, Any]:
    """Time ``count`` batches of a case such as ``predict minilm short fp32``."""
    _, shape, texts, _ = case.split()
    made = peer.batches("predict", texts, seed, count)
    network = session(shape, int(sys.argv[1]))
    feeds = [{name: batch[name].numpy() for name in INPUTS} for batch in made]
    wall, processor = cases.timed(lambda: [network.run(None, feed) for feed in feeds])
    masks = [batch["attention_mask"] for batch in made]
    return {
        "wall": wall,
        "processor": processor,
        "tokens": int(sum(mask.sum() for mask in masks)),
        "cells": int(sum(mask.numel() for mask in masks)),
    }


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    cases.answer(run)
