"""The rules of a fast tokenizer, and what is chosen where a checkpoint leaves something open."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Iterator, Sequence
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
COMPARED_WORDS = 50

log = logging.getLogger("xferlab.data.tokenizer")


def padding_id(tokenizer: Any, rows: int | None) -> int:
    """Return the id that fills up a batch: of padding, else of the end of a text, else another.

    Padding is masked, so any id of the table does; but a saved tokenizer needs a token for it. No
    token is added.

    Args:
        tokenizer: a ``PreTrainedTokenizerFast``; one without padding is given the token.
        rows: of the table of embeddings; None where they are not known.
    """
    known = list(_ids_in_table(tokenizer, rows))
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id in known:
        return int(tokenizer.pad_token_id)
    if not known:
        return 0
    token = tokenizer.convert_ids_to_tokens(known[0])
    log.info("the tokenizer has no token for padding: batches are filled up with %r", token)
    tokenizer.pad_token = token
    return known[0]


def id_for_nothing(tokenizer: Any, pad_id: int, rows: int | None) -> int:
    """Return the id of the one token that a text without tokens is: the end of a text.

    It is another one than padding where the tokenizer has a second token that is no text.
    """
    known = [*_ids_in_table(tokenizer, rows), *tokenizer.all_special_ids]
    inside = [i for i in known if rows is None or i < rows]
    return next((i for i in inside if i != pad_id), pad_id)


def _ids_in_table(tokenizer: Any, rows: int | None) -> Iterator[int]:
    """Yield the ids of the end of a text, the unknown token, the beginning and of padding."""
    for token_id in (
        tokenizer.eos_token_id,
        tokenizer.unk_token_id,
        tokenizer.bos_token_id,
        tokenizer.pad_token_id,
    ):
        if token_id is not None and (rows is None or token_id < rows):
            yield token_id


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
