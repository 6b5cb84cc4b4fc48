"""The training step on a GPU beside PyTorch: BERT-base's shape, at most 128 tokens, bfloat16.

    python benchmarks/speed_gpu.py OUT --peer PYTHON [--shape bert-base] [--batches 40]

Batches of 32 and of 128 texts of like length. xferlab with XLA off and on (lengths a multiple of
32, because each shape is compiled), deterministic off and on, the loss read at each step or
at each eighth; PyTorch eager and with ``torch.compile``, which reads the loss once. Each side is a
process of its own. Rates are real tokens a second of wall time (the median round), and the share
of the device's measured matrix rate that they make up. Without a GPU it only shows that it works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import speed_cases as cases

HERE = Path(__file__).parent
SIZES = (32, 128)
PLAIN = ("xferlab", False, 1, 1)
RARE = ("xferlab, loss of each 8th step", False, 1, 8)
XLA = ("xferlab, XLA, loss of each 8th step", True, 32, 8)


def operations_a_token(shape: str) -> float:
    """Return the operations of a training step's matrix products for each token.

    Six for each weight of the layers: two forward, four backward; attention is left out.
    """
    width, _, layers, inner = cases.SHAPES[shape]
    return 6.0 * layers * (4 * width**2 + 2 * width * inner)


def measured(python: str, script: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a process printed: its device first, then the variants it came to."""
    command = [python, script, json.dumps(options)]
    found = []
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            kind, _, value = line.partition(" ")
            if kind in ("device", "result"):
                print(line, end="", file=sys.stderr, flush=True)
                found.append(json.loads(value))
    if process.returncode:
        print(f"{script} ended with {process.returncode}", file=sys.stderr)
    return found


def main() -> None:
    """Measure every variant, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peer", required=True, help="interpreter of the peer's environment")
    parser.add_argument("--shape", default="bert-base", choices=list(cases.SHAPES))
    parser.add_argument("--batches", type=int, default=40)
    options = parser.parse_args()
    common = {name: getattr(options, name) for name in ("shape", "batches")}
    peer_variants = [
        (name, is_compiled, size)
        for name, is_compiled in (("PyTorch", False), ("PyTorch, torch.compile", True))
        for size in SIZES
    ]
    device, *found = measured(
        options.peer, "peer/speed_gpu_torch.py", {**common, "variants": peer_variants}
    )
    for is_deterministic in (False, True):
        variants = [(*each, size) for each in (PLAIN, RARE) for size in SIZES]
        variants += [(*XLA, size) for size in SIZES[: 1 if is_deterministic else 2]]
        ours = {**common, "deterministic": is_deterministic, "variants": variants}
        own_device, *results = measured(sys.executable, "speed_gpu_ours.py", ours)
        for each in results:
            each["name"] += ", deterministic" if is_deterministic else ""
        found += results
    write(options.out, options.shape, {**own_device, **device}, found)


def write(out: Path, shape: str, device: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Print and write the table."""
    columns = ["batch", "variant", "tokens/s", "ms a step", "ratio to the better PyTorch"]
    lines = [
        f"{device['device']}, {shape}, bfloat16;"
        f" matrix products at {device['rate'] / 1e12:,.0f} TFLOP/s",
        "",
        f"| {' | '.join(columns)} | share of the matrix rate |",
        f"|{'---|' * (len(columns) + 1)}",
    ]
    for size in SIZES:
        of_size = [each for each in found if each["batch"] == size]
        walls = {each["name"]: statistics.median(each["walls"]) for each in of_size}
        speeds = {each["name"]: each["tokens"] / walls[each["name"]] for each in of_size}
        best = max(speed for name, speed in speeds.items() if name.startswith("PyTorch"))
        for each in of_size:
            speed = speeds[each["name"]]
            step = 1000 * walls[each["name"]] / each["steps"]
            share = speed * operations_a_token(shape) / device["rate"]
            ratio = f"{step:.1f} | {speed / best:.2f} | {share:.0%}"
            lines.append(f"| {size} | {each['name']} | {speed:,.0f} | {ratio} |")
    out.mkdir(parents=True, exist_ok=True)
    (out / "speed_gpu.md").write_text("\n".join(lines) + "\n")
    (out / "speed_gpu.json").write_text(json.dumps([device, *found], indent=1))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
