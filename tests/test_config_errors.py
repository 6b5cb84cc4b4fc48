"""Each mistake a user can type, and the exact remedy it must print."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xferlab.cli import main

MISTAKES = {
    "loss=cros_entropy": "did you mean 'cross_entropy'?",
    "lss=cross_entropy": "did you mean 'loss'?",
    "train.epoch=3": "did you mean 'epochs'?",
    "trainer.max_epochs=3": "xferlab's word for it is train.epochs",
    "learning_rate=3e-5": "xferlab's word for it is optimizer.lr",
    "optimizer.learning_rate=3e-5": "xferlab's word for it is optimizer.lr",
    "data.batch_size=8": "xferlab's word for it is train.batch_size",
    "loss.label_smothing=0.1": "did you mean 'label_smoothing'?",
    "optimizer.lr=high": "optimizer.lr",
    "train.epochs=0": "epochs must be at least 1, got 0",
    "train.epochs=2.5": "train.epochs",
    "train.precision=float8": "train.precision",
    "train.monitor=val_f2": "nothing logged is called 'val_f2'",
    "seed=-1": "seed must be a whole number from 0 up",
    "experiment=nothing": "there is no experiment named 'nothing'",
    "optimizer.lr=1e-5,3e-5": "add -m to run one job a value",
    "-m optimizer.lr=1e-5,0.00001": "two jobs are one experiment",
    "-m optimizer.lr=1e-5,high": "optimizer.lr",
    "-m optimizer.lr=interval(1e-5,1e-4)": "list the values",
    "focal": "cannot be read as key=value",
    "+loss._target_=os.system": "'_target_' is not allowed",
    "+hydra.callbacks.x._target_=builtins.print": "'_target_' is not allowed",
    "--experimental-rerun=x": "there is no flag --experimental-rerun=x",
    "--cfgg job": "did you mean '--cfg'?",
    "describe lss=focal": "did you mean 'loss'?",
    "list losses": "did you mean 'loss'?",
}


@pytest.mark.parametrize(("typed", "remedy"), MISTAKES.items(), ids=MISTAKES)
def test_mistake_exits_2_and_names_the_remedy(typed, remedy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main(typed.split())
    told = capsys.readouterr().err
    assert code == 2
    assert remedy in told
    assert len(told.splitlines()) <= 3
    assert not (tmp_path / "outputs").exists()


def test_a_mistake_in_a_fresh_process_shows_no_traceback(tmp_path):
    out = subprocess.run(
        [sys.executable, "-m", "xferlab", "loss=focl"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert out.returncode == 2
    assert "Traceback" not in out.stderr
    assert out.stderr.startswith(" error: there is no loss named 'focl'")


def test_debug_shows_the_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", "loss=focl", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_preset_that_takes_a_plugins_name_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    preset = tmp_path / "conf" / "loss" / "cross_entropy.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("label_smoothing: 0.1\n")
    assert main(["check"]) == 2
    assert "rename the file and begin it with  defaults: [cross_entropy]" in capsys.readouterr().err
