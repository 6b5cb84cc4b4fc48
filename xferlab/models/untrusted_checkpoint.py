"""What no library may read in a checkpoint's folder: code, links, unlisted classes, huge ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError
from xferlab.io.atomic import file_state
from xferlab.models.architectures import FAMILIES, Architecture
from xferlab.models.checkpoint_files import CONFIG, read_table

TOKENIZER = "tokenizer.json"
VOCABULARY = "vocab.txt"
UNUSED_BESIDE = (VOCABULARY, "vocab.json")
"""Files that are not read where there is a ``tokenizer.json``."""
ID_FILES = (TOKENIZER, "tokenizer_config.json", "added_tokens.json", *UNUSED_BESIDE)
"""Files that give tokens an id."""
MOST_BEYOND = 100
"""Tokens that may be added beyond the table of embeddings."""
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
    """Raise ConfigError if a JSON table of the checkpoint names code that would have to be run.

    The code of a model is left aside where its family computes the same.
    """
    code = table.get("auto_map")
    family = FAMILIES.get(str(table.get("model_type")), Architecture)
    is_model = isinstance(code, dict) and "AutoTokenizer" not in code
    if code and not (is_model and family.replaces_own_code):
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


def embedding_rows(folder: Path, where: str) -> int | None:
    """Return the rows of the checkpoint's table of embeddings, None where nothing states them."""
    if not (folder / CONFIG).is_file():
        return None
    config = read_table(folder / CONFIG, where)
    family = FAMILIES.get(str(config.get("model_type")), Architecture)
    rows = config.get(family.config_keys["vocabulary_size"])
    return rows if isinstance(rows, int) and not isinstance(rows, bool) and rows > 0 else None


def _refuse_large_ids(folder: Path, where: str) -> None:
    """Raise ConfigError for a token id that the checkpoint's table of embeddings does not have.

    The tokenizer's library allocates memory for every id up to the largest one. A few tokens that
    were added beyond the table are no error: they are read as text (``data.tokenizer``).
    """
    rows = embedding_rows(folder, where)
    if rows is None:
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
    present = [name for name in ID_FILES if (folder / name).is_file()]
    for name in present:
        if name in UNUSED_BESIDE and TOKENIZER in present:
            continue
        if name == VOCABULARY:
            table = {"model": {"vocab": (folder / name).read_bytes().splitlines()}}
        else:
            table = read_table(folder / name, where)
        for ids, limit in ((_vocabulary, rows), (_added_tokens, rows + MOST_BEYOND)):
            for token, token_id in ids(name, table):
                if not isinstance(token_id, int) or not 0 <= token_id < limit:
                    return name, str(token), str(token_id)
    return None


def _vocabulary(name: str, table: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield token and id of a file's vocabulary, or of the last one where ids are positions."""
    model = table.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if name == "vocab.json":
        vocabulary = table
    if isinstance(vocabulary, Mapping):
        yield from vocabulary.items()
    elif isinstance(vocabulary, list) and vocabulary:
        yield "the last of its pieces", len(vocabulary) - 1


def _added_tokens(name: str, table: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield token and id of the tokens that a file adds to a vocabulary."""
    if name == "added_tokens.json":
        yield from table.items()
    for added in (table.get("added_tokens") if name == TOKENIZER else ()) or ():
        if isinstance(added, dict):
            yield added.get("content"), added.get("id")
    decoder = table.get("added_tokens_decoder")
    for number, token in decoder.items() if isinstance(decoder, dict) else ():
        content = token.get("content") if isinstance(token, dict) else token
        yield content, int(number) if str(number).isdecimal() else number
