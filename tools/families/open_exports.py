"""Opens exported folders in PyTorch, and compares their logits with the network's.

    PYTHON tools/families/open_exports.py FOLDER ...

``PYTHON`` is that of an environment with PyTorch and transformers (``benchmarks/peer/README.md``).
Each folder has, beside the model, ``expected.npz``: a batch and the logits. Prints a line for each,
and fails if a tensor is missing or unexpected, or if a logit differs by more than 1e-4.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

TOLERANCE = 1e-4


def main(folders: list[str]) -> int:
    """Return how many folders are not what they should be."""
    return sum(not is_same(Path(folder)) for folder in folders)


def is_same(folder: Path) -> bool:
    """Return whether a folder opens in its class without remarks, with the expected logits."""
    name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    model, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    strange = [f"{kind}: {sorted(map(str, found))}" for kind, found in info.items() if found]
    with np.load(folder / "expected.npz") as file:
        batch = {key: torch.from_numpy(file[key]).long() for key in file if key != "logits"}
        expected = file["logits"]
    with torch.no_grad():
        logits = model.eval()(**batch).logits.numpy()
    if logits.ndim == 3:
        real = batch["attention_mask"].numpy() == 1
        logits = logits[real]
        expected = expected[real]
    difference = float(np.abs(logits - expected).max())
    print(f"{folder.name}: {name}, largest difference {difference:.1e}", *strange, sep="; ")
    return difference <= TOLERANCE and not strange


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
