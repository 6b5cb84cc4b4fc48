"""What no library may read in a checkpoint's folder: code, links, unlisted classes, huge ids."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError
from xferlab.io.atomic import file_state
from xferlab.models.architectures import FAMILIES, Architecture
from xferlab.models.checkpoint_files import CONFIG, read_table

ID_FILES = ("tokenizer.json", "tokenizer_config.json")
"""Files that give tokens an id."""
TOKENIZER_CLASSES = frozenset(
    f"{name}Tokenizer"
    for name in (
        "Albert",
        "Bart",
        "Barthez",
        "Bert",
        "BigBird",
        "Camembert",
        "Cohere",
        "Deberta",
        "DebertaV2",
        "DistilBert",
        "Electra",
        "FNet",
        "Funnel",
        "GPT2",
        "GPTNeoX",
        "Gemma",
        "Herbert",
        "LED",
        "Llama",
        "Longformer",
        "MBart",
        "MPNet",
        "MobileBert",
        "Nllb",
        "Qwen2",
        "RemBert",
        "RoFormer",
        "Roberta",
        "Splinter",
        "SqueezeBert",
        "T5",
        "XLMRoberta",
        "XLNet",
        "PreTrained",
    )
) | {"TokenizersBackend"}
"""Classes of transformers that are tokenizers and nothing else, without their ending ``Fast``."""


def refuse_unsafe(folder: Path, where: str) -> None:
    """Raise ConfigError for what no library may read in a checkpoint's folder.

    That is code for its tokenizer, a link that leads out of the folder (its target would be copied
    into the run), and what is neither file nor folder (reading a pipe waits for ever).
    """
    inside = folder.resolve()
    blobs = inside.parent.parent / "blobs"  # targets of the links in the Hub's cache
    below = (f"*/{CONFIG}", "additional_chat_templates/*")
    for path in (*folder.glob("*"), *(path for each in below for path in folder.glob(each))):
        real = path.resolve()
        if not (real.is_relative_to(inside) or real.parent == blobs):
            raise ConfigError(
                f"'{path.name}' is a link that leads out of the checkpoint",
                where=where,
                fix="replace it by the file itself, if you know what it leads to",
            )
        if real.exists() and not (real.is_file() or real.is_dir()):
            raise ConfigError(
                f"'{path.name}' is no ordinary file", where=where, fix="remove it from the folder"
            )
    for name in ("tokenizer_config.json", CONFIG):
        if (folder / name).is_file():
            table = read_table(folder / name, where)
            refuse_code(table, name, where)
            _refuse_class(table, name, where)
    _refuse_large_ids(folder, where)


def refuse_code(table: dict[str, Any], name: str, where: str) -> None:
    """Raise ConfigError if a JSON table of the checkpoint names code to run."""
    if table.get("auto_map"):
        raise ConfigError(
            f"the checkpoint brings its own code ({name} has auto_map), and that is never run",
            where=where,
            fix="choose a checkpoint without code of its own: " + ", ".join(sorted(FAMILIES)),
        )


def _refuse_class(table: dict[str, Any], name: str, where: str) -> None:
    """Raise ConfigError for a tokenizer class that is not on the list.

    transformers looks the name up among all its classes; some of them (``AutoProcessor``) read
    further files and run the code that these name.
    """
    wanted = table.get("tokenizer_class")
    if wanted is None:
        return
    if isinstance(wanted, str) and wanted.removesuffix("Fast") in TOKENIZER_CLASSES:
        return
    raise ConfigError(
        f"{name} names a tokenizer class that is not loaded: {str(wanted)[:60]!r}",
        where=where,
        fix="save its fast tokenizer again:"
        " PreTrainedTokenizerFast(tokenizer_file='tokenizer.json').save_pretrained(FOLDER)",
    )


def _refuse_large_ids(folder: Path, where: str) -> None:
    """Raise ConfigError for a token id that the checkpoint's table of embeddings does not have.

    The tokenizer's library allocates memory for every id up to the largest one.
    """
    if not (folder / CONFIG).is_file():
        return
    config = read_table(folder / CONFIG, where)
    family = FAMILIES.get(str(config.get("model_type")), Architecture)
    rows = config.get(family.config_keys["vocabulary_size"])
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        return
    states = tuple(file_state(folder / name) for name in ID_FILES if (folder / name).is_file())
    if found := _find_large_id(folder, rows, states, where):
        name, token, token_id = found
        raise ConfigError(
            f"{name} gives the token {token[:40]!r} the id {token_id[:40]}, and the"
            f" checkpoint's table has {rows} rows",
            where=where,
            fix="use the tokenizer that this checkpoint was trained with, or remove that token",
        )


@lru_cache(maxsize=64)
def _find_large_id(
    folder: Path, rows: int, states: tuple[tuple[int, ...], ...], where: str
) -> tuple[str, str, str] | None:
    """Return file, token and id of the first token whose id is none of ``rows``.

    A run checks a checkpoint several times; its files are read again once their states change.
    """
    for name, token, token_id in _stored_ids(folder, where):
        if not isinstance(token_id, int) or not 0 <= token_id < rows:
            return name, str(token), str(token_id)
    return None


def _stored_ids(folder: Path, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield file, token and id of every token, or of the last one where ids are positions."""
    tokenizer, config = ID_FILES
    path = folder / tokenizer
    if path.is_file():
        table = read_table(path, where)
        model = table.get("model")
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
        if isinstance(vocabulary, dict):
            yield from ((path.name, token, number) for token, number in vocabulary.items())
        elif isinstance(vocabulary, list) and vocabulary:
            yield path.name, "the last of its pieces", len(vocabulary) - 1
        for added in table.get("added_tokens") or ():
            if isinstance(added, dict):
                yield path.name, added.get("content"), added.get("id")
    path = folder / config
    if path.is_file():
        added_tokens = read_table(path, where).get("added_tokens_decoder")
        for number, token in added_tokens.items() if isinstance(added_tokens, dict) else ():
            content = token.get("content") if isinstance(token, dict) else token
            yield path.name, content, int(number) if str(number).isdecimal() else number
