"""``run again``: a finished run is trained anew, and what differs is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from xferlab.cli.main import main
from xferlab.errors import ConfigError
from xferlab.runs.repetition import compare_runs

SMALL = ["model=bag_of_embeddings", "model.width=8", "train.epochs=2", "data=files"]
ROWS = [("a good film", "yes"), ("a bad film", "no"), ("fine and good", "yes"), ("poor", "no")] * 8


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with a finished run and its data."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lines = [f"{text} {number},{label}" for number, (text, label) in enumerate(ROWS)]
        Path("rows.csv").write_text("\n".join(["text,label", *lines]) + "\n")
        assert main([*SMALL, "data.train=rows.csv", "hydra.run.dir=outputs/runs/one"]) == 0
    return folder


@pytest.fixture
def run(home, tmp_path, monkeypatch):
    """Work in a copy of that folder and return the run."""
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("outputs/runs/one")


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_run_has_the_same_bits_again_and_its_folder_is_left_alone(run, capsys):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["run", "again", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "same bits  4 steps, 2 epochs, best weights, last weights, outputs of" in printed
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert list(Path("outputs/runs").glob("*-again-*/metrics.json"))


def test_another_seed_is_named_with_its_first_step_and_the_versions(run, capsys):
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("seed: 0", "seed: 1"))
    record = json.loads((run / "run.json").read_text())
    change(run / "run.json", versions=record["versions"] | {"keras": "2.0"})
    assert main(["run", "again", str(run), "--output", "again"]) == 1
    printed = capsys.readouterr().out
    assert "differs    step 1: the loss is " in printed
    assert f"changed    keras 2.0 -> {record['versions']['keras']}" in printed


def test_the_first_difference_is_the_one_that_is_named(run):
    other = Path("other")

    def difference_after(name: str, edit) -> str:
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(run, other)
        edit(other / name)
        return compare_runs(run, other).difference

    metrics = json.loads((run / "metrics.json").read_text())
    assert difference_after("metrics.json", lambda path: None) == ""
    weights = metrics["sha256"] | {"last.safetensors": "0" * 64}
    assert difference_after("metrics.json", lambda p: change(p, sha256=weights)) == (
        "the last weights"
    )
    rows = (run / "history.csv").read_text().splitlines()
    cells = rows[2].split(",")
    cells[2] = "0.125"
    changed = "\n".join([*rows[:2], ",".join(cells)]) + "\n"
    found = difference_after("history.csv", lambda path: path.write_text(changed))
    assert found.startswith("epoch 2: loss is 0.125 instead of ")


def test_digests_that_are_none_are_named(run, tmp_path):
    shutil.copytree(run, "other")
    change(Path("other/metrics.json"), sha256=5)
    with pytest.raises(ConfigError, match="sha256 is 5, not a table"):
        compare_runs(run, Path("other"))


MISTAKES = {
    "an input has changed": (["one"], "data.train=rows.csv has changed since"),
    "it did not finish": (["one"], "the run is interrupted, not finished"),
    "no folder": (["none"], "there is no such folder"),
    "not empty": (["one", "--output", "."], "the folder is not empty"),
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_repeated_is_refused(run, capsys, words, message):
    if "changed" in message:
        Path("rows.csv").write_text(Path("rows.csv").read_text() + "more,yes\n")
    if "interrupted" in message:
        change(run / "status.json", status="interrupted")
    assert main(["run", "again", f"outputs/runs/{words[0]}", *words[1:]]) == 2
    assert message in capsys.readouterr().err
