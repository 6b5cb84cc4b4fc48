"""Small finished runs of several kinds, trained for real, each moved and without its checkpoint."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.build_once import build_once
from tests.support.sentence_files import write_sentence_files
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.cli.main import main

GOOD = ["good", "great", "fine"]
BAD = ["bad", "poor"]
LENGTH = [
    "train.epochs=12",
    "train.batch_size=8",
    "optimizer.lr=2e-2",
    "train.checkpoint_every=null",
]


def write_rows(folder: Path) -> dict[str, list[dict]]:
    """Write rows of every kind of task, and return them by the kind's name."""
    plain = [
        {"text": f"the {word} film was {word} {i % 7 * 'and '}", "label": label}
        for i in range(8)
        for label, overrides in (("pos", GOOD), ("neg", BAD))
        for word in overrides
    ]
    rows = {
        "plain": plain,
        "pairs": [row | {"other": "it is not"[: 2 + i]} for i, row in enumerate(plain[:32])],
        "values": [row | {"label": 0.5 + len(row["text"]) / 10} for row in plain[:32]],
        "several": [row | {"label": ["film", row["label"]]} for row in plain[:32]],
        "tags": [
            {
                "text": row["text"].split(),
                "label": ["B-X" if w in (*GOOD, *BAD) else "O" for w in row["text"].split()],
            }
            for row in plain[:32]
        ],
    }
    for kind, table in rows.items():
        for name, written in ((kind, table), (f"{kind}-train", map(another, table))):
            (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, written)) + "\n")
    with (folder / "plain.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["text", "label"])
        writer.writeheader()
        writer.writerows(plain)
    return rows


def another(row: dict) -> dict:
    """Return a row of the same kind with one word more, so that no row is in two splits."""
    if isinstance(row["text"], list):
        return row | {"text": [*row["text"], "too"], "label": [*row["label"], "O"]}
    return row | {"text": f"{row['text']} too"}


def train(folder: Path, kind: str, *overrides: str) -> Path:
    """Train in ``folder`` on rows of a kind, test split included; return where the run is."""
    run = folder / f"run-{kind}"
    here = Path.cwd()
    os.chdir(folder)
    try:
        data = [f"data.train={kind}-train.jsonl"]
        data += [f"data.{split}={kind}.jsonl" for split in ("validation", "test")]
        data += ["data=files", "data.max_length=32", *["data.pair=other"] * (kind == "pairs")]
        assert main([*data, *LENGTH, *overrides, f"hydra.run.dir={run}"]) == 0
    finally:
        os.chdir(here)
    return run


KINDS: dict[str, tuple[str | None, list[str]]] = {
    # of sentence-transformers: the mean, normalised; each text has a prompt
    "plain": (
        "bert",
        [
            "model.prompt='it is '",
            "transfer=[layer_decay,lora]",
            "transfer.lora.targets=[query,feed*]",
        ],
    ),
    "tags": ("roberta", []),
    "values": ("bert", []),  # a checkpoint that lacks the pooler of its architecture
    "several": (None, []),
    "pairs": (None, []),
}


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    """Return the rows that the runs were trained on, by the kind of task."""
    return write_rows(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return finished runs by kind, moved away from where they were trained, which is gone."""
    home = build_once(tmp_path_factory, "runs", train_every_kind)
    return {kind: home / kind for kind in KINDS}


def train_every_kind(home: Path) -> None:
    """Train a run of each kind and move it below ``home``; what it was trained from is removed."""
    there = home / "there"
    there.mkdir()
    write_rows(there)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFERLAB_CACHE", str(there / "cache"))
        for kind, (architecture, overrides) in KINDS.items():
            model = ["model=bag_of_embeddings", "model.width=8"]
            if architecture:
                folder = there / kind
                write_tiny_checkpoint(folder, architecture, layers=1, pooler=kind != "values")
                if kind == "plain":
                    write_sentence_files(folder, normalize=True)
                model = ["model=encoder", f"model.checkpoint={folder}"]
            train(there, kind, *model, *overrides)
            shutil.copytree(there / f"run-{kind}", home / kind)
    shutil.rmtree(there)
