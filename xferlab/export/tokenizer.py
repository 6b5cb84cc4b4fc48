"""Writes the tokenizer of an export; transformers makes the same tokens with it as the run."""

from __future__ import annotations

import json
from pathlib import Path

from xferlab.contracts import TaskSpec, TextModel
from xferlab.data.tokenizer_rules import with_leading_blanks
from xferlab.errors import ConfigError
from xferlab.export.output_folder import write_plain
from xferlab.export.serving_function import TOKENIZER_NAMES


def write_tokenizer(model: TextModel, spec: TaskSpec, folder: Path) -> None:
    """Write the files that ``AutoTokenizer.from_pretrained(folder)`` reads.

    It truncates to the run's ``max_length`` with ``truncation=True``, pads at the end, returns only
    the arrays that the network takes, and for token classification it puts a blank before a word as
    the run did, where the tokenizer distinguishes " word" from "word".

    Raises:
        ConfigError: the run's tokenizer has no such files.
    """
    save = getattr(model.tokenizer, "save", None)
    if save is None:
        raise ConfigError(
            f"the tokenizer of this run ({type(model.tokenizer).__name__}) cannot be saved",
            where="model",
            fix="give it a method save(folder), which writes the files of transformers",
        )
    save(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["model_max_length"] = spec.max_length
    settings["padding_side"] = "right"
    inputs = model.network.input
    settings["model_input_names"] = [
        TOKENIZER_NAMES[name]
        for name in ("token_ids", "segment_ids", "padding_mask")
        if name in inputs
    ]
    if spec.task.is_per_word:
        path = folder / "tokenizer.json"
        rules = path.read_text(encoding="utf-8")
        changed = json.loads(with_leading_blanks(rules))
        if changed != json.loads(rules):
            write_plain(folder, path.name, changed)
            settings["add_prefix_space"] = True
    write_plain(folder, "tokenizer_config.json", settings)
