"""``list``: the presets of checkpoints by kind, and which of them are on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xferlab.cli import list as listing
from xferlab.cli.main import main
from xferlab.config.presets import KINDS

WEIGHTS = "model.safetensors"
PINNED = ("models--FacebookAI--roberta-base", "e2da8e2f811d1448a5b465c236feacd80ffbac7b")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the Hub, and an empty working directory."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


def put(cache: Path, repo: str, commit: str, files: dict[str, str], ref: str = "") -> None:
    folder = cache / repo / "snapshots" / commit
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    if ref:
        (cache / repo / "refs").mkdir()
        (cache / repo / "refs" / ref).write_text(commit)


def table(capsys, width: int | None, monkeypatch) -> list[str]:
    monkeypatch.setattr(listing, "terminal_width", lambda stream: width)
    assert main(["list", "model"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [80, 160, None])
def test_a_row_for_each_preset_fits_into_the_terminal(width, cache, capsys, monkeypatch):
    lines = table(capsys, width, monkeypatch)
    start = next(at for at, line in enumerate(lines) if line.startswith("model= "))
    assert [line[2:] for line in lines if line.startswith("- ")] == list(KINDS.values())
    assert max(map(len, lines[start:])) <= (width or 160)
    deberta = next(line for line in lines if line.startswith("deberta_v3_base "))
    assert deberta.split()[1:5] == ["184M", "371MB", "mit", "English"]
    assert ("microsoft/deberta-v3-base@8ccc9b6" in deberta) == (width != 80)


@pytest.mark.parametrize(
    ("files", "cached"),
    [
        ({"config.json": "{}", WEIGHTS: ""}, True),
        ({"config.json": "{}", "pytorch_model.bin": ""}, True),
        ({"config.json": "{}"}, False),
        ({WEIGHTS: ""}, False),
        ({"config.json": "{}", f"{WEIGHTS}.index.json": '{"weight_map": {"a": "1.bin"}}'}, False),
        ({"config.json": "{}", f"{WEIGHTS}.index.json": json.dumps({"weight_map": []})}, False),
    ],
)
def test_what_lies_whole_in_the_cache_is_marked(files, cached, cache, capsys, monkeypatch):
    put(cache, *PINNED, files)
    rows = [line for line in table(capsys, 80, monkeypatch) if line.endswith(" yes")]
    expected = ["bert", "roberta"] if cached else ["bert"]
    assert [row.split()[0] for row in rows] == expected


def test_a_branch_is_the_commit_that_the_cache_knows(cache, capsys, monkeypatch):
    files = {"config.json": "{}", WEIGHTS: ""}
    put(cache, "models--jhu-clsp--ettin-encoder-17m", "a" * 40, files, ref="main")
    rows = [line.split()[0] for line in table(capsys, 80, monkeypatch) if line.endswith(" yes")]
    assert rows == ["bert", "ettin_17m"]


def test_presets_of_the_working_directory_are_listed_with_or_without_facts(
    cache, capsys, monkeypatch, tmp_path
):
    folder = tmp_path / "conf" / "model"
    folder.mkdir(parents=True)
    rest = "defaults: [encoder]\ncheckpoint: org/ours\n"
    (folder / "ours.yaml").write_text(f"# Ours.\n# {{group: in house, parameters: 5M}}\n{rest}")
    (folder / "plain.yaml").write_text(f"# Plain.\n{rest}")
    (folder / "odd.yaml").write_text(f"# Odd.\n# {{what: is, this\n{rest}")
    lines = table(capsys, 160, monkeypatch)
    assert lines[lines.index("- in house") + 1].split() == ["ours", "5M", "org/ours"]
    assert {line.split()[0] for line in lines} > {"model=plain", "model=odd"}
