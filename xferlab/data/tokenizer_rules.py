"""The rules of a fast tokenizer, and what is chosen where a checkpoint leaves something open."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError

SENTENCEPIECE_FILES = (
    "spm.model",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
"""Models of SentencePiece, by the names that transformers gives them."""
SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""Files of a saved tokenizer that name tokens beside ``tokenizer.json``."""
COMPARED_WORDS = 50

log = logging.getLogger("xferlab.data.tokenizer")


def choose_padding(tokenizer: Any, rows: int | None) -> None:
    """Give a tokenizer without a usable token for padding another of its special tokens.

    Llama's have none, and Qwen3's embedding models end each text with it. PyTorch's classes for
    decoders read the last token that is not padding's, so no text may end with it. Attention is
    masked, so nothing else depends on the choice. No token is added.

    Args:
        tokenizer: a ``PreTrainedTokenizerFast``.
        rows: of the table of embeddings; None where they are not known.
    """
    engine = tokenizer.backend_tokenizer
    engine.no_padding()  # its file may fill up each text: all-MiniLM-L6-v2's does, to 128 tokens
    ids = engine.encode("a").ids
    known = [i for i in _special_ids(tokenizer, rows) if i not in ids[-1:]]
    if tokenizer.pad_token_id not in known:
        token = tokenizer.convert_ids_to_tokens(known[0]) if known else None
        tokenizer.pad_token = token
        log.info("no token is for padding: batches are filled up with %s", token or "id 0")


def id_for_nothing(tokenizer: Any, rows: int | None) -> int:
    """Return the id of the one token that a text without tokens is: the end of a text.

    It is another one than padding where the tokenizer has a second token that is no text.
    """
    known = _special_ids(tokenizer, rows)
    others = [i for i in known if i != tokenizer.pad_token_id]
    return next(iter(others or known), 0)


def _special_ids(tokenizer: Any, rows: int | None) -> list[int]:
    """Return the special ids that the table of embeddings has, that of a text's end first."""
    ids = (tokenizer.eos_token_id, *tokenizer.all_special_ids)
    return [i for i in ids if i is not None and (rows is None or i < rows)]


def without_added_tokens(rules: str, ids: Sequence[int]) -> str:
    """Return a tokenizer's rules without some of the tokens that were added to its vocabulary."""
    parsed = json.loads(rules)
    dropped = [each["content"] for each in parsed["added_tokens"] if each["id"] in ids]
    log.info(
        "read as text, because the table of embeddings has no row for them: %s",
        ", ".join(map(repr, dropped)),
    )
    parsed["added_tokens"] = [each for each in parsed["added_tokens"] if each["id"] not in ids]
    return json.dumps(parsed, ensure_ascii=False)


def remove_tokens(folder: Path, contents: Sequence[str]) -> None:
    """Remove added tokens from the files of a saved tokenizer.

    transformers adds a token anew that any of the files names.
    """
    for name in ("tokenizer.json", *SETTINGS):
        path = folder / name
        if path.is_file():
            table = json.loads(path.read_text(encoding="utf-8"))
            if name in SETTINGS:
                table = _without(table, contents)
            else:
                tokens = table["added_tokens"]
                table["added_tokens"] = [x for x in tokens if x["content"] not in contents]
            path.write_text(json.dumps(table, ensure_ascii=False, indent=2), encoding="utf-8")


def _without(node: Any, contents: Sequence[str]) -> Any:
    """Return a JSON value without the keys, texts and descriptions of tokens."""
    if isinstance(node, dict):
        pairs = ((key, x) for key, x in node.items() if key not in contents)
        return {key: _without(x, contents) for key, x in pairs if not _names(x, contents)}
    if isinstance(node, list):
        return [_without(x, contents) for x in node if not _names(x, contents)]
    return node


def _names(node: Any, contents: Sequence[str]) -> bool:
    text = node.get("content") if isinstance(node, dict) else node
    return isinstance(text, str) and text in contents


def with_leading_blanks(rules: str) -> str:
    """Return a tokenizer's rules changed so that each word of a list begins with a blank.

    Byte-level tokenizers (RoBERTa) distinguish " word" from "word"; a word in a text is the former.
    """

    def change(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "ByteLevel" and "add_prefix_space" in node:
                node["add_prefix_space"] = True
            for value in node.values():
                change(value)
        elif isinstance(node, list):
            for value in node:
                change(value)

    parsed = json.loads(rules)
    change(parsed["pre_tokenizer"])
    return json.dumps(parsed, ensure_ascii=False)


def refuse_wrong_conversion(tokenizer: Any, folder: Path) -> None:
    """Raise ConfigError where a tokenizer cuts words otherwise than the model it was made of does.

    transformers converts a model of SentencePiece by the rules of its class; without the right one
    a blank before the first word may be missing.
    """
    models = [folder / name for name in SENTENCEPIECE_FILES if (folder / name).is_file()]
    if not models or (folder / "tokenizer.json").is_file():
        return
    import sentencepiece

    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(models[0]))
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"{models[0].name} cannot be read: {error}", where=str(folder), fix="copy it again"
        ) from error
    text = " ".join(_plain_words(model))
    if text and model.encode(text, out_type=str) != tokenizer.tokenize(text):
        raise ConfigError(
            f"{models[0].name} was converted by the rules of another tokenizer"
            f" ({type(tokenizer).__name__})",
            where=str(folder),
            fix="name its class in tokenizer_config.json (tokenizer_class), or save its"
            " tokenizer.json with transformers beside it",
        )


def _plain_words(model: Any) -> list[str]:
    """Return words that are pieces of a model, which no normalisation changes."""
    pieces = (model.id_to_piece(i) for i in range(model.vocab_size()))
    words = [piece[1:] for piece in pieces if piece.startswith("\u2581")]
    plain = [w for w in words if w.isalpha() and w == unicodedata.normalize("NFKD", w.lower())]
    return plain[:COMPARED_WORDS]
