"""``completion``: what the last word of a command line can become, and the scripts of shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xferlab.cli.completion import SCRIPTS, candidates
from xferlab.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("line", "some", "others"),
    [
        ("xferlab re", ["report"], ["describe", "train."]),
        ("xferlab ", ["check", "loss=", "loss.", "train.", "seed="], ["loss.gamma=", "train="]),
        ("xferlab lo", ["loss=", "loss."], ["report"]),
        ("xferlab check lo", ["loss=", "loss."], ["report"]),
        ("xferlab loss.", ["loss.gamma=", "loss.label_smoothing="], ["loss="]),
        ("xferlab loss=focal loss.", ["loss.gamma="], ["loss.label_smoothing="]),
        ("xferlab model=", ["model=minilm", "model=encoder"], ["model=focal"]),
        ("xferlab -m metric=[f1,ma", ["metric=[f1,macro_f1", "metric=[f1,matthews"], []),
        ("xferlab experiment=", ["experiment=frozen_encoder"], []),
        ("xferlab hydra/launcher=", ["hydra/launcher=ray", "hydra/launcher=local"], []),
        ("xferlab train.precision=", ["train.precision=auto"], ["train.precision=null"]),
        ("xferlab train.restore_best=", ["train.restore_best=null"], []),
        ("xferlab model.pooling=m", ["model.pooling=mean"], ["model.pooling=max"]),
        ("xferlab describe tr", ["train", "train.", "transfer"], ["train="]),
        ("xferlab list la", ["launcher"], []),
        ("xferlab --re", ["--recover"], ["--force"]),
        ("xferlab report ", ["outputs/runs/a", "outputs/sweeps/s"], ["outputs/runs/file"]),
        ("xferlab nothing.like.it", [], ["report"]),
    ],
)
def test_a_word_can_become(line, some, others, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("outputs/runs/a", "outputs/sweeps/s"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "outputs/runs/file").write_text("")
    found = candidates(line)
    assert set(some) <= set(found)
    assert not set(others) & set(found)
    assert all(each.startswith(line.rpartition(" ")[2]) for each in found)


TYPED = {
    "xferlab train.prec": "train.precision=",
    "xferlab transfer=layer_d": "layer_decay",  # in bash, what follows = is a word
    "xferlab describe loss=foc": "focal",
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(tmp_path):
    program = f"""
        xferlab() {{ {sys.executable} -m xferlab "$@"; }}
        eval "$(xferlab completion bash)"
        while read -r COMP_LINE; do
            COMP_POINT=${{#COMP_LINE}}
            _xferlab
            printf '%s\n' "${{COMPREPLY[@]}}"
        done
    """
    done = subprocess.run(
        ["bash", "-c", program],
        input="\n".join(TYPED) + "\n",
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == list(TYPED.values()), done.stderr


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes_and_names_files_where_nothing_else_fits(tmp_path):
    (tmp_path / "trains.csv").touch()
    program = f"""
        function xferlab; {sys.executable} -m xferlab $argv; end
        xferlab completion fish | source
        for line in 'xferlab train.prec' 'xferlab debug=t' 'xferlab data.train=tr'
            complete -C $line
        end
    """
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    expected = ["train.precision=", "debug=tiny", "data.train=trains.csv"]
    assert done.stdout.splitlines() == expected, done.stderr


@pytest.mark.parametrize("shell", SCRIPTS)
def test_each_shell_has_a_script(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "xferlab completion candidates" in capsys.readouterr().out


def test_another_shell_is_refused(capsys):
    assert main(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err
