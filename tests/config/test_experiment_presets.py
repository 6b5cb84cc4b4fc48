"""Every preset of ``experiment``: what it is for is valid, and trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.finished_runs import another, write_rows
from tests.support.for_each import for_each
from xferlab.cli.main import main

PRESETS = Path(__file__).parents[2] / "conf" / "experiment"
FITS = {  # the rows of a preset, see write_rows, and what those rows need
    "few_shot": ("plain", []),
    "frozen_encoder": ("plain", []),
    "long_texts": ("plain", []),
    "low_rank": ("plain", []),
    "own_texts": ("plain", []),
    "rare_classes": ("plain", []),
    "several_labels": ("several", []),
    "similarity": ("cosines", ["data.pair=other"]),
    "small_set": ("plain", []),
    "tagging": ("tags", []),
}


@pytest.fixture(scope="module", autouse=True)
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    pairs = write_rows(folder)["pairs"]
    cosines = [row | {"label": i / len(pairs)} for i, row in enumerate(pairs)]
    for name, rows in (("cosines", cosines), ("cosines-train", map(another, cosines))):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def words_of(preset):
    kind, words = FITS[preset]
    data = ["data=files", f"data.train={kind}-train.jsonl", f"data.test={kind}.jsonl"]
    return [f"experiment={preset}", "model=bert", *data, *words]


def test_each_preset_is_tried_here():
    assert sorted(path.stem for path in PRESETS.glob("*.yaml")) == sorted(FITS)


@for_each(FITS)
def test_preset_is_valid_on_data_that_suit_it(preset):
    assert main(["check", *words_of(preset)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("preset", FITS)
def test_preset_trains(preset):
    words = [*words_of(preset), "train.max_steps=2", f"hydra.run.dir=run-{preset}"]
    assert main(words) == 0
