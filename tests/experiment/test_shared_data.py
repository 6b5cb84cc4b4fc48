"""Examples that a process keeps for the next run: the same, with the same log."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.experiment import shared_data
from xferlab.experiment.shared_data import build_data
from xferlab.training.network_cache import NETWORK_CACHE


@pytest.fixture(autouse=True)
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NETWORK_CACHE, "is_enabled", True)
    monkeypatch.setattr(shared_data, "_BUILT", [])


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for split in ("train", "validation"):
        write(tmp_path, split, [f"text {i % 7} of {split}" for i in range(20)])
    load_plugins(tmp_path)
    publish(tmp_path)
    return tmp_path


def write(folder: Path, split: str, texts: list[str]) -> None:
    rows = [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(texts)]
    (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


def recipe_of(folder: Path, *overrides: str):
    data = [f"data.{split}={folder}/{split}.jsonl" for split in ("train", "validation")]
    return read(compose_config(["data=files", "model=bert", *data, *overrides]))


def test_the_next_run_has_the_same_examples_and_the_same_log(workspace, caplog):
    caplog.set_level(logging.INFO, logger="xferlab")
    recipe = recipe_of(workspace)
    first = build_data(recipe)
    lines = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert any("different labels" in line for _, line in lines), lines
    caplog.clear()
    assert build_data(recipe_of(workspace, "optimizer.lr=1")) is first
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == lines


def test_what_differs_is_read(workspace):
    first = build_data(recipe_of(workspace))
    assert build_data(recipe_of(workspace, "data.max_length=9")) is not first
    assert build_data(recipe_of(workspace, "seed=1")) is not first
    assert build_data(recipe_of(workspace)) is first
    path = workspace / "train.jsonl"
    before = path.stat()
    write(workspace, "train", [f"text {i % 7} of_train" for i in range(20)])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # of the same length and time
    assert build_data(recipe_of(workspace)).train.texts[0] == "text 0 of_train"


def test_no_more_than_the_limit_is_kept(workspace, monkeypatch):
    monkeypatch.setattr(shared_data, "MOST_EXAMPLES", 40)
    recipes = [recipe_of(workspace, f"seed={seed}") for seed in (0, 1)]
    first, second = map(build_data, recipes)
    assert build_data(recipes[1]) is second
    assert build_data(recipes[0]) is not first


def test_a_process_of_one_run_keeps_nothing(workspace, monkeypatch):
    monkeypatch.setattr(NETWORK_CACHE, "is_enabled", False)
    recipe = recipe_of(workspace)
    assert build_data(recipe) is not build_data(recipe)
    assert not shared_data._BUILT
