"""Tokenizers of checkpoints."""

from __future__ import annotations

import hashlib
import logging
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from xferlab.contracts import Encoding, TaskSpec
from xferlab.data.batching import Ragged, row_lengths
from xferlab.data.tokenizer_rules import (
    choose_padding,
    id_for_nothing,
    refuse_wrong_conversion,
    remove_tokens,
    with_leading_blanks,
    without_added_tokens,
)
from xferlab.data.windows import CHUNK, Window, are_lists, windows_by_rules, windows_of_pairs
from xferlab.errors import ConfigError
from xferlab.io.atomic import no_standard_input
from xferlab.models.prompts import NO_PROMPTS, Prompts
from xferlab.models.untrusted_checkpoint import embedding_rows, refuse_unsafe
from xferlab.progress import Pace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CountedEncoding(Encoding):
    """Token ids, and how many examples were too long.

    Attributes:
        cut: examples that were truncated.
    """

    cut: int = 0


def load_tokenizer(
    folder: Path, prompts: Prompts = NO_PROMPTS, *, apart: bool = False
) -> HubTokenizer:
    """Return the tokenizer of a Hugging Face folder; no code of the folder is run.

    Args:
        folder: of the checkpoint.
        prompts: what it puts before texts.
        apart: encode the two texts of a pair apart, one after the other.

    Raises:
        ConfigError: there is none, only a slow one, or the folder has more than data.
    """
    where = str(folder)
    refuse_unsafe(folder, where)
    # no warning that PyTorch is missing
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import transformers

    fix = "the folder needs tokenizer.json (or vocab.txt) and tokenizer_config.json"
    try:
        with no_standard_input():
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                where, local_files_only=True, use_fast=True, trust_remote_code=False
            )
    except Exception as e:
        what = str(e).strip().partition("\n")[0]
        raise ConfigError(f"no tokenizer could be loaded: {what}", where=where, fix=fix) from e
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError("the tokenizer has no fast version", where=where, fix=fix)
    refuse_wrong_conversion(tokenizer, folder)
    rows = embedding_rows(folder, where)
    choose_padding(tokenizer, rows)
    return (ApartTokenizer if apart else HubTokenizer)(tokenizer, rows, prompts)


def tokenizer_of(folder: Path, spec: TaskSpec, prompts: Prompts = NO_PROMPTS) -> HubTokenizer:
    """Return the tokenizer of a folder, as a task reads texts, see :func:`load_tokenizer`."""
    return load_tokenizer(folder, prompts, apart=spec.task.encodes_texts_apart)


class HubTokenizer:
    """A fast tokenizer of transformers, as a :class:`~xferlab.contracts.Tokenizer`.

    A text of which no token is left, of a tokenizer that adds none, is one token: the mean or the
    last vector of no tokens would be no number.

    Args:
        tokenizer: a ``PreTrainedTokenizerFast``.
        rows: of the table of embeddings; tokens that were added beyond it are read as text.
        prompts: what it puts before texts; lists of words have none.

    Attributes:
        prompts: what it puts before texts.
        has_padding: whether it has a token for padding.
        pad_id: token id of padding; 0 where it has none.
        vocabulary_size: how many tokens there are.
        largest_id: the largest token id that it can give.
        unknown_id: token id of what is not in the vocabulary, if it has one.
        mask_id: token id of a masked token, if it has one.
        special_ids: token ids that are not text.
        rules: of the library ``tokenizers``, as JSON.
        fingerprint: SHA-256 of everything that the ids depend on, and of the library's version.
    """

    def __init__(
        self, tokenizer: Any, rows: int | None = None, prompts: Prompts = NO_PROMPTS
    ) -> None:
        import tokenizers

        self._tokenizer = tokenizer
        self.prompts = prompts
        engine = tokenizer.backend_tokenizer
        engine.no_padding()
        engine.no_truncation()
        rules = engine.to_str()
        added = tokenizer.added_tokens_decoder
        self._beyond = {i: str(x) for i, x in added.items() if rows is not None and i >= rows}
        if self._beyond:
            rules = without_added_tokens(rules, list(self._beyond))
            engine = tokenizers.Tokenizer.from_str(rules)
        self.rules = rules
        self._word_rules = with_leading_blanks(rules)
        self.has_padding = tokenizer.pad_token_id is not None
        self.pad_id = tokenizer.pad_token_id or 0
        self._id_for_nothing = id_for_nothing(tokenizer, rows)
        self.vocabulary_size = len(tokenizer)
        known = engine.get_vocab(with_added_tokens=True).values()
        self.largest_id = max([*known, *engine.encode("a", "a").ids], default=-1)
        self.unknown_id: int | None = tokenizer.unk_token_id
        self.mask_id: int | None = tokenizer.mask_token_id
        self.special_ids: list[int] = tokenizer.all_special_ids
        text = f"{tokenizers.__version__}\n{self.pad_id}\n{self._id_for_nothing}\n{rules}"
        if prompts:
            text += f"\n{prompts}"
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()

    def encode(
        self, texts: Sequence[Any], pairs: Sequence[str] | None, max_length: int
    ) -> CountedEncoding:
        """Return the token ids of texts, of text pairs, or of lists of words.

        Args:
            texts: strings, or lists of words, for which ``word_ids`` are returned too.
            pairs: second texts; of a pair that is too long the longer text is truncated first.
            max_length: most tokens of an example, special ones included.
        """
        encoding, is_cut = self._encode(texts, pairs, max_length)
        return replace(encoding, cut=sum(is_cut))

    def _encode(
        self, texts: Sequence[Any], pairs: Sequence[str] | None, max_length: int
    ) -> tuple[CountedEncoding, bytearray]:
        """Return token ids, and 1 for each example that is truncated, 0 for each other."""
        import numpy as np

        are_words = are_lists(texts)
        engine = _truncating_engine(self._word_rules if are_words else self.rules, max_length)
        # the fast method does not return word ids
        encode = engine.encode_batch if are_words else engine.encode_batch_fast
        sizes = array("i")
        ids = array("i")
        segments = array("i")
        words = array("i")
        is_cut = bytearray()
        empty = 0
        pace = Pace()
        for first in range(0, len(texts), CHUNK):
            rows = list(texts[first : first + CHUNK])
            if self.prompts and not are_words:
                rows = [self.prompts.text + row for row in rows]
            if pairs is not None:
                others = [self.prompts.pair + pair for pair in pairs[first : first + CHUNK]]
                rows = list(zip(rows, others, strict=True))
            done = encode(rows, is_pretokenized=are_words)
            nothing = [] if are_words else [self._id_for_nothing]
            tokens = [row.ids or nothing for row in done]
            empty += sum(not row.ids for row in done)
            sizes.extend(map(len, tokens))
            _append(ids, tokens)
            _append(segments, [row.type_ids or [0] * len(nothing) for row in done])
            if are_words:
                _append(words, [[-1 if w is None else w for w in row.word_ids] for row in done])
            is_cut.extend(len(row) >= max_length and bool(row.overflowing) for row in done)
            if pace.is_due():
                rate = pace.rate(len(sizes))
                log.info("tokenised %d of %d examples, %d/s", len(sizes), len(texts), rate)
        if empty and not are_words:
            token = self._tokenizer.convert_ids_to_tokens(self._id_for_nothing)
            log.info("texts without a token: %d; each is read as %r", empty, token)
        lengths = np.frombuffer(sizes, dtype="int32")
        encoding = CountedEncoding(
            token_ids=Ragged(np.frombuffer(ids, dtype="int32"), lengths),
            segment_ids=Ragged(np.frombuffer(segments, dtype="int32"), lengths),
            word_ids=Ragged(np.frombuffer(words, dtype="int32"), lengths) if are_words else None,
        )
        return encoding, is_cut

    def windows(
        self,
        texts: Sequence[Any],
        max_length: int,
        overlap: int,
        pairs: Sequence[str] | None = None,
    ) -> Iterator[list[Window]]:
        """Yield the windows of each text or pair: token ids, segment ids and word ids."""
        if pairs is not None:
            both = zip(texts, pairs, strict=True)
            rows = [(self.prompts.text + one, self.prompts.pair + two) for one, two in both]
            sizes = (max_length, overlap, self._id_for_nothing)
            return windows_of_pairs(self.rules, rows, *sizes)
        are_words = are_lists(texts)
        rules = self._word_rules if are_words else self.rules
        single = texts if are_words else [self.prompts.text + text for text in texts]
        return windows_by_rules(rules, single, max_length, overlap, self._id_for_nothing)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids, without special tokens."""
        return self._tokenizer.decode(list(map(int, token_ids)), skip_special_tokens=True)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into a folder, for :func:`load_tokenizer`."""
        self._tokenizer.save_pretrained(str(folder))
        if self._beyond:
            remove_tokens(folder, list(self._beyond.values()))


class ApartTokenizer(HubTokenizer):
    """Encodes the texts of a pair as two texts, of at most ``max_length`` tokens each.

    Their tokens stand one after the other, those of the second have the segment 1.
    """

    def __init__(
        self, tokenizer: Any, rows: int | None = None, prompts: Prompts = NO_PROMPTS
    ) -> None:
        super().__init__(tokenizer, rows, prompts)
        self._of_second = HubTokenizer(tokenizer, rows, Prompts(prompts.pair, prompts.pair))
        self.fingerprint = hashlib.sha256(f"apart {self.fingerprint}".encode()).hexdigest()

    def encode(
        self, texts: Sequence[Any], pairs: Sequence[str] | None, max_length: int
    ) -> CountedEncoding:
        """Return the token ids of both texts of each pair; of texts alone as those of one."""
        import numpy as np

        if pairs is None:
            return super().encode(texts, None, max_length)
        first, is_cut = self._encode(texts, None, max_length)
        second, is_second_cut = self._of_second._encode(pairs, None, max_length)
        cut = sum(map(max, is_cut, is_second_cut))
        rows = [np.concatenate(row) for row in zip(first.token_ids, second.token_ids, strict=True)]
        sizes = zip(row_lengths(first), row_lengths(second), strict=True)
        segments = [np.repeat(np.array([0, 1], "int32"), size) for size in sizes]
        return CountedEncoding(rows, segments, cut=cut)


@lru_cache(maxsize=4)
def _truncating_engine(rules: str, max_length: int) -> Any:
    """Return an engine that truncates at ``max_length``; it is never changed, so thread-safe."""
    import tokenizers

    engine = tokenizers.Tokenizer.from_str(rules)
    engine.enable_truncation(max_length, strategy="longest_first")
    return engine


def _append(flat: array[int], rows: Sequence[Sequence[int]]) -> None:
    """Append the values of rows to one array, which grows in place."""
    from itertools import chain

    import numpy as np

    flat.frombytes(np.fromiter(chain.from_iterable(rows), dtype="int32").tobytes())
