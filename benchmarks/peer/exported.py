"""Holds an exported model against the answers of its run, in PyTorch or in onnxruntime.

    python exported.py --model FOLDER --answers FILE

`FILE` is JSON lines, one row a text, as `xferlab predict` gives them to programs: `text` (and
`pair`) with `p_CLASS` of every class, or with `value`; for tagging `words`, `tags` and each tag's
probability. A transformers folder is asked twice: row by row through `pipeline`, as its user would,
and in padded batches through the class that `AutoModelFor...` finds. Prints the largest difference
of a probability (or value) of each way, and how many labels or tags are not the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer


def main() -> None:
    """Read the answers, ask the model, print the differences."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="an exported folder")
    parser.add_argument("--answers", type=Path, required=True, help="JSON lines of the run")
    parser.add_argument("--pipeline-rows", type=int, default=1000, help="rows asked one by one")
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.answers.read_text(encoding="utf-8").splitlines()]
    record = json.loads((args.model / "export.json").read_text(encoding="utf-8"))
    names = record["class_names"]
    if record["format"] == "onnx":
        tell("onnxruntime", onnx_answers(args.model, rows), rows, names)
        return
    kind, outputs = auto_answers(args.model, rows)
    tell(kind, outputs, rows, names)
    few = rows[: args.pipeline_rows]
    if "words" in rows[0]:
        found = pipeline_spans(args.model, few)
        same = sum(one == spans_of(row) for one, row in zip(found, few, strict=True))
        print(f"pipeline: {same} of {len(few)} rows have the very spans of the run")
    else:
        tell("pipeline", pipeline_answers(args.model, few), few, names)


def encoded(tokenizer: Any, rows: list[dict], kind: str) -> Any:
    """Returns the arrays of a batch of rows, cut and padded as the folder's tokenizer says."""
    options = {"truncation": True, "padding": True, "return_tensors": kind}
    if "words" in rows[0]:
        return tokenizer([r["words"] for r in rows], is_split_into_words=True, **options)
    pairs = [[r["pair"] for r in rows]] if "pair" in rows[0] else []
    return tokenizer([r["text"] for r in rows], *pairs, **options)


def of_rows(outputs: np.ndarray, found: Any, rows: list[dict]) -> list[np.ndarray]:
    """Returns one array a row: as it is, or for tagging the outputs of each word's first token."""
    if "words" not in rows[0]:
        return list(outputs)
    parts = []
    for i, row in enumerate(rows):
        words = found.word_ids(i)
        first = [words.index(w) if w in words else -1 for w in range(len(row["words"]))]
        parts.append(np.stack([outputs[i, t] if t >= 0 else outputs[i, 0] * np.nan for t in first]))
    return parts


def auto_answers(folder: Path, rows: list[dict]) -> tuple[str, list[np.ndarray]]:
    """Returns the class's name and the probabilities of its outputs, in padded batches of 32."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    kind = AutoModelForSequenceClassification
    if "words" in rows[0]:
        kind = AutoModelForTokenClassification
    model, report = kind.from_pretrained(folder, output_loading_info=True)
    odd = {key: sorted(map(str, value)) for key, value in report.items() if value}
    if odd:
        raise SystemExit(f"not every tensor found its place: {odd}")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answers = []
    problem = model.config.problem_type
    for start in range(0, len(rows), 32):
        batch = rows[start : start + 32]
        found = encoded(tokenizer, batch, "pt")
        with torch.inference_mode():
            logits = model.eval()(**found).logits
        if problem == "multi_label_classification":
            logits = logits.sigmoid()
        elif problem != "regression":
            logits = logits.softmax(-1)
        answers += of_rows(logits.numpy(), found, batch)
    return type(model).__name__, answers


def onnx_answers(folder: Path, rows: list[dict]) -> list[np.ndarray]:
    """Returns what onnxruntime gives for the tokenizer's arrays, in padded batches of 32."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    name = [o.name for o in session.get_outputs() if o.name != "logits"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answers = []
    for start in range(0, len(rows), 32):
        batch = rows[start : start + 32]
        found = encoded(tokenizer, batch, "np")
        answers += of_rows(session.run(name, dict(found))[0], found, batch)
    return answers


def pipeline_answers(folder: Path, rows: list[dict]) -> list[np.ndarray]:
    """Returns the scores of `pipeline`, a text at a time, in the order of the classes."""
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(folder))
    places = classify.model.config.label2id
    answers = []
    for row in rows:
        given = row["text"]
        if "pair" in row:
            given = {"text": row["text"], "text_pair": row["pair"]}
        found = classify(given, top_k=None, truncation=True)
        scores = np.zeros(len(places))
        for one in found:
            scores[places[one["label"]]] = one["score"]
        answers.append(scores)
    return answers


def pipeline_spans(folder: Path, rows: list[dict]) -> list[list[tuple[str, int, int]]]:
    """Returns what `pipeline` finds in each row: (kind, start, end), by letters of the row."""
    from transformers import pipeline

    tag = pipeline("token-classification", model=str(folder), aggregation_strategy="first")
    found = (tag(row["words"], is_split_into_words=True)[0] for row in rows)
    return [[(f["entity_group"], f["start"], f["end"]) for f in spans] for spans in found]


def spans_of(row: dict) -> list[tuple[str, int, int]]:
    """Returns a row's own spans by the rule of `pipeline`: B- begins one, like follows like."""
    spans = []
    place = 0
    before = None
    for word, tag in zip(row["words"], row["tags"], strict=True):
        kind = (tag or "O").removeprefix("B-").removeprefix("I-")
        end = place + len(word)
        if kind != "O" and kind == before and not (tag or "").startswith("B-"):
            spans[-1] = (kind, spans[-1][1], end)
        elif kind != "O":
            spans.append((kind, place, end))
        before = kind
        place = end + 1
    return spans


def tell(way: str, answers: list[np.ndarray], rows: list[dict], names: list[str]) -> None:
    """Prints how far answers are from the run's own."""
    worst = 0.0
    other = 0
    count = 0
    for row, answer in zip(rows, answers, strict=True):
        if "words" in row:
            kept = [i for i, tag in enumerate(row["tags"]) if tag is not None]
            theirs = answer[kept].max(-1)
            ours = np.array([row["probabilities"][i] for i in kept])
            best = [names[i] for i in answer[kept].argmax(-1)]
            other += sum(b != row["tags"][i] for b, i in zip(best, kept, strict=True))
            count += len(kept)
        else:
            ours = np.array([v for k, v in row.items() if k == "value" or k.startswith("p_")])
            theirs = np.asarray(answer)
            count = count + 1
            other += "value" not in row and int(theirs.argmax() != ours.argmax())
        worst = max(worst, float(np.abs(theirs - ours).max(initial=0)))
    print(f"{way}: {count} answers, largest difference {worst:.2g}, {other} of another class")


if __name__ == "__main__":
    main()
