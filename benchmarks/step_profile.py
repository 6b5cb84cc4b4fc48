"""Where the time of a training step goes: TensorFlow's own trace, summed by kind of operation.

    python benchmarks/step_profile.py [--shape minilm] [--precision fp32] [--steps 5]

One thread, batches of ``speed_cases.py``. Prints milliseconds a step and shares as Markdown.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import speed_cases as cases
import speed_ours as ours

KINDS = {  # the first pattern that is found in the operation's type decides
    "matrix products": r"MatMul|Einsum",
    "Adam and weight decay": r"ResourceApplyAdam|AssignSub|AssignAdd",
    "gradient of the embeddings, clipping": r"UnsortedSegment|Gather|Unique|L2Loss",
    "dropout": r"StatelessRandom|Bitcast|GreaterEqual|Select",
    "softmax": r"Softmax",
    "GELU": r"Erf|Exp|Gelu",
    "transposes": r"Transpose",
    "biases": r"BiasAdd",
    "casts": r"Cast",
    "normalisation, residuals, other elementwise": r"Mul|Add|Sub|Mean|Sum|Square|Rsqrt|Tanh|Fused",
}


def traced_operations(folder: Path) -> Counter[str]:
    """Return picoseconds by type of operation, of the trace that is in a folder."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = folder.rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    found: Counter[str] = Counter()
    for plane in space.planes:
        if not plane.name.startswith("/host:CPU"):
            continue
        names = {key: value.name for key, value in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                kind = re.fullmatch(r"[^:]+:(\w+)", names[event.metadata_id].split("#")[0])
                if kind:
                    found[kind[1]] += event.duration_ps
    return found


def grouped(found: Counter[str]) -> Counter[str]:
    """Return the sums by the names of :data:`KINDS`."""
    sums: Counter[str] = Counter()
    for operation, duration in found.items():
        kinds = (name for name, pattern in KINDS.items() if re.search(pattern, operation))
        sums[next(kinds, "the rest")] += duration
    return sums


def main() -> None:
    """Trace, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="minilm", choices=list(cases.SHAPES))
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    ours.start(threads=1)
    import tensorflow as tf

    model: Any = ours.network(options.shape, options.precision)
    made = ours.batches("short", 1, options.steps, is_training=True)
    ours.train(model, made)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        ours.train(model, made)
        tf.profiler.experimental.stop()
        sums = grouped(traced_operations(Path(folder)))
    total = sum(sums.values())
    print(f"{options.shape}, {options.precision}, {total / options.steps / 1e9:.0f} ms a step\n")
    print("| component | ms a step | share |\n|---|---|---|")
    for name, duration in sums.most_common():
        print(f"| {name} | {duration / options.steps / 1e9:.1f} | {duration / total:.1%} |")


if __name__ == "__main__":
    main()
