"""The callback of the docs in real runs: swept, killed by an error, corrected, resumed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from xferlab.cli.main import main
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins

PAGE = Path(__file__).parents[2] / "docs/callbacks.md"
SOURCE = re.search(r"\$ cat plugins/callback/loss_mean.py\n(.*?)\$ python", PAGE.read_text(), re.S)[
    1
]
RUN = [
    "model=bag_of_embeddings",
    "model.width=8",
    "debug=tiny",
    "optimizer.lr=1e-3",
    "train.epochs=3",
    "train.checkpoint_every=1",
    "callback=[csv_steps,loss_mean]",
]


@pytest.fixture(scope="module", autouse=True)
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    (folder / "plugins/callback").mkdir(parents=True)
    faulty = SOURCE.replace(
        "    def on_step(self, step):\n",
        "    def on_step(self, step):\n        if Path('fault').exists(): 1 / (step.update < 5)\n",
    )
    text = f"from pathlib import Path\n{faulty}"
    (folder / "plugins/callback/loss_mean.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        load_plugins(folder)
        publish(folder)
        yield folder


def lines(run: Path, start: str) -> list[str]:
    """Return the lines of a run's log that begin with a word, without their times."""
    found = [line.split(" INFO ", 1)[-1] for line in (run / "train.log").read_text().splitlines()]
    return [line for line in found if line.startswith(start)]


@pytest.fixture(scope="module")
def whole(workspace) -> Path:
    assert main([*RUN, "hydra.run.dir=whole"]) == 0
    return workspace / "whole"


def test_it_runs_and_tensorboard_is_off(whole):
    assert len(lines(whole, "loss mean")) == 3
    assert not (whole / "tensorboard").exists()


def test_an_error_in_it_ends_the_run_and_the_corrected_file_resumes_it(whole, workspace, capsys):
    fault = workspace / "fault"
    fault.touch()
    assert main([*RUN, "hydra.run.dir=part"]) == 2
    fault.unlink()
    part = workspace / "part"
    status = json.loads((part / "status.json").read_text())
    assert status["status"] == "failed"
    error = capsys.readouterr().err
    file = workspace / "plugins/callback/loss_mean.py"
    number = 1 + next(i for i, t in enumerate(file.read_text().splitlines()) if "fault" in t)
    assert " error: callback=loss_mean fails in on_step: ZeroDivisionError: " in error
    assert f" where: {file}:{number}\n" in error
    assert list((part / "checkpoints").glob("step-*"))
    file.write_text(file.read_text() + "# corrected\n")
    assert main([*RUN, "hydra.run.dir=part", "--recover"]) == 0
    assert (part / "steps.csv").read_bytes() == (whole / "steps.csv").read_bytes()
    assert lines(part, "loss mean") == lines(whole, "loss mean")
    for name in ("best", "last"):
        path = f"checkpoints/{name}.safetensors"
        assert (part / path).read_bytes() == (whole / path).read_bytes()


def test_it_is_swept(workspace, capsys):
    sweep = ["-m", *RUN, "callback.loss_mean.decay=0,0.5", "hydra.sweep.dir=sweep", "--dry-run"]
    assert main(sweep) == 0
    assert "callback.loss_mean.decay=0.5" in capsys.readouterr().out
