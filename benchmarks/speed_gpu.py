"""The training step on a GPU beside PyTorch: BERT-base's shape, at most 128 tokens, bfloat16.

    python benchmarks/speed_gpu.py OUT --peer PYTHON [--shape bert-base] [--batches 40]

Each variant is a process of its own, one after another: xferlab with XLA on and off, deterministic
on and off; PyTorch with and without ``torch.compile``, grouped by length. Rates are real tokens a
second of wall time, and the share of the device's measured matrix rate that they make up. Without a
GPU it runs on the processor, which only shows that it works.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import speed_cases as cases

HERE = Path(__file__).parent
OURS = {
    "xferlab": [],
    "xferlab, XLA": ["xla"],
    "xferlab, deterministic": ["deterministic"],
    "xferlab, XLA, deterministic": ["xla", "deterministic"],
}
PEERS = {"PyTorch": [], "PyTorch, torch.compile": ["compile"]}


def operations_a_token(shape: str) -> float:
    """Return the operations of a training step's matrix products for each token.

    Six for each weight of the layers: two forward, four backward; attention is left out.
    """
    width, _, layers, inner = cases.SHAPES[shape]
    return 6.0 * layers * (4 * width**2 + 2 * width * inner)


def measured(command: list[str]) -> dict[str, Any]:
    """Return what a variant printed."""
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("result ")]
    if not lines:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix("result "))


def main() -> None:
    """Measure every variant, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peer", required=True, help="interpreter of the peer's environment")
    parser.add_argument("--shape", default="bert-base", choices=list(cases.SHAPES))
    parser.add_argument("--batches", type=int, default=40)
    options = parser.parse_args()
    common = [options.shape, str(options.batches)]
    found = {
        name: measured([sys.executable, "speed_gpu_ours.py", *common, *flags])
        for name, flags in OURS.items()
    }
    found |= {
        name: measured([options.peer, "peer/speed_gpu_torch.py", *common, *flags])
        for name, flags in PEERS.items()
    }
    best = max(found[name]["tokens"] / found[name]["wall"] for name in PEERS)
    lines = [
        f"{next(iter(found.values()))['device']}, {options.shape}, bfloat16, batch {cases.BATCH}",
        "",
        "| variant | tokens/s | ratio to the better PyTorch | share of the matrix rate |",
        "|---|---|---|---|",
    ]
    for name, each in found.items():
        speed = each["tokens"] / each["wall"]
        share = speed * operations_a_token(options.shape) / each["rate"]
        lines.append(f"| {name} | {speed:,.0f} | {speed / best:.2f} | {share:.0%} |")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "speed_gpu.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
