"""The files of a Hugging Face checkpoint: their names, and its JSON tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
WEIGHT_PATTERNS = (WEIGHTS, "model-*-of-*.safetensors", WEIGHTS_INDEX)
TOKENIZERS = (
    ("tokenizer.json",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
)
"""Files each of which, or all of a row together, are a tokenizer."""
TOKENIZER_FILES = (
    *(name for names in TOKENIZERS for name in names),
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.keras", "*.msgpack")
"""Weights that are never loaded: reading them can run code."""


def read_table(path: Path, where: str) -> dict[str, Any]:
    """Return a JSON table of a checkpoint, or raise ConfigError."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"the folder has no {path.name}: {path.parent}",
            where=where,
            fix="give a folder that transformers' save_pretrained wrote",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path.name} cannot be read: {error}", where=where, fix=f"correct or replace {path}"
        ) from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path.name} is not a JSON table", where=where, fix=f"replace {path}")
    return table
