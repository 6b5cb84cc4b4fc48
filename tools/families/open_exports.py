"""Opens exported folders in PyTorch and in ``pipeline``, and compares both with the run.

    PYTHON tools/families/open_exports.py FOLDER ...

``PYTHON`` is that of an environment with PyTorch and transformers (``benchmarks/peer/README.md``).
Beside the model a folder has ``expected.npz`` (a padded batch, the run's logits and probabilities)
and ``expected.json`` (its texts, and the names of the classes). A line for each says how far the
logits of transformers' class and the scores of its pipeline are from the run's. It fails if a
tensor is missing or unexpected, if the tokens are others, or if a number differs by more than 1e-4.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import neobert
import numpy as np
import torch
import transformers

TOLERANCE = 1e-4


def main(folders: list[str]) -> int:
    """Return how many folders are not what they should be."""
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    neobert.register()  # transformers has no class of its own
    return sum(not is_same(Path(folder)) for folder in folders)


def is_same(folder: Path) -> bool:
    """Return whether a folder opens without remarks, with the run's tokens, logits and scores."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    with np.load(folder / "expected.npz") as file:
        arrays = dict(file)
    logits = arrays.pop("logits")
    probabilities = arrays.pop("probabilities")
    name = config["architectures"][0]
    model_class = getattr(neobert, name, None) or getattr(transformers, name)
    model, info = model_class.from_pretrained(folder, output_loading_info=True)
    strange = [f"{kind}: {sorted(map(str, found))}" for kind, found in info.items() if found]
    if not has_same_tokens(folder, expected["texts"], arrays):
        strange.append("other tokens")
    gaps = {
        "logits": logit_gap(model.eval(), arrays, logits),
        "pipeline": pipeline_gap(folder, expected, arrays, probabilities),
    }
    shown = [f"{kind} {gap:.1e}" for kind, gap in gaps.items()]
    print(f"{folder.name}: {name}", *shown, *strange, sep="; ", flush=True)
    return all(gap <= TOLERANCE for gap in gaps.values()) and not strange


def has_same_tokens(folder: Path, texts: list[Any], batch: dict[str, np.ndarray]) -> bool:
    """Return whether the folder's tokenizer makes the batch of the texts."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pairs = None
    is_words = isinstance(texts[0], list)
    if isinstance(texts[0], dict):
        pairs = [text["text_pair"] for text in texts]
        texts = [text["text"] for text in texts]
    options = {"padding": True, "truncation": True, "is_split_into_words": is_words}
    found = tokenizer(texts, pairs, **options, return_tensors="np")
    return found.keys() == batch.keys() and all(
        np.array_equal(found[name], batch[name]) for name in batch
    )


def logit_gap(model: Any, batch: dict[str, np.ndarray], expected: np.ndarray) -> float:
    """Return the largest difference of a logit; padding does not count."""
    inputs = {name: torch.from_numpy(array).long() for name, array in batch.items()}
    with torch.no_grad():
        logits = model(**inputs).logits.numpy()
    real = batch["attention_mask"] == 1 if logits.ndim == 3 else slice(None)
    return float(np.abs(logits[real] - expected[real]).max())


def pipeline_gap(
    folder: Path, expected: dict[str, Any], batch: dict[str, np.ndarray], scores: np.ndarray
) -> float:
    """Return the largest difference of a score of the pipeline; infinite for other labels."""
    names = expected["class_names"]
    texts = expected["texts"]
    if isinstance(texts[0], list):
        return token_gap(folder, texts, names, scores)
    classify = transformers.pipeline("text-classification", model=str(folder))
    largest = 0.0
    for row, labels in enumerate(classify(texts, top_k=None, truncation=True, batch_size=3)):
        found = {each["label"]: each["score"] for each in labels}
        if set(found) != set(names):
            return np.inf
        gaps = [abs(found[name] - scores[row][i]) for i, name in enumerate(names)]
        largest = max(largest, *gaps)
    return float(largest)


def token_gap(folder: Path, texts: list[Any], names: list[str], scores: np.ndarray) -> float:
    """Return the largest difference of the score of a token's tag."""
    tag = transformers.pipeline("token-classification", model=str(folder), ignore_labels=[])
    largest = 0.0
    for row, words in enumerate(texts):
        tag([words], is_split_into_words=True, aggregation_strategy="first")
        for token in tag([words], is_split_into_words=True)[0]:
            expected = scores[row][token["index"]]
            if token["entity"] != names[int(expected.argmax())]:
                return np.inf
            largest = max(largest, abs(token["score"] - expected.max()))
    return float(largest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
