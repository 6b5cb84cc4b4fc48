"""The speed of a training step and of prediction beside PyTorch, interleaved in one run.

    python benchmarks/speed.py OUT --peer PYTHON [--threads 1] [--rounds 5] [--only minilm]

``PYTHON`` is the interpreter of the peer's environment (benchmarks/peer/README.md). Both sides are
processes that stay alive; each round asks both for the same cases in turn. Rates count real
tokens, padding left out. Writes ``speed.json`` and ``speed.md`` into OUT.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TEXTS = {"minilm": ("short", "long"), "distilbert": ("short",), "bert-base": ("short",)}
BATCHES = {"minilm": 8, "distilbert": 4, "bert-base": 3}
LONG_BATCHES = 2


class Side:
    """A process that answers requests.

    Args:
        command: starts it.
    """

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE
        )
        self._read()

    def ask(self, case: str, seed: int, count: int) -> dict[str, Any]:
        """Return what the process measured."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([case, seed, count]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._read())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("result "):
                return line.removeprefix("result ").strip()
        raise SystemExit("a side of the comparison has ended; its error is above")


def cases_of(only: list[str]) -> list[tuple[str, list[str]]]:
    """Return the cases of ours, and beside each those of the peer that it is compared with."""
    cases = []
    for shape, texts in TEXTS.items():
        for text in texts if shape in only else ():
            for precision in ("fp32", "bf16"):
                end = f"{shape} {text} {precision}"
                peers = [f"train {end}"]
                if shape == "minilm" and text == "short":
                    peers.append(f"train-random {end}")
                cases.append((f"train {end}", peers))
                cases.append((f"predict {end}", [f"predict {end}"]))
    return cases


def measure(ours: Side, peer: Side, cases: list[Any], rounds: int) -> dict[str, list[Any]]:
    """Return every round's measurements by side and case; the first round warms up."""
    found: dict[str, list[Any]] = {}
    for number in range(rounds + 1):
        for case, peers in cases:
            _, shape, texts, _ = case.split()
            count = BATCHES[shape] if number and texts == "short" else LONG_BATCHES
            pairs = [(ours, "ours", case), *((peer, "peer", each) for each in peers)]
            for side, name, each in pairs:
                result = side.ask(each, number, count)
                if number:
                    found.setdefault(f"{name} {each}", []).append(result)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return found


def speeds(measured: list[dict[str, float]], clock: str) -> list[float]:
    """Return real tokens a second of each round."""
    return [each["tokens"] / each[clock] for each in measured]


def table(found: dict[str, list[Any]], cases: list[Any]) -> list[str]:
    """Return the rows of the table: tokens a second of both sides and their ratio."""
    rows = [
        "| case | xferlab, tokens/s | PyTorch, tokens/s | ratio (least to most) | wall ratio |",
        "|---|---|---|---|---|",
    ]
    for case, peers in cases:
        ours = found[f"ours {case}"]
        for each in peers:
            theirs = found[f"peer {each}"]
            by_round = [
                one / other
                for one, other in zip(
                    speeds(ours, "processor"), speeds(theirs, "processor"), strict=True
                )
            ]
            wall = [
                one / other
                for one, other in zip(speeds(ours, "wall"), speeds(theirs, "wall"), strict=True)
            ]
            middle = statistics.median
            rows.append(
                f"| {each} | {middle(speeds(ours, 'processor')):,.0f}"
                f" | {middle(speeds(theirs, 'processor')):,.0f}"
                f" | {middle(by_round):.2f} ({min(by_round):.2f} to {max(by_round):.2f})"
                f" | {middle(wall):.2f} |"
            )
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peer", required=True, help="interpreter of the peer's environment")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(TEXTS), choices=list(TEXTS))
    options = parser.parse_args()
    threads = str(options.threads)
    ours = Side([sys.executable, "speed_ours.py", threads])
    peer = Side([options.peer, "peer/speed_torch.py", threads])
    cases = cases_of(options.only)
    found = measure(ours, peer, cases, options.rounds)
    rates = {
        precision: [side.ask(f"rate {precision}", 0, 0)["rate"] for side in (ours, peer)]
        for precision in ("fp32", "bf16")
    }
    ours.close()
    peer.close()
    lines = [
        f"{platform.processor() or platform.machine()}, {threads} thread(s) a side, batch 32,"
        f" {options.rounds} rounds; medians of real tokens a processor second.",
        "Matrix product 768 x 384 x 1536, GFLOP/s: "
        + "; ".join(f"{name} {a:.0f} here, {b:.0f} PyTorch" for name, (a, b) in rates.items()),
        "",
        *table(found, cases),
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "speed.md").write_text("\n".join(lines) + "\n")
    (options.out / "speed.json").write_text(json.dumps({"rates": rates, "measured": found}))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
