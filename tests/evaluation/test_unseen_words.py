"""Words that were cut off or have no token: their entities count as missed, here and there."""

import json
from pathlib import Path

import pytest

import xferlab
from tests.functional.test_bio_tags import seqeval
from tests.support.finished_runs import LENGTH
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.cli.main import main
from xferlab.contracts import Task, TaskSpec
from xferlab.evaluation.unseen_words import count_unseen_words

LONGEST = 16
FILLER = ["the", "film", "was", "and"]


def sentence(i: int, words: int) -> dict:
    """Return a sentence with an entity of two words at its beginning and one at its end."""
    tokens = ["good", "film", *(FILLER[(i + j) % 4] for j in range(words - 4)), "bad", "film"]
    tags = ["B-X", "I-X", *["O"] * (words - 4), "B-Y", "I-Y"]
    return {"text": tokens, "label": tags}


def conlleval(wanted: list[list[str]], found: list[list[str]]) -> float:
    """Return the F1 of entities of all types together, as conlleval prints it."""
    pairs = [(seqeval(w), seqeval(f)) for w, f in zip(wanted, found, strict=True)]
    hits = sum(len(w & f) for w, f in pairs)
    return 2 * hits / max(sum(len(w) + len(f) for w, f in pairs), 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unread")
    write_tiny_checkpoint(folder / "tiny", "bert", layers=1)
    sizes = {"train": [5, 6, 7, 8] * 10, "validation": [6, 9] * 4, "test": [5, 8, 30, 40] * 3}
    for name, words in sizes.items():
        rows = [sentence(i + len(name), n) for i, n in enumerate(words)]
        if name == "test":  # a word without any letter, in an entity; its first word alone is read
            rows.append({"text": ["good", "\ufe0f", "was"], "label": ["B-X", "I-X", "O"]})
            rows.append({"text": ["good", "film", "was"], "label": ["B-X", "I-X", -100]})
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        files = [f"data.{name}={name}.jsonl" for name in sizes]
        words = [
            "data=files",
            *files,
            f"data.max_length={LONGEST}",
            "model=encoder",
            f"model.checkpoint={folder / 'tiny'}",
            *LENGTH,
            "train.epochs=20",
            "metric=[entity_f1,accuracy,top_k]",
            "metric.top_k.k=2",
        ]
        assert main([*words, f"hydra.run.dir={folder / 'run'}"]) == 0
    return folder / "run"


def test_a_run_scores_all_entities_of_the_file(run):
    rows = [json.loads(line) for line in (run.parent / "test.jsonl").read_text().splitlines()]
    predictions = xferlab.load(run).predict([row["text"] for row in rows])
    found = [[tag or "O" for tag in tags] for tags in predictions.labels]
    wanted = [row["label"] for row in rows]
    found[-1] = found[-1][:2]
    wanted[-1] = wanted[-1][:2]
    assert any(tag is None for tag in predictions.labels[2])
    expected = conlleval(wanted, found)
    assert 0 < expected < 0.9  # half of the long sentences' entities are cut off
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["entity_f1"] == pytest.approx(expected, abs=1e-9)
    pairs = [p for w, f in zip(wanted, found, strict=True) for p in zip(w, f, strict=True)]
    right = sum(w == f for w, f in pairs) / len(pairs)
    assert metrics["test"]["accuracy"] == pytest.approx(right, abs=1e-6)


def test_the_share_that_was_not_read_stands_beside_the_score(run):
    metrics = json.loads((run / "metrics.json").read_text())
    unseen = metrics["unseen_words"]["test"]
    # of 30 and 40 words 15 and 25 or more are cut off, and with them the second entity
    assert unseen["words"] == 3 * (5 + 8 + 30 + 40) + 3 + 2
    assert unseen["entities"] == 2 * 12 + 2
    assert unseen["unseen_entities"] == 6 + 1
    assert unseen["examples"] == 7
    note = next(note for note in metrics["notes"] if note.startswith("test: "))
    assert "7 of 26 entities (26.9%)" in note
    assert note in (run / "train.log").read_text()
    assert note in json.loads((run / "run.json").read_text())["notes"]


def test_an_evaluation_says_the_same(run, capsys, monkeypatch):
    monkeypatch.chdir(run.parent)
    assert main(["evaluate", str(run), "--samples=20"]) == 0
    shown = capsys.readouterr().out
    assert "7 of 26 entities (26.9%)" in shown
    folder = run / "evaluations" / "test"
    record = json.loads((folder / "metrics.json").read_text())
    own = json.loads((run / "metrics.json").read_text())
    for name in ("loss", "entity_f1", "accuracy", "top_k"):
        assert record["scores"][name]["value"] == pytest.approx(own["test"][name], rel=1e-5)
    assert record["unseen_words"] == own["unseen_words"]["test"]
    report = (folder / "report.txt").read_text()
    assert "7 of 26 entities (26.9%)" in report
    micro = next(line for line in report.splitlines() if line.startswith("micro mean")).split()
    assert float(micro[4]) == pytest.approx(own["test"]["entity_f1"], abs=5e-5)
    assert micro[5] == "26"


def test_tags_without_o_are_scored_where_words_were_read():
    import numpy as np

    spec = TaskSpec(Task.token_classification, ("NN", "VB"), 9, 9)
    counts = count_unseen_words(spec, [np.array([0, 1, -1])], [np.array([True, False, False])])
    assert (counts.words, counts.unseen, counts.examples, counts.entities) == (2, 1, 1, 0)
    assert counts.describe(spec, "test").endswith("scores leave them out")
