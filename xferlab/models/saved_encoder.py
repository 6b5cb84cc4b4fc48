"""The files of a checkpoint that a run stores, from which its network is built again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xferlab.io.records import read_record
from xferlab.models.checkpoint import Checkpoint, resolve
from xferlab.models.checkpoint_files import CONFIG, TOKENIZER_FILES
from xferlab.models.encoder import Encoder, load_encoder
from xferlab.models.prompts import NO_PROMPTS
from xferlab.models.reading import RECORD, Reading

SHAPE = "encoder.json"
"""What ``config.json`` lacks: whether the checkpoint had its architecture's pooler; the reading."""
SHAPE_RECORD = {"pooler": bool, "reading?": RECORD}


def tokenizer_files(folder: Path) -> dict[str, Path | bytes]:
    """Return the files of the tokenizer in ``folder``, by name."""
    paths = [folder / name for name in (CONFIG, *TOKENIZER_FILES)]
    return {path.name: path for path in paths if path.is_file()}


def files_of(
    checkpoint: Checkpoint, encoder: Encoder, reading: Reading
) -> Mapping[str, Path | bytes]:
    """Return the files from which :func:`saved_encoder` makes the same network and tokenizer."""
    shape = {"pooler": encoder.pooled_output is not None, "reading": reading.record()}
    return {
        **tokenizer_files(checkpoint.folder),
        SHAPE: json.dumps(shape).encode(),
    }


def saved_encoder(
    checkpoint: Checkpoint, first_token_only: bool = False, prepare: Any = None
) -> Encoder:
    """Return the encoder of the files of :func:`files_of`; the weights are random.

    Args:
        checkpoint: :func:`saved_checkpoint` of their folder.
        first_token_only: as in :func:`~xferlab.models.encoder.load_encoder`.
        prepare: likewise.

    Raises:
        ConfigError: a file is missing or damaged.
    """
    pooler = read_record(checkpoint.folder / SHAPE, SHAPE_RECORD)["pooler"]
    return load_encoder(
        checkpoint,
        pretrained=False,
        pooler=pooler,
        first_token_only=first_token_only,
        prepare=prepare,
    )


def saved_reading(folder: Path, is_per_word: bool = False) -> Reading | None:
    """Return how a run reads texts, by the files of :func:`files_of`.

    Args:
        folder: of the files.
        is_per_word: whether the texts are lists of words, which have no prompt.

    Returns:
        None for a run that was trained before this was stored, with transformers' heads alone.
    """
    record = read_record(folder / SHAPE, SHAPE_RECORD).get("reading")
    if record is None:
        return None
    reading = Reading.from_record(record)
    return replace(reading, prompts=NO_PROMPTS) if is_per_word else reading


def saved_checkpoint(folder: Path) -> Checkpoint:
    """Return the config and the tokenizer of the files of :func:`files_of`, without weights."""
    return resolve(str(folder), weights=False)


def origin_of(
    checkpoint: Checkpoint, network: Any, new_layers: Sequence[str], pretrained: bool
) -> dict[str, Any]:
    """Return which parameters are pretrained and which new, for the log and ``run.json``."""
    new = sum(network.get_layer(name).count_params() for name in new_layers)
    loaded = network.count_params() - new if pretrained else 0
    line = f"{loaded:,} parameters from {checkpoint.source}"
    if not pretrained:
        line = f"random (the architecture of {checkpoint.source})"
    return {
        "line": f"{line}; new: {new:,} in {' and '.join(new_layers) or 'nothing'}",
        **checkpoint.record(),
        "pretrained": pretrained,
        "from_checkpoint": loaded,
        "new": new,
    }
