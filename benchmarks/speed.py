"""The speed of a training step and of prediction beside PyTorch, interleaved in one run.

    python benchmarks/speed.py OUT --peer PYTHON [--threads 1] [--rounds 5] [--only minilm]
                               [--keras-hub PYTHON]

``PYTHON`` is the interpreter of the peers' environment (benchmarks/peer/README.md). The sides are
processes that stay alive; each round asks all of them for the same cases in turn. Rates count real
tokens, padding left out. Start-up and memory are of processes of their own: the first two steps,
and three of one batch of long texts.
Writes ``speed.json``, ``speed.md`` and ``speed.png`` into OUT.
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
BATCHES = {"minilm": 24, "distilbert": 4, "bert-base": 3}
LONG_BATCHES = 2
PRECISIONS = ("fp32", "bf16")
RATED = ("xferlab", "PyTorch")
"""The sides whose matrix products are measured."""
START = "train minilm short fp32"
"""What the processes whose start-up is measured do."""
MEMORY_STEPS = 3


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


def cases_of(only: list[str], with_keras_hub: bool = False) -> list[tuple[str, list[str]]]:
    """Return the cases of ours, and beside each the peers' that it is compared with."""
    cases = []
    for shape, texts in TEXTS.items():
        for text in texts if shape in only else ():
            is_smallest = shape == "minilm" and text == "short"
            for precision in PRECISIONS:
                end = f"{shape} {text} {precision}"
                peers = [f"PyTorch train {end}"]
                others = [f"PyTorch predict {end}"]
                if is_smallest:
                    peers.append(f"PyTorch train-random {end}")
                if precision == "fp32":
                    others.append(f"onnxruntime predict {end}")
                if is_smallest and with_keras_hub:
                    peers.append(f"keras-hub train {end}")
                    others.append(f"keras-hub predict {end}")
                cases += [(f"train {end}", peers), (f"predict {end}", others)]
    return cases


def measure(sides: dict[str, Side], cases: list[Any], rounds: int) -> dict[str, list[Any]]:
    """Return every round's measurements by side and case; the first round warms up."""
    found: dict[str, list[Any]] = {}
    for number in range(rounds + 1):
        for case, peers in cases:
            _, shape, texts, _ = case.split()
            count = BATCHES[shape] if number and texts == "short" else LONG_BATCHES
            for each in (f"xferlab {case}", *peers):
                side, _, request = each.partition(" ")
                result = sides[side].ask(request, number, count)
                if number:
                    found.setdefault(each, []).append(result)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return found


def start_up(commands: dict[str, list[str]], rounds: int) -> dict[str, list[Any]]:
    """Return what a new process of each side that trains needs for its first steps."""
    found: dict[str, list[Any]] = {name: [] for name in commands if name != "onnxruntime"}
    for number in range(rounds):
        for name, results in found.items():
            side = Side(commands[name])
            results.append(side.ask(START, number, 2))
            side.close()
    return found


def memory(commands: dict[str, list[str]], shapes: list[str]) -> dict[str, Any]:
    """Return the memory of new processes that train on the same batch, by shape and side."""
    found = {}
    for case in (f"memory {shape} {precision}" for shape in shapes for precision in PRECISIONS):
        for name in RATED:
            side = Side(commands[name])
            found[f"{name} {case}"] = side.ask(case, 0, MEMORY_STEPS)
            side.close()
    return found


def memory_table(found: dict[str, Any]) -> list[str]:
    """Return the rows of the table of memory: MiB at the peak, and without pages of files."""
    rows = [
        "| three steps, MiB | xferlab | PyTorch | ratio | private, xferlab | PyTorch | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(key.partition(" ")[2] for key in found):
        cells = [case.removeprefix("memory ")]
        for kind in ("peak", "private"):
            ours, theirs = (found[f"{name} {case}"][kind] for name in RATED)
            cells += [f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.2f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def speeds(measured: list[dict[str, float]], clock: str) -> list[float]:
    """Return real tokens a second of each round."""
    return [each["tokens"] / each[clock] for each in measured]


def table(found: dict[str, list[Any]], cases: list[Any]) -> list[str]:
    """Return the rows of the table: tokens a second of both sides and their ratio."""
    rows = [
        "| peer and case | xferlab | peer | ratio (least to most) | wall ratio |",
        "|---|---|---|---|---|",
    ]
    middle = statistics.median
    for case, peers in cases:
        ours = found[f"xferlab {case}"]
        for each in peers:
            theirs = found[each]
            by_round = ratios(ours, theirs, "processor")
            rows.append(
                f"| {each} | {middle(speeds(ours, 'processor')):,.0f}"
                f" | {middle(speeds(theirs, 'processor')):,.0f}"
                f" | {middle(by_round):.2f} ({min(by_round):.2f} to {max(by_round):.2f})"
                f" | {middle(ratios(ours, theirs, 'wall')):.2f} |"
            )
    return rows


def ratios(ours: list[Any], theirs: list[Any], clock: str) -> list[float]:
    """Return how many times as fast ours was, for each round."""
    pairs = zip(speeds(ours, clock), speeds(theirs, clock), strict=True)
    return [one / other for one, other in pairs]


def start_up_table(found: dict[str, list[Any]]) -> list[str]:
    """Return the rows of the table of start-up."""
    rows = [
        f"| new process, two steps of {START} | processor s |",
        "|---|---|",
    ]
    for name, results in found.items():
        seconds = statistics.median(each["since start"] for each in results)
        rows.append(f"| {name} | {seconds:.1f} |")
    return rows


def draw(found: dict[str, list[Any]], cases: list[Any], path: Path) -> None:
    """Draw the ratio of every case, with the range of its rounds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [(each, f"xferlab {case}") for case, peers in cases for each in peers][::-1]
    figure, axes = pyplot.subplots(figsize=(8, 0.32 * len(rows) + 1.2))
    for height, (each, case) in enumerate(rows):
        by_round = ratios(found[case], found[each], "processor")
        colour = "tab:blue" if "fp32" in each else "tab:orange"
        axes.plot([min(by_round), max(by_round)], [height, height], color=colour)
        axes.plot(statistics.median(by_round), height, "o", color=colour)
    axes.axvline(1, color="grey", linewidth=1)
    axes.set_yticks(range(len(rows)), [each for each, _ in rows])
    axes.set_xlabel("xferlab's tokens a processor second, as a multiple of the peer's")
    axes.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peer", required=True, help="interpreter of the peer's environment")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(TEXTS), choices=list(TEXTS))
    parser.add_argument("--keras-hub", help="interpreter of an environment with keras-hub")
    options = parser.parse_args()
    threads = str(options.threads)
    commands = {
        "xferlab": [sys.executable, "speed_ours.py", threads],
        "PyTorch": [options.peer, "peer/speed_torch.py", threads],
        "onnxruntime": [options.peer, "peer/speed_onnx.py", threads],
    }
    if options.keras_hub:
        commands["keras-hub"] = [options.keras_hub, "peer/speed_keras_hub.py", threads]
    remembered = memory(commands, options.only)
    print(*memory_table(remembered), sep="\n", file=sys.stderr, flush=True)
    started = start_up(commands, min(3, options.rounds))
    sides = {name: Side(command) for name, command in commands.items()}
    cases = cases_of(options.only, bool(options.keras_hub))
    found = measure(sides, cases, options.rounds)
    rates = {
        precision: [sides[name].ask(f"rate {precision}", 0, 0)["rate"] for name in RATED]
        for precision in PRECISIONS
    }
    for side in sides.values():
        side.close()
    lines = [
        f"{platform.processor() or platform.machine()}, {threads} thread(s) a side, batch 32,"
        f" {options.rounds} rounds; medians of real tokens a processor second.",
        "Matrix product 768 x 384 x 1536, GFLOP/s: "
        + "; ".join(f"{name} {a:.0f} here, {b:.0f} PyTorch" for name, (a, b) in rates.items()),
        "",
        *table(found, cases),
        "",
        *start_up_table(started),
        "",
        *memory_table(remembered),
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "speed.md").write_text("\n".join(lines) + "\n")
    results = {"rates": rates, "start-up": started, "memory": remembered, "measured": found}
    (options.out / "speed.json").write_text(json.dumps(results))
    draw(found, cases, options.out / "speed.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
