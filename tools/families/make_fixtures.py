"""Writes tiny random checkpoints of every family, and what PyTorch computes with them.

    PYTHON tools/families/make_fixtures.py [NAME ...]

``PYTHON`` is that of an environment with PyTorch and transformers (``benchmarks/peer/README.md``).
Each folder of ``tests/fixtures/families`` gets ``config.json``, ``model.safetensors`` (float32,
with the head of transformers' class for classification), ``expected.npz`` (batches, the outputs of
the encoder and of the head, the gradient of a loss, and the losses of ten steps; dropout is off)
and ``tagger.json`` (the class for token classification, if there is one, and its tensors' shapes).
"""

from __future__ import annotations

import json
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import neobert
import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

FOLDER = Path(__file__).parents[2] / "tests" / "fixtures" / "families"
LONGEST = 24
LABELS = (2, 0, 1)
STEPS = 10
RATE = 0.05
SIZES = {
    "vocab_size": 60,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": LONGEST,
}
AFTER_PADDING = {**SIZES, "max_position_embeddings": LONGEST + 2, "pad_token_id": 1}
WITHOUT_POSITIONS = {key: x for key, x in SIZES.items() if key != "max_position_embeddings"}
MODERNBERT_IDS = {
    f"{name}_token_id": i for i, name in enumerate(["pad", "bos", "eos", "cls", "sep"])
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "albert": ("albert", {**SIZES, "embedding_size": 12, "num_hidden_groups": 1}),
    "bert": ("bert", SIZES),
    "deberta-v2": (
        "deberta-v2",
        {
            **SIZES,
            "type_vocab_size": 2,
            "relative_attention": True,
            "pos_att_type": ["c2p", "p2c"],
            "max_relative_positions": 7,
            "pooler_hidden_act": "tanh",
        },
    ),
    "deberta-v3": (
        "deberta-v2",
        {
            **SIZES,
            "relative_attention": True,
            "pos_att_type": "p2c|c2p",
            "position_biased_input": False,
            "position_buckets": 8,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
        },
    ),
    "distilbert": (
        "distilbert",
        {
            "vocab_size": 60,
            "dim": 24,
            "n_layers": 2,
            "n_heads": 4,
            "hidden_dim": 40,
            "max_position_embeddings": LONGEST,
        },
    ),
    "electra": ("electra", {**SIZES, "embedding_size": 12}),
    "eurobert": ("eurobert", {**SIZES, "num_key_value_heads": 2, "pad_token_id": 0}),
    "gemma3": (
        "gemma3_text",
        {
            **SIZES,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "query_pre_attn_scalar": 12,
            "sliding_window": 4,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "llama": (
        "llama",
        {
            **SIZES,
            "num_key_value_heads": 2,
            "pad_token_id": 0,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 12,
            },
        },
    ),
    "modernbert": ("modernbert", {**SIZES, "local_attention": 8, **MODERNBERT_IDS}),
    "modernbert-mean": (
        "modernbert",
        {
            **SIZES,
            **MODERNBERT_IDS,
            "local_attention": 6,
            "layer_types": ["sliding_attention", "full_attention"],
            "norm_bias": True,
            "attention_bias": True,
            "mlp_bias": True,
            "classifier_bias": True,
            "classifier_pooling": "mean",
            "classifier_activation": "relu",
        },
    ),
    "mpnet": ("mpnet", AFTER_PADDING),
    "neobert": (
        "neobert",
        {**WITHOUT_POSITIONS, "max_length": LONGEST, "intermediate_size": 44, "norm_eps": 1e-5},
    ),
    "nomic_bert": ("nomic_bert", SIZES),
    "qwen3": (
        "qwen3",
        {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0},
    ),
    "roberta": ("roberta", {**AFTER_PADDING, "type_vocab_size": 1}),
}
"""By the folder's name: the ``model_type``, and the keys of ``config.json``."""


def main(names: list[str]) -> None:
    """Write the folders of the families in ``names``, or all."""
    torch.set_num_threads(1)
    neobert.register()
    for name in names or FAMILIES:
        write_fixture(FOLDER / name, *FAMILIES[name])
        size = sum(path.stat().st_size for path in (FOLDER / name).iterdir())
        print(f"{name}: {size / 1024:.0f} KiB")


def write_fixture(folder: Path, model_type: str, keys: dict[str, Any]) -> None:
    """Write one folder."""
    config = AutoConfig.for_model(model_type, **keys, num_labels=len(set(LABELS)))
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    randomize(model, 0.0 if model_type.startswith("gemma") else 1.0)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    model.save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    written = json.loads((folder / "config.json").read_text())
    if left_out := keys.keys() - written.keys():  # NeoBERT's max_length is one of generation
        written |= {key: keys[key] for key in left_out}
        (folder / "config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    segments = int(getattr(config, "type_vocab_size", 0) or 0)
    found = batches(config.pad_token_id, segments)
    expected: dict[str, np.ndarray] = {}
    for case, batch in found.items():
        expected |= {f"{case}/{name}": value for name, value in batch.items()}
        expected |= {f"{case}/{name}": value for name, value in outputs(model, batch).items()}
    expected |= gradients(model, found["padded"])
    expected["losses"] = losses(model, [found["padded"], found["pairs"]])
    np.savez_compressed(folder / "expected.npz", **expected)
    write_tagger(folder, config)


def write_tagger(folder: Path, config: Any) -> None:
    """Write what transformers' class for token classification would save."""
    table: dict[str, Any] = {"class": None, "tensors": {}}
    if type(config) in AutoModelForTokenClassification._model_mapping:
        model = AutoModelForTokenClassification.from_config(config)
        with tempfile.TemporaryDirectory() as saved:
            model.save_pretrained(saved)
            tensors = load_file(Path(saved) / "model.safetensors")
        shapes = {name: list(tensors[name].shape) for name in sorted(tensors)}
        table = {"class": type(model).__name__, "tensors": shapes}
    (folder / "tagger.json").write_text(json.dumps(table) + "\n")


def randomize(model: Any, scale: float) -> None:
    """Give every parameter values of a trained model's size; the default ones hide errors.

    Args:
        model: changed in place.
        scale: mean of the weights of normalisations.
    """
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() == 1:
            is_scale = "norm" in name.lower() and name.endswith("weight")
            values = 0.2 * values + (scale if is_scale else 0.0)
        elif "embed" in name or "bias" in name:
            values = 0.5 * values
        else:
            values = values * 1.2 / parameter.shape[1] ** 0.5
        if name.endswith("position_embeddings.weight") and len(values) > LONGEST:
            values[: len(values) - LONGEST] = 0.0  # rows that no text uses
        parameter.data.copy_(values)


def batches(pad_id: int, segments: int) -> dict[str, dict[str, np.ndarray]]:
    """Return token ids, mask and segments of each case; padding is at the end."""
    random = np.random.default_rng(0)
    lengths = {
        "padded": (12, 7, 3),
        "unpadded": (9, 9, 9),
        "pairs": (11, 6, 8),
        "longest": (LONGEST, 5, LONGEST - 1),
    }
    cases = {}
    for case, sizes in lengths.items():
        mask = (np.arange(max(sizes)) < np.array(sizes)[:, None]).astype("int32")
        ids = random.integers(5, 60, mask.shape).astype("int32")
        batch = {"input_ids": np.where(mask == 1, ids, pad_id).astype("int32")}
        batch["attention_mask"] = mask
        if segments > 1:
            second = (np.arange(max(sizes)) >= np.array(sizes)[:, None] // 2) & (case == "pairs")
            batch["token_type_ids"] = (second * mask).astype("int32")
        cases[case] = batch
    return cases


def tensors(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the arrays as the model's arguments."""
    return {name: torch.from_numpy(value).long() for name, value in batch.items()}


def outputs(model: Any, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the encoder's output for every token, and the logits."""
    with torch.no_grad():
        sequence = model.base_model(**tensors(batch))[0]
        logits = model(**tensors(batch)).logits
    return {"sequence": sequence.numpy(), "logits": logits.numpy()}


def loss_of(model: Any, batch: dict[str, np.ndarray]) -> Any:
    """Return the mean cross-entropy."""
    logits = model(**tensors(batch)).logits
    return torch.nn.functional.cross_entropy(logits, torch.tensor(LABELS))


def gradients(model: Any, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the gradient of the loss by each tensor of the file.

    A model may save its parameters by other names, several in one tensor; so the gradients are
    saved in their place.
    """
    model.zero_grad()
    loss_of(model, batch).backward()
    copy = deepcopy(model)
    for parameter, original in zip(copy.parameters(), model.parameters(), strict=True):
        grad = original.grad
        parameter.data = torch.zeros_like(original) if grad is None else grad.clone()
    with tempfile.TemporaryDirectory() as folder:
        copy.save_pretrained(folder)
        found = load_file(Path(folder) / "model.safetensors")
    return {f"gradient/{name}": value for name, value in found.items()}


def losses(model: Any, cases: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Return the loss before each of ten steps of gradient descent, on each case by turns."""
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    found = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, cases[step % len(cases)])
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return np.array(found, "float32")


if __name__ == "__main__":
    main(sys.argv[1:])
