"""Fine-tuning with nothing said but the data, beside logistic regression on frozen vectors.

    python benchmarks/small_data.py OUT --checkpoint FOLDER --data FOLDER [--tasks sst2,mrpc]

``--data`` holds the folders sst2, imdb, mrpc and goemotions; the task emotions is made of those
rows of goemotions that have one label. Each training file is cut to 16, 64 and 256 rows a class,
three draws; a run has no validation file and all settings at their defaults. Vectors are the mean
of the frozen encoder's token vectors (of pairs also u, v, abs(u - v), u * v; the better one is
shown), scikit-learn's logistic regression has its defaults and all rows. Test rows: 800 at random.
What is in OUT is not run again. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from csv_files import Row, read_csv, write_csv

TASKS = ("sst2", "imdb", "mrpc", "emotions", "goemotions")
ROWS = (16, 64, 256)
DRAWS = (0, 1, 2)
TEST_ROWS = 800


def main() -> None:
    """Cut, train, fit what is missing; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("words", nargs="*", help="more words for every run")
    options = parser.parse_args()
    print("| task | rows a class | training rows | logistic regression | xferlab | steps |")
    print("|---|---|---|---|---|---|")
    for task in options.tasks.split(","):
        for size in map(int, options.rows.split(",")):
            cells = [cell(options, task, size, draw) for draw in DRAWS]
            base = shown([c["baseline"] for c in cells])
            tuned = shown([c["score"] for c in cells])
            print(
                f"| {task} | {size} | {cells[0]['rows']} | {base} | {tuned} |"
                f" {cells[0]['steps']} |",
                flush=True,
            )


def cell(options: argparse.Namespace, task: str, size: int, draw: int) -> dict[str, Any]:
    """Return the scores of one draw of one task, from OUT where they are there."""
    folder = options.out.absolute() / task / f"{size}_{draw}"
    kept = folder / "cell.json"
    if kept.exists():
        return json.loads(kept.read_text())
    train, test = cut(options.data, task, size, draw)
    for name, rows in (("train", train), ("test", test)):
        write_csv(folder / f"{name}.csv", rows)
    found = {
        "rows": len(train),
        "baseline": baseline(options.checkpoint, train, test),
        **fine_tuned(options, folder, "text_a" in train[0], draw),
    }
    kept.write_text(json.dumps(found))
    return found


def cut(data: Path, task: str, size: int, draw: int) -> tuple[list[Row], list[Row]]:
    """Return ``size`` training rows a class, sampled at random, and the test rows."""
    source = data / ("goemotions" if task == "emotions" else task)
    train, test = (read_csv(source / f"{name}.csv") for name in ("train", "test"))
    if task == "emotions":
        train = [row for row in train if "|" not in row["label"]]
        test = [row for row in test if "|" not in row["label"]]
    random.Random(0).shuffle(test)
    random.Random(f"{task} {size} {draw}").shuffle(train)
    counts: dict[str, int] = {}
    kept = []
    for row in train:
        labels = row["label"].split("|")
        if any(counts.get(label, 0) < size for label in labels):
            kept.append(row)
            counts |= {label: counts.get(label, 0) + 1 for label in labels}
    return kept, test[:TEST_ROWS]


def fine_tuned(options: argparse.Namespace, folder: Path, pairs: bool, seed: int) -> dict[str, Any]:
    """Train with every setting at its default; return the test score and the steps."""
    words = ["data=files", f"data.train={folder}/train.csv", f"data.test={folder}/test.csv"]
    words += ["data.text=text_a", "data.pair=text_b"] if pairs else []
    words += ["model=encoder", f"model.checkpoint={options.checkpoint}", f"seed={seed}"]
    command = [sys.executable, "-m", "xferlab", *words, *options.words]
    subprocess.run(
        [*command, f"hydra.run.dir={folder}/run", "train.resume=auto"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "output.txt").open("w"),
    )
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    record = json.loads((folder / "run" / "run.json").read_text())
    score = metrics["test"].get("accuracy", metrics["test"].get("micro_f1"))
    return {"score": score, "steps": record["plan"]["steps"], "weights": metrics["weights"]}


def baseline(checkpoint: Path, train: list[Row], test: list[Row]) -> float:
    """Return the test score of logistic regression on the frozen encoder's vectors."""
    columns = ("text_a", "text_b") if "text_a" in train[0] else ("text",)
    kinds = [features(checkpoint, [train, test], columns, together=True)]
    if len(columns) == 2:
        kinds.append(features(checkpoint, [train, test], columns, together=False))
    return max(logistic_score(*kind, train, test) for kind in kinds)


def features(
    checkpoint: Path, splits: list[list[Row]], columns: tuple[str, ...], together: bool
) -> list[np.ndarray]:
    """Return a matrix (rows, features) for each split."""
    matrices = []
    for rows in splits:
        texts = [[row[column] for row in rows] for column in columns]
        if together:
            matrices.append(vectors(checkpoint, texts[0], texts[1] if len(texts) > 1 else None))
            continue
        u, v = (unit(vectors(checkpoint, text, None)) for text in texts)
        matrices.append(np.concatenate([u, v, abs(u - v), u * v], axis=1))
    return matrices


def unit(matrix: np.ndarray) -> np.ndarray:
    """Return the rows at length 1."""
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def vectors(checkpoint: Path, texts: list[str], pairs: list[str] | None) -> np.ndarray:
    """Return the mean token vector of each text, (rows, hidden size)."""
    from xferlab.data.batching import batch_arrays, evaluation_batches
    from xferlab.data.tokenizer import load_tokenizer
    from xferlab.models.checkpoint import resolve
    from xferlab.models.encoder import load_encoder

    if not _ENCODER:
        found = resolve(str(checkpoint))
        _ENCODER.extend([load_encoder(found), load_tokenizer(found.folder)])
    encoder, tokenizer = _ENCODER
    import keras

    network = keras.Model(encoder.backbone.input, encoder.sequence_output)
    encoding = tokenizer.encode(texts, pairs, 128)
    out = np.zeros((len(texts), encoder.hidden_size), "float32")
    for batch in evaluation_batches(encoding, 64):
        inputs, _ = batch_arrays(encoding, np.zeros(len(texts)), batch, tokenizer.pad_id)
        tokens = np.asarray(network({k: inputs[k] for k in encoder.backbone.input}))
        mask = inputs["padding_mask"][..., None]
        out[batch.rows] = (tokens * mask).sum(1) / mask.sum(1)
    return out


_ENCODER: list[Any] = []


def logistic_score(x: np.ndarray, x_test: np.ndarray, train: list[Row], test: list[Row]) -> float:
    """Return accuracy, or micro F1 where a row has several labels, of the test rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import MultiLabelBinarizer

    labels, wanted = ([row["label"].split("|") for row in rows] for rows in (train, test))
    if all(len(each) == 1 for each in labels):
        model = LogisticRegression(max_iter=2000).fit(x, [each[0] for each in labels])
        return float(np.mean(model.predict(x_test) == [each[0] for each in wanted]))
    names = MultiLabelBinarizer().fit(labels)
    several = OneVsRestClassifier(LogisticRegression(max_iter=500))
    several.fit(x, names.transform(labels))
    known = [[label for label in each if label in names.classes_] for each in wanted]
    return float(f1_score(names.transform(known), several.predict(x_test), average="micro"))


def shown(values: list[float]) -> str:
    """Return mean and spread as text."""
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    main()
