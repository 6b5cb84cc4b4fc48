"""Checkpoints of the Hub: the real client against a Hub on loopback, good, slow and broken."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.hub_server import HubServer
from tests.support.pytorch_files import convert_checkpoint
from tests.support.sentence_files import write_sentence_files
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.models.architectures import FAMILIES
from xferlab.models.hub import limit_waits

OFFLINE = "without a network use model=bert (it is bundled), or model.checkpoint=FOLDER"
LATER = f"{OFFLINE}; or run once where the Hub can be reached, and then with HF_HUB_OFFLINE=1"

ASK = """
import io, json, logging, sys
from huggingface_hub import constants
from xferlab.models import hub, hub_transfer
from xferlab.models.checkpoint import resolve
from xferlab.models.text_vector import read_sentence_vector
from xferlab.errors import ConfigError
order = json.loads(sys.argv[1])
log = io.StringIO()
logging.getLogger("xferlab").addHandler(logging.StreamHandler(log))
logging.getLogger("xferlab").setLevel("INFO")
hub.WINDOW_SECONDS = order["window"]
hub_transfer.LARGE = order["large"]
constants.DOWNLOAD_CHUNK_SIZE = min(constants.DOWNLOAD_CHUNK_SIZE, order["large"])
for text in order["texts"]:
    try:
        checkpoint = resolve(text, weights=order["weights"])
        files = sorted(path.name for path in checkpoint.folder.iterdir())
        pooling = str(read_sentence_vector(checkpoint.folder, text))
        more = {"files": files, "log": log.getvalue(), "pooling": pooling}
        print(json.dumps(checkpoint.record() | more))
    except ConfigError as error:
        print(json.dumps(str(error).splitlines()))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    models = root / "models" / "org"
    main = write_tiny_checkpoint(models / "tiny")
    for name in (
        "slow",
        "once",
        "silent",
        "broken",
        "dribble",
        "gated",
        "private",
        "error",
        "huge",
    ):
        shutil.copytree(main, models / name)
    for name in ("pytorch_model.bin", "modeling.py", "README.md", "onnx/model.safetensors"):
        (main / name).parent.mkdir(exist_ok=True)
        (main / name).write_bytes(b"not to be fetched")
    write_sentence_files(write_tiny_checkpoint(models / "tiny@v2", seed=2), normalize=True)
    write_tiny_checkpoint(models / "tiny@refs%2Fpr%2F1", shards=2)
    write_tiny_checkpoint(models / "gpt", model_type="gpt2")
    write_tiny_checkpoint(models / "relative", position_embedding_type="relative_key")
    write_tiny_checkpoint(models / "quantized", quantization_config={"quant_method": "gptq"})
    write_tiny_checkpoint(models / "ids", vocab_size=7)
    (write_tiny_checkpoint(models / "class") / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "AutoProcessor"}'
    )
    convert_checkpoint(write_tiny_checkpoint(models / "pickled"))
    hostile = write_tiny_checkpoint(models / "hostile")
    (hostile / "model.safetensors").rename(hostile / "pytorch_model.bin")
    bare = models / "bare"
    bare.mkdir()
    (bare / "README.md").write_text("nothing here")
    write_datasets(root / "datasets" / "org")
    with HubServer(root) as server:
        yield server


def write_datasets(folder: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    for name in ("csv", "jsonl", "parquet"):
        (folder / name / "data").mkdir(parents=True)
    (folder / "csv" / "train.csv").write_text("text,label\ngood,1\nbad,0\n")
    (folder / "csv" / "test.csv").write_text("text,label\nfine,1\n")
    (folder / "jsonl" / "train.jsonl").write_text('{"text": "good", "label": 1}\n' * 2)
    table = pyarrow.table({"text": ["good", "bad"], "label": [1, 0]})
    pyarrow.parquet.write_table(table, folder / "parquet" / "data" / "train-00000-of-00001.parquet")


def start(hub, home, texts, weights=True, window=30.0, large=10**7, **env) -> subprocess.Popen:
    """Start a process that resolves checkpoints."""
    hub.requests = []
    order = {"texts": texts, "weights": weights, "window": window, "large": large}
    return subprocess.Popen(
        [sys.executable, "-c", ASK, json.dumps(order)],
        env=os.environ | hub.environment(home) | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def resolve_all(hub, home, texts, **more) -> list:
    """Return the records or the three lines of checkpoints, resolved in a new process."""
    with start(hub, home, texts, **more) as process:
        printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture
def ask(hub, tmp_path):
    """Resolve checkpoints in a new process, by default with an empty cache."""

    def answers(*texts, mode="good", home=tmp_path / "home", **more):
        hub.mode = mode
        try:
            return resolve_all(hub, home, texts, **more)
        finally:
            hub.mode = "good"

    return answers


def fetched(hub) -> set[str]:
    return {row.rpartition("/")[2] for row in hub.requests if row.startswith("GET /org/")}


# --- a good Hub ----------------------------------------------------------------------------------


def test_only_configuration_safetensors_and_tokenizer_are_fetched(hub, ask):
    (record,) = ask("org/tiny")
    needed = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert record["files"] == [*needed, "vocab.txt"]
    assert fetched(hub) == {*needed, "vocab.txt"}
    assert (record["source"], record["revision"]) == ("org/tiny", hub.commit("models", "org/tiny"))


def test_a_request_is_no_line_of_the_log():
    limit_waits()
    assert not logging.getLogger("httpx2").isEnabledFor(logging.INFO)


def test_without_weights_none_are_fetched(hub, ask):
    (record,) = ask("org/tiny", weights=False)
    assert "model.safetensors" not in fetched(hub)
    assert (record["architecture"], record["sha256"]) == ("bert", {})


def test_tags_pull_requests_and_commits_are_revisions(hub, ask):
    commit = hub.commit("models", "org/tiny", "v2")
    tag, pull, exact = ask("org/tiny@v2", "org/tiny@refs/pr/1", f"org/tiny@{commit}")
    assert tag["revision"] == exact["revision"] == commit
    assert tag["pooling"] == "the mean of all tokens, normalised"
    assert pull["revision"] == hub.commit("models", "org/tiny", "refs/pr/1")
    assert len(pull["sha256"]) == 2


def test_a_full_cache_serves_when_the_hub_does_not(hub, ask):
    (first,) = ask("org/tiny")
    assert ask("org/tiny", HF_HUB_OFFLINE="1") == [first]
    assert hub.requests == []
    assert ask("org/tiny", mode="error") == [first]


def test_a_slow_hub_and_a_lost_connection_are_waited_for(hub, ask):
    hub.modes["org/slow"] = "slow"
    hub.modes["org/once"] = "broken_once"
    slow, once = ask("org/slow", "org/once")
    assert slow["revision"] == hub.commit("models", "org/slow")
    assert once["revision"] == hub.commit("models", "org/once")
    assert "org/once" not in hub.modes  # it was cut off, and only once


def test_weights_of_pytorch_are_fetched_where_there_are_no_safetensors(hub, ask):
    hub.conversions["org/pickled"] = [4]
    (record,) = ask("org/pickled")
    assert list(record["sha256"]) == ["pytorch_model.bin"]
    assert "org/pickled@refs/pr/4" in record["log"]
    (again,) = ask("org/pickled", HF_HUB_OFFLINE="1")
    assert again["sha256"] == record["sha256"]


def test_a_killed_download_is_continued_and_a_damaged_part_is_not_used(hub, tmp_path):
    home = tmp_path / "home"
    hub.modes["org/slow"] = "slow"
    sha256 = hashlib.sha256((hub.root / "models/org/once/model.safetensors").read_bytes())
    part = f"hub/models--org--slow/blobs/{sha256.hexdigest()}.incomplete"
    with start(hub, home, ["org/slow"], large=1000) as process:
        while not size_of(home / part):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.kill()
    size = size_of(home / part)
    other = home / "hub" / "models--org--once" / "blobs" / f"{sha256.hexdigest()}.incomplete"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"not what it should be")
    hub.modes = {}
    hub.ranges = {}
    slow, once = resolve_all(hub, home, ["org/slow", "org/once"], large=1000)
    assert hub.ranges["model.safetensors"] == [f"bytes={size}-", "bytes=21-"]
    assert "model.safetensors: continued after" in slow["log"]
    weights = [row for row in hub.requests if row.startswith("GET") and "safetensors" in row]
    assert f"/resolve/{slow['revision']}/" in weights[0]  # of the commit, not of the branch
    assert slow["sha256"] == once["sha256"] == {"model.safetensors": sha256.hexdigest()}
    assert not list(home.glob("hub/*/blobs/*.incomplete"))


def size_of(path: Path) -> int:
    """Return the size of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


# --- what the Hub refuses, all asked for in one process ------------------------------------------


BEFORE_WEIGHTS = ("gpt", "relative", "quantized", "class", "ids", "huge")
OTHERS = ("hostile", "bare", "nope", "tiny@v9", "missing", "private", "gated", "error")
REFUSED = BEFORE_WEIGHTS + OTHERS


@pytest.fixture(scope="module")
def refused(hub, tmp_path_factory):
    """Return the three lines for each of REFUSED, and ``fetched``: the files asked for."""
    for mode in ("missing", "private", "gated", "error", "huge"):
        hub.modes[f"org/{mode}"] = mode
    texts = [*(f"org/{name}" for name in REFUSED), "nope"]
    lines = dict(zip(texts, resolve_all(hub, tmp_path_factory.mktemp("home"), texts), strict=True))
    return lines | {"fetched": fetched(hub)}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gpt", "the architecture 'gpt2', which cannot be loaded"),
        ("relative", "its position_embedding_type is 'relative_key'"),
        ("quantized", "its weights are quantized"),
        ("class", "names a tokenizer class that is not loaded: 'AutoProcessor'"),
        ("ids", "the checkpoint's table has 7 rows"),
        ("huge", "'org/huge' needs 1000000000.0 GB of disk, and "),
    ],
)
def test_weights_of_what_cannot_be_loaded_are_not_fetched(refused, name, reason):
    assert reason in refused[f"org/{name}"][0]
    assert len(refused[f"org/{name}"]) == 3
    assert "model.safetensors" not in refused["fetched"]


def test_an_architecture_that_cannot_be_loaded(refused):
    assert refused["org/gpt"] == [
        " error: the checkpoint is of the architecture 'gpt2', which cannot be loaded",
        " where: model.checkpoint=org/gpt",
        "   fix: choose a checkpoint of one of these: " + ", ".join(sorted(FAMILIES)),
    ]


def test_weights_of_pytorch_that_cannot_be_read_as_data(refused):
    assert refused["org/hostile"][0].startswith(
        " error: the weights in pytorch_model.bin cannot be read as data: "
    )
    assert (
        "have a converted copy in a pull request: ORG/NAME@refs/pr/N" in refused["org/hostile"][2]
    )


def test_a_repository_that_is_no_checkpoint(refused):
    assert refused["org/bare"] == [
        " error: 'org/bare' has no config.json: it is not a transformers checkpoint",
        " where: model.checkpoint=org/bare",
        "   fix: choose a checkpoint that transformers can load",
    ]


@pytest.mark.parametrize("text", ["org/nope", "nope", "org/missing", "org/private"])
def test_an_unknown_name(refused, text):
    assert refused[text] == [
        f" error: the Hub has no checkpoint '{text}', or it is private",
        f" where: model.checkpoint={text}",
        "   fix: type ORG/NAME as on the Hub's page, like google-bert/bert-base-uncased; "
        "for a private one type 'hf auth login'; for a folder start with ./",
    ]


def test_an_unknown_revision(refused):
    assert refused["org/tiny@v9"] == [
        " error: 'org/tiny' has no revision 'v9'",
        " where: model.checkpoint=org/tiny@v9",
        "   fix: name a branch, a tag or a commit of it, or no revision for the newest",
    ]


def test_a_gated_checkpoint(refused):
    assert refused["org/gated"] == [
        " error: 'org/gated' is gated: the Hub gives it to those who accepted its terms",
        " where: model.checkpoint=org/gated",
        "   fix: accept them at https://huggingface.co/org/gated, then type 'hf auth login'",
    ]


def test_a_hub_that_fails(refused):
    assert refused["org/error"] == [
        " error: the Hub answered 500 for 'org/error'",
        " where: model.checkpoint=org/error",
        f"   fix: try again later; {LATER}",
    ]


# --- no Hub, or a bad one ------------------------------------------------------------------------


def test_offline_without_a_cached_copy(hub, ask):
    assert ask("org/tiny", HF_HUB_OFFLINE="1")[0] == [
        " error: HF_HUB_OFFLINE is set and 'org/tiny' is not complete in the Hub's cache",
        " where: model.checkpoint=org/tiny",
        f"   fix: unset HF_HUB_OFFLINE and run once to fill the cache; {OFFLINE}",
    ]
    assert hub.requests == []


def test_offline_with_half_a_copy_is_not_enough(ask):
    ask("org/tiny", weights=False)
    lines = ask("org/tiny", HF_HUB_OFFLINE="1")[0]
    assert (
        lines[0]
        == " error: HF_HUB_OFFLINE is set and 'org/tiny' is not complete in the Hub's cache"
    )


def test_no_hub_at_the_address_is_said_once_and_at_once(hub, tmp_path):
    address = "http://127.0.0.1:9"
    commit = hub.commit("models", "org/tiny")
    texts = ["org/tiny", f"org/tiny@{commit}"]
    with start(hub, tmp_path, texts, HF_ENDPOINT=address) as process:
        printed, errors = process.communicate(timeout=120)
    assert errors == ""  # the Hub's client has a line for each of five tries, 23 seconds in all
    lines, of_commit = [json.loads(line) for line in printed.splitlines()]
    assert of_commit[0] == lines[0]
    assert lines == [
        " error: the download of 'org/tiny' from http://127.0.0.1:9 failed: "
        "[Errno 111] Connection refused",
        " where: model.checkpoint=org/tiny",
        f"   fix: {LATER}",
    ]


@pytest.fixture(scope="module")
def given_up(hub, tmp_path_factory):
    """Return the three lines for a Hub that says nothing, one that cuts off, one that dribbles."""
    hub.modes |= {"org/silent": "silent", "org/broken": "broken", "org/dribble": "slow"}
    hub.slow_bytes = 20
    hub.slow_seconds = 0.1
    texts = ["org/silent", "org/broken", "org/dribble"]
    home = tmp_path_factory.mktemp("home")
    lines = resolve_all(hub, home, texts, window=1.0, HF_HUB_DOWNLOAD_TIMEOUT="1")
    hub.slow_bytes = 512
    hub.slow_seconds = 0.01
    return dict(zip(texts, lines, strict=True))


def test_a_hub_that_says_nothing_is_given_up(hub, given_up):
    assert given_up["org/silent"] == [
        f" error: the download of 'org/silent' from {hub.url} failed: timed out",
        " where: model.checkpoint=org/silent",
        f"   fix: {LATER}",
    ]


def test_a_hub_that_always_cuts_off_is_given_up(hub, given_up):
    what, where, fix = given_up["org/broken"]
    start = f" error: the download of 'org/broken' from {hub.url} failed: peer closed connection"
    assert what.startswith(start)
    assert (where, fix) == (" where: model.checkpoint=org/broken", f"   fix: {LATER}")


def test_a_hub_that_dribbles_is_given_up(given_up):
    what, _, fix = given_up["org/dribble"]
    assert what.startswith(" error: the download of 'org/dribble' is too slow: ")
    assert fix == f"   fix: try again later; {LATER}"


def test_a_cache_that_cannot_be_written(ask, tmp_path):
    (tmp_path / "file").write_text("in the way")
    lines = ask("org/tiny", home=tmp_path / "file")[0]
    assert lines[0].startswith(" error: the files of 'org/tiny' cannot be stored: [Errno 20]")
    assert lines[2] == (
        f"   fix: free disk space, or set HF_HOME to a writable folder (now {tmp_path / 'file'})"
    )


# --- the Hub on loopback is good enough for the data sets' client --------------------------------


@pytest.mark.slow
def test_data_sets_of_csv_jsonl_and_parquet_load(hub, tmp_path):
    code = (
        "from datasets import load_dataset\n"
        "for name in ('csv', 'jsonl', 'parquet'):\n"
        "    print({s: d[:]['label'] for s, d in load_dataset('org/' + name).items()})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | hub.environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.stdout.splitlines() == [
        "{'train': [1, 0], 'test': [1]}",
        "{'train': [1, 1]}",
        "{'train': [1, 0]}",
    ], ran.stderr
