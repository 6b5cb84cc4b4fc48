"""The files of a Hugging Face checkpoint: their names, and its JSON tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError

CONFIG = "config.json"


@dataclass(frozen=True)
class WeightFormat:
    """How a format of weights names its files.

    Attributes:
        file: of all weights.
        suffix: of every file with weights.
    """

    file: str
    suffix: str

    @property
    def index(self) -> str:
        """The file that says which of several files has which tensor."""
        return f"{self.file}.index.json"

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of all files of the format."""
        parts = f"{self.file.removesuffix(self.suffix)}-*-of-*{self.suffix}"
        return self.file, parts, self.index


SAFETENSORS = WeightFormat("model.safetensors", ".safetensors")
PYTORCH = WeightFormat("pytorch_model.bin", ".bin")
WEIGHT_FORMATS = (SAFETENSORS, PYTORCH)
"""In the order of preference: a folder's other weights are not looked at."""
WEIGHTS = SAFETENSORS.file
WEIGHTS_INDEX = SAFETENSORS.index
TOKENIZERS = (
    ("tokenizer.json",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("spm.model",),
    ("sentencepiece.bpe.model",),
    ("tokenizer.model",),
)
"""Files each of which, or all of a row together, are a tokenizer."""
TOKENIZER_FILES = (
    *(name for names in TOKENIZERS for name in names),
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
MODULES = "modules.json"
"""What sentence-transformers computes with a checkpoint."""
SENTENCE_SETTINGS = "config_sentence_transformers.json"
"""Its prompts."""
SENTENCE_TRANSFORMERS = "sentence_*_config.json"
"""Pattern of its settings of the encoder."""
SENTENCE_FILES = (
    MODULES,
    SENTENCE_SETTINGS,
    SENTENCE_TRANSFORMERS,
    f"[0-9]*_Pooling/{CONFIG}",
    f"[0-9]*_Normalize/{CONFIG}",
)
"""Patterns of the files that say what sentence-transformers computes above an encoder."""
OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.keras", "*.msgpack")
"""Weights of other formats, which are never loaded: their own libraries can run code of them."""


def weight_format(folder: Path) -> WeightFormat | None:
    """Return the format of a folder's weights, or None where it has none that can be read."""
    for each in WEIGHT_FORMATS:
        if (folder / each.file).is_file() or (folder / each.index).is_file():
            return each
    return None


def has_weights(folder: Path, format: WeightFormat) -> bool:
    """Return whether a folder has all weight files of a format."""
    if (folder / format.file).is_file():
        return True
    try:
        names = set(read_table(folder / format.index, "")["weight_map"].values())
        return bool(names) and all((folder / str(name)).is_file() for name in names)
    except (AttributeError, ConfigError, KeyError, TypeError):
        return False


def read_table(path: Path, where: str) -> dict[str, Any]:
    """Return a JSON table of a checkpoint, or raise ConfigError."""
    table = read_json(path, where)
    if not isinstance(table, dict):
        raise ConfigError(f"{path.name} is not a JSON table", where=where, fix=f"replace {path}")
    return table


def read_json(path: Path, where: str) -> Any:
    """Return the content of a JSON file of a checkpoint, or raise ConfigError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
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
