"""A run that is killed after it has replaced the file of the best weights."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from xferlab.cli.main import main

RUN = Path("outputs/run")
ROOT = Path(__file__).parents[2]
ATTEMPT = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.support.torture import die_after_best
die_after_best(2)
from xferlab.cli.main import main
sys.exit(main(sys.argv[2:]))
"""

PLANNED = """
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from xferlab import OutputKind, LabelKind, Accepts, register


@register("metric", "planned")
@dataclass(frozen=True)
class Planned:
    \"\"\"Gives the validation split's 60 rows the scores that a file plans, one an epoch.

    It also keeps a copy of the best weights of epoch 1, when it scores epoch 2.
    \"\"\"

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits,), labels=(LabelKind.class_index,)
    )
    mode: ClassVar[str] = "max"

    def build(self, spec):
        def score(labels, outputs):
            if len(labels) != 60:
                return float((np.argmax(outputs, -1) == labels).mean())
            best = Path("outputs/run/checkpoints/best.safetensors")
            if best.exists() and not Path("first.safetensors").exists():
                shutil.copy(best, "first.safetensors")
            first, *rest = Path("scores.txt").read_text().split()
            Path("scores.txt").write_text(" ".join(rest))
            return float(first)

        return score
"""


TINY = [
    "debug=tiny",
    "model=bag_of_embeddings",
    "metric=[planned]",
    "optimizer.lr=1e-3",
    "data.limit.validation=60",
]
TINY += ["train.checkpoint_every=12", "train.patience=1"]


def write_plan(scores: str) -> None:
    """Write the metric and what it is to give, in the working directory."""
    path = Path("plugins/metric/planned.py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PLANNED)
    Path("scores.txt").write_text(scores)


def test_best_weights_of_a_killed_attempt_are_not_those_of_the_run(tmp_path, monkeypatch):
    """A longer plan trains epoch 2 again, otherwise, and it is no longer the best."""
    monkeypatch.chdir(tmp_path)
    write_plan("1 2 3")
    start = [sys.executable, "-c", ATTEMPT, str(ROOT)]
    command = [*start, *TINY, "train.epochs=3", f"hydra.run.dir={RUN}"]
    code = subprocess.run(command, capture_output=True).returncode
    assert code == -signal.SIGKILL
    best = RUN / "checkpoints" / "best.safetensors"
    killed = best.read_bytes()

    write_plan("0.5 0.4 0.3")
    assert main([*TINY, "train.epochs=10", f"--recover={RUN}"]) == 0

    metrics = json.loads((RUN / "metrics.json").read_text())
    assert metrics["best"] == {"monitor": "val_planned", "value": 1.0, "epoch": 1}
    assert best.read_bytes() != killed
    assert best.read_bytes() == Path("first.safetensors").read_bytes()
