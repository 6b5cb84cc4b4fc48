"""``doctor``: what a machine lacks is named with its remedy."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path

import pytest

from xferlab.checks import installation
from xferlab.checks.installation import State, check_installation
from xferlab.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def found(subject: str) -> installation.Finding:
    quick = (each for each in check_installation() if each.subject == subject)
    return next(quick)


@pytest.mark.slow
def test_a_whole_examination(capsys, tmp_path):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("training   ok      an epoch of the bundled model in ")
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_fails_is_a_failure(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    finding = installation._check_training()
    assert finding.state is State.failed
    assert "the Keras backend is jax" in finding.text


def test_a_folder_that_cannot_be_written_to(monkeypatch, tmp_path):
    assert found("cache").state is State.ok
    monkeypatch.setenv("XFERLAB_CACHE", "/proc/self/fd/none")
    finding = found("cache")
    assert finding.state is State.failed
    assert "XFERLAB_CACHE" in finding.fix
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home_folder(monkeypatch):
    def expanduser(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XFERLAB_CACHE", raising=False)
    monkeypatch.setattr(Path, "expanduser", expanduser)
    assert found("cache").text == "none: this user has no home folder"


def test_a_package_that_is_missing(monkeypatch):
    version = installation._version
    monkeypatch.setattr(
        installation, "_version", lambda name: None if name == "scipy" else version(name)
    )
    finding = found("packages")
    assert finding.state is State.failed
    assert finding.text == "not installed: scipy"


def test_an_extra_of_an_extra_is_needed_too(monkeypatch):
    """``cuda`` is ``tensorflow[and-cuda]``: tensorflow alone is not it."""
    names = {name for name, extra in installation._requirements() if extra == "cuda"}
    assert "tensorflow" in names
    assert "nvidia-cudnn-cu12" in names
    monkeypatch.setattr(installation, "_version", lambda name: "1" if name != "mlflow" else None)
    assert "cuda" in found("extras").text
    monkeypatch.setattr(
        installation, "_version", lambda name: None if name.startswith("nvidia") else "1"
    )
    assert "cuda" not in found("extras").text
    assert "xferlab[cuda]" in found("extras").fix


class Answers(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(503)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_the_hub_is_asked(monkeypatch):
    from huggingface_hub import constants

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        assert "offline" in installation._check_hub().text
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        assert installation._check_hub().text.startswith(f"{address} answers")
        server.shutdown()
    finding = installation._check_hub()
    assert finding.state is State.note
    assert "cannot be reached" in finding.text


@pytest.mark.parametrize(
    ("devices", "visible", "fix"),
    [
        ({"gpus": ["A"], "has_cuda": True}, None, ""),
        (
            {"gpus": [], "has_cuda": False},
            None,
            "a TensorFlow with CUDA: pip install 'xferlab[cuda]'",
        ),
        ({"gpus": [], "has_cuda": True}, None, "the CUDA libraries"),
        ({"gpus": [], "has_cuda": True}, "", "unset CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_gpu_that_is_not_used(monkeypatch, tmp_path, devices, visible, fix):
    """The driver's program and TensorFlow's answer are written here: there may be no GPU."""
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'NVIDIA H200'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(installation, "_run", lambda command: (json.dumps(devices), ""))
    finding = installation._check_devices()
    assert finding.state is (State.failed if fix else State.ok)
    assert fix in finding.fix


def test_an_argument_is_refused(capsys):
    assert main(["doctor", "loss=focal"]) == 2
    assert "doctor has no arguments" in capsys.readouterr().err
