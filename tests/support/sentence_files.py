"""The files of a sentence-transformers folder, as its versions write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OLD_TYPES = {
    name: f"sentence_transformers.models.{name}" for name in ("Transformer", "Pooling", "Normalize")
}
NEW_TYPES = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
}


def write_sentence_files(
    folder: Path,
    pooling: Mapping[str, Any] | None = None,
    *,
    normalize: bool = False,
    types: Mapping[str, str] = OLD_TYPES,
) -> None:
    """Make a checkpoint's folder one of sentence-transformers; it pools by the mean by default."""
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    kinds = list(paths)[: 3 if normalize else 2]
    listed = [
        {"idx": i, "name": str(i), "path": paths[kind], "type": types[kind]}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    for kind in kinds[1:]:
        (folder / paths[kind]).mkdir(exist_ok=True)
    table = {"pooling_mode_mean_tokens": True} if pooling is None else pooling
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(table))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 24}')
