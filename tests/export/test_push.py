"""An export is sent to a Hub on loopback by the real client: rights, what is there, a lost line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hub_server import HubServer

PUSH = """
import sys
from pathlib import Path
from huggingface_hub.utils import _http
from xferlab.errors import XferlabError
from xferlab.export.push import Destination
_http.time.sleep = lambda seconds: None  # between attempts
destination = Destination(sys.argv[1], force="force" in sys.argv)
try:
    destination.check()
    print(destination.push(Path(sys.argv[2])))
except XferlabError as e:
    print(e)
    sys.exit(e.exit_code)
"""


@pytest.fixture
def hub(tmp_path):
    root = tmp_path / "hub"
    (root / "models").mkdir(parents=True)
    with HubServer(root) as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    """Return a small export."""
    folder = tmp_path / "export"
    (folder / "more").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "README.md").write_text('---\nlibrary_name: transformers\n---\nload("FOLDER")\n')
    (folder / "more/config.json").write_text("{}")
    return folder


def push(hub, folder, *words, repo="me/mine", **env) -> tuple[int, str]:
    environment = hub.environment(folder.parent / "home", HF_TOKEN=hub.token)
    done = subprocess.run(
        [sys.executable, "-c", PUSH, repo, str(folder), *words],
        env=os.environ | environment | env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_new_repository_has_the_files_and_is_not_overwritten(hub, folder):
    code, printed = push(hub, folder)
    assert code == 0, printed
    assert printed.strip().startswith(f"{hub.url}/me/mine/commit/")
    there = content(hub.root / "models/me/mine")
    there.pop(".gitattributes")
    assert b'load("me/mine")' in there.pop("README.md")
    (here := content(folder)).pop("README.md")
    assert there == here

    (folder / "more/config.json").write_text("[]")
    code, printed = push(hub, folder)
    assert code == 2
    assert "me/mine has 3 files already, such as README.md" in printed
    assert push(hub, folder, "force")[0] == 0
    assert (hub.root / "models/me/mine/more/config.json").read_text() == "[]"


def test_an_upload_that_breaks_off_is_continued(hub, folder):
    (folder / "other.safetensors").write_bytes(b"second" * 1000)
    hub.mode = "upload_broken"
    code, printed = push(hub, folder)
    assert code == 1
    assert "the same command continues: what the Hub has is not sent again" in printed
    sent = folder / "other.safetensors"
    digest = hashlib.sha256(sent.read_bytes()).hexdigest()
    (hub.root / "lfs").mkdir()
    (hub.root / "lfs" / digest).write_bytes(sent.read_bytes())  # of the broken attempt
    hub.mode = "good"
    code, printed = push(hub, folder)
    assert code == 0, printed
    assert digest not in hub.uploads
    assert len(hub.uploads) == 1
    assert (hub.root / "models/me/mine/other.safetensors").read_bytes() == sent.read_bytes()


REFUSED = {
    "no token": ({"HF_TOKEN": ""}, "good", "there is no token of the Hub"),
    "no network": ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "good", "the connection is lost"),
    "a wrong token": ({"HF_TOKEN": "hf_wrong"}, "good", "the Hub answered 401"),
    "offline": ({"HF_HUB_OFFLINE": "1"}, "good", "HF_HUB_OFFLINE is set"),
}


@pytest.mark.parametrize(("env", "mode", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_sent_is_refused_before_anything_is_written(hub, folder, env, mode, message):
    hub.mode = mode
    code, printed = push(hub, folder, **env)
    assert code == 2, printed
    assert message in printed
    assert not (hub.root / "models/me").exists()


def test_a_token_that_may_not_write_and_a_name_that_is_none(hub, folder):
    hub.mode = "read_only"
    code, printed = push(hub, folder)
    assert code == 1
    assert "the Hub answered 403: the token may not do that" in printed
    assert "is no name of a repository" in push(hub, folder, repo="mine")[1]
