"""The files that make an exported encoder a folder of sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.export.output_folder import write_plain
from xferlab.models.checkpoint_files import CONFIG, MODULES, SENTENCE_SETTINGS
from xferlab.models.prompts import Prompts, prompts_of
from xferlab.models.text_vector import OLD_KEYS, POOLINGS, TextVector

if TYPE_CHECKING:
    from xferlab.inference.run import Run

LIBRARY_MODULES = "sentence_transformers.models"
PROMPT = "text"
"""Name of the prompt that a run was trained with; that of the second text of a pair is ``pair``."""


def write_sentence_files(run: Run, vector: TextVector, width: int, folder: Path) -> None:
    """Write ``modules.json`` and what it names, as every version of the library reads them.

    Args:
        run: what is exported.
        vector: what the library is to pool.
        width: of a token's vector.
        folder: of the export.
    """
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    if vector.normalize:
        modules.append(("Normalize", "2_Normalize"))
    listed = [
        {"idx": index, "name": str(index), "path": path, "type": f"{LIBRARY_MODULES}.{kind}"}
        for index, (kind, path) in enumerate(modules)
    ]
    write_plain(folder, MODULES, listed)
    for _, path in modules[1:]:
        (folder / path).mkdir()
    write_plain(folder / "1_Pooling", CONFIG, _pooling_table(vector, width))
    if vector.normalize:
        write_plain(folder / "2_Normalize", CONFIG, {})
    encoder = {"max_seq_length": run.spec.max_length, "do_lower_case": False}
    write_plain(folder, "sentence_bert_config.json", encoder)
    prompts = prompts_of(run.model.tokenizer)
    write_plain(folder, SENTENCE_SETTINGS, _settings_table(prompts))


def _pooling_table(vector: TextVector, width: int) -> dict[str, Any]:
    modes = {ours: name for name, ours in POOLINGS.items()}
    flags = {key: name == modes[vector.pooling] for key, name in OLD_KEYS.items()}
    return {
        "word_embedding_dimension": width,
        **flags,
        "include_prompt": vector.includes_prompt,
    }


def _settings_table(prompts: Prompts) -> dict[str, Any]:
    names = {}
    if prompts:
        names = {PROMPT: prompts.text} | ({} if prompts.is_one else {"pair": prompts.pair})
    return {
        "prompts": names,
        "default_prompt_name": PROMPT if prompts.text else None,
        "similarity_fn_name": "cosine",
    }
