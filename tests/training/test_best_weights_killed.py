"""A run that is killed after it has replaced the file of the best weights."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

RUN = Path("outputs/run")
ROOT = Path(__file__).parents[2]
ATTEMPT = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.support.torture import die_after_best
if int(sys.argv[2]):
    die_after_best(int(sys.argv[2]))
from xferlab.cli.main import main
sys.exit(main(sys.argv[3:]))
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


def attempt(folder: Path, planned: str, overrides: list[str], killed_after: int = 0) -> int:
    """Train in a process of its own; it is killed once it has replaced so many best files."""
    (folder / "plugins" / "metric").mkdir(parents=True, exist_ok=True)
    (folder / "plugins" / "metric" / "planned.py").write_text(PLANNED)
    (folder / "scores.txt").write_text(planned)
    command = [sys.executable, "-c", ATTEMPT, str(ROOT), str(killed_after), *TINY, *overrides]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode


def test_best_weights_of_a_killed_attempt_are_not_those_of_the_run(tmp_path):
    """A longer plan trains epoch 2 again, otherwise, and it is no longer the best."""
    new = f"hydra.run.dir={RUN}"
    code = attempt(tmp_path, "1 2 3", ["train.epochs=3", new], killed_after=2)
    assert code == -signal.SIGKILL
    best = tmp_path / RUN / "checkpoints" / "best.safetensors"
    killed = best.read_bytes()

    longer = ["train.epochs=10", f"--recover={RUN}"]
    assert attempt(tmp_path, "0.5 0.4 0.3", longer) == 0

    metrics = json.loads((tmp_path / RUN / "metrics.json").read_text())
    assert metrics["best"] == {"monitor": "val_planned", "value": 1.0, "epoch": 1}
    assert best.read_bytes() != killed
    assert best.read_bytes() == (tmp_path / "first.safetensors").read_bytes()
