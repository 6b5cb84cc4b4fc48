"""A WordPiece tokenizer as TensorFlow's own operators, so that a graph takes texts.

What the library ``tokenizers`` does to a character (clean, strip accents, lower case, split at
punctuation) depends on that character alone, so a table of all characters, made by the library
itself, holds it exactly. One thing does not, the canonical order of marks that are no accents
(UAX 15, https://unicode.org/reports/tr15): a vocabulary for which it matters is refused. WordPiece
is greedy: of the rest of a word the longest piece of the vocabulary, and so on (Wu et al. 2016,
https://arxiv.org/abs/1609.08144; Devlin et al. 2019).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

CHARACTERS = 0x110000
PAGE = 256
"""Characters of a page of the table; most pages are equal."""
PRIVATE = 0xF0000
"""The first of the private characters that stand for special tokens; texts lose theirs."""
SAME, DROPPED, BLANK, ALONE, OTHER = range(5)
"""What becomes of a character: itself, nothing, a blank, a word of its own, or a string."""


@dataclass(frozen=True, eq=False)
class CharacterTable:
    """What becomes of each character.

    Attributes:
        pages: distinct pages, int32 (pages, 256): a code, or OTHER + i for ``strings[i]``.
        page_of: which page has the characters from 256 i on, int32 (4352,).
        strings: what characters become that become several or others.
    """

    pages: np.ndarray
    page_of: np.ndarray
    strings: list[str]


@dataclass(frozen=True, eq=False)
class Template:
    """The special tokens around one text, or around two.

    Attributes:
        ids: before, between and after the texts; one text has no part between.
        segments: likewise, their segments.
        text_segments: the segment of each text.
    """

    ids: Sequence[Sequence[int]]
    segments: Sequence[Sequence[int]]
    text_segments: Sequence[int]


@dataclass(frozen=True, eq=False)
class WordPiece:
    """The rules of a tokenizer.

    Attributes:
        characters: what normalizing and splitting makes of each.
        vocabulary: ids of pieces; special tokens are there by their private characters.
        special: special tokens that are found in texts, by their private characters.
        unknown_id: of a word without pieces.
        prefix: of a piece that begins no word.
        longest_word: characters of a word that is not unknown.
        template: the special tokens around texts.
    """

    characters: CharacterTable
    vocabulary: Mapping[str, int]
    special: Mapping[str, str]
    unknown_id: int
    prefix: str
    longest_word: int
    template: Template


def refuse_other_rules(rules: str, where: str) -> None:
    """Raise ConfigError for a tokenizer that is no WordPiece with BERT's rules.

    Args:
        rules: of the library ``tokenizers``, as JSON.
        where: for the error.
    """
    what = _other_rules(rules)
    if what:
        fix = "--to saved_model, which takes the tokenizer's arrays"
        raise ConfigError(f"a graph of texts is for {what}", where=where, fix=fix)


def _other_rules(rules: str) -> str:
    """Return what a tokenizer has that a graph does not compute; empty without that."""
    table = json.loads(rules)
    parts = ("model", "normalizer", "pre_tokenizer")
    found = [str((table[part] or {}).get("type")) for part in parts]
    added = table["added_tokens"]
    is_plain = not any(
        x["normalized"] or x["lstrip"] or x["rstrip"] or x["single_word"] for x in added
    )
    if found != ["WordPiece", "BertNormalizer", "BertPreTokenizer"] or not is_plain:
        return (
            f"WordPiece with BERT's rules; this tokenizer is {found[0]} with {found[1]}, {found[2]}"
            f"{'' if is_plain else ' and tokens added as words'}"
        )
    if not table["normalizer"]["clean_text"]:  # private characters, which stand for special tokens
        return "a tokenizer that removes control characters; this one keeps them (clean_text)"
    marks = _marks_that_change_places(rules)
    if marks:
        names = " and ".join(f"U+{ord(mark):04X}" for mark in marks)
        return f"a vocabulary without two marks that normalizing puts in order, as {names}"
    return ""


def _marks_that_change_places(rules: str) -> str:
    """Return two marks of the vocabulary that normalizing puts in another order, or no text.

    Of others the order does not matter: a word with a character that no piece has is unknown.
    """
    import tokenizers

    engine = tokenizers.Tokenizer.from_str(rules).normalizer
    letters = set("".join(json.loads(rules)["model"]["vocab"]))
    marks = sorted(
        x for x in letters if unicodedata.combining(x) or unicodedata.category(x) == "Cn"
    )
    kept = [mark for mark in marks if engine.normalize_str(f"a{mark}") == f"a{mark}"]
    pairs = (first + second for first in kept for second in kept)
    return next((pair for pair in pairs if engine.normalize_str(f"a{pair}") != f"a{pair}"), "")


def read_rules(rules: str, *, has_pairs: bool) -> WordPiece:
    """Return the tables of a tokenizer that :func:`refuse_other_rules` accepts."""
    import tokenizers

    engine = tokenizers.Tokenizer.from_str(rules)
    engine.no_truncation()
    engine.no_padding()
    table = json.loads(rules)
    added = {token["content"]: token["id"] for token in table["added_tokens"]}
    special = {chr(PRIVATE + i): content for i, content in enumerate(added)}
    model = table["model"]
    vocabulary = dict(model["vocab"])
    return WordPiece(
        character_table(engine, special),
        vocabulary | {sign: added[content] for sign, content in special.items()},
        special,
        engine.token_to_id(model["unk_token"]) or 0,
        model["continuing_subword_prefix"],
        model["max_input_chars_per_word"],
        _template(engine, vocabulary, has_pairs=has_pairs),
    )


def character_table(engine: Any, special: Mapping[str, str]) -> CharacterTable:
    """Return what a tokenizer's normalizer and pre-tokenizer make of each character."""
    import numpy as np

    codes = np.full(CHARACTERS, DROPPED, "int32")  # no text has a half of a surrogate pair
    strings: dict[str, int] = {}
    for first in range(0, CHARACTERS, PAGE):
        if not 0xD800 <= first <= 0xDFFF:
            page = [chr(number) for number in range(first, first + PAGE)]
            for own, made in zip(page, _made_of(engine, page), strict=True):
                plain = {own: SAME, "": DROPPED, " ": BLANK, f" {own} ": ALONE}
                code = (
                    plain[made] if made in plain else OTHER + strings.setdefault(made, len(strings))
                )
                codes[ord(own)] = code
    for sign in special:
        codes[ord(sign)] = ALONE
    pages, page_of = np.unique(codes.reshape(-1, PAGE), axis=0, return_inverse=True)
    return CharacterTable(pages, page_of.reshape(-1).astype("int32"), list(strings))


def _made_of(engine: Any, characters: Sequence[str]) -> list[str]:
    """Return what becomes of each character, with blanks where words are split.

    Words of two letters are between them, so that one call does all.
    """
    normal = engine.normalizer.normalize_str(f"a{'az'.join(characters)}z")
    parts = normal[1:-1].split("az")
    distinct = list(dict.fromkeys("".join(parts)))
    line = " ".join(f"a{each}z" for each in distinct)
    spans = {place: end for _, (place, end) in engine.pre_tokenizer.pre_tokenize_str(line)}
    split = {}
    for i, each in enumerate(distinct):
        is_whole = spans.get(4 * i) == 4 * i + 3
        split[each] = each if is_whole else f" {each} " if 4 * i + 1 in spans else " "
    return [re.sub(" +", " ", "".join(split[each] for each in part)) for part in parts]


def _template(engine: Any, vocabulary: Mapping[str, int], *, has_pairs: bool) -> Template:
    """Return the special tokens around texts, from the tokens of two known words."""
    words = [word for word in vocabulary if word.isalpha() and word.isascii() and word.islower()]
    texts = [word for word in words if len(engine.encode(word, add_special_tokens=False)) == 1][:2]
    found = engine.encode(*texts[: 1 + has_pairs])
    ids = found.ids
    segments = found.type_ids
    places = [ids.index(vocabulary[text]) for text in texts[: 1 + has_pairs]]
    starts = [0, *(place + 1 for place in places)]
    ends = [*places, len(ids)]
    return Template(
        [ids[a:b] for a, b in zip(starts, ends, strict=True)],
        [segments[a:b] for a, b in zip(starts, ends, strict=True)],
        [segments[place] for place in places],
    )


class TextGraph:
    """Makes a network's arrays of texts, traceable.

    Args:
        rules: of the tokenizer.
        max_length: most tokens, special ones included; of a pair the longer text is cut first.
        pad_id: fills up a batch.

    Attributes:
        table: of the vocabulary; a SavedModel has to track it.
    """

    def __init__(self, rules: WordPiece, max_length: int, pad_id: int) -> None:
        import tensorflow as tf

        self._rules = rules
        self._room = max_length - sum(map(len, rules.template.ids))
        self._pad_id = pad_id
        pieces = list(rules.vocabulary)
        ids = [rules.vocabulary[piece] for piece in pieces]
        initial = tf.lookup.KeyValueTensorInitializer(pieces, tf.constant(ids, tf.int32))
        self.table = tf.lookup.StaticHashTable(initial, -1)
        self._longest_piece = max(len(piece.removeprefix(rules.prefix)) for piece in pieces)

    def __call__(self, *texts: Any) -> dict[str, Any]:
        """Return token_ids, segment_ids and padding_mask, int32 (batch, length).

        Args:
            texts: strings (batch,), UTF-8: one, or the first and the second texts of pairs.
        """
        import tensorflow as tf

        template = self._rules.template
        kept = self._cut([self._pieces(self._words(text)) for text in texts])
        ids: list[Any] = []
        segments: list[Any] = []
        rows = tf.shape(texts[0])[0]
        for i, part in enumerate(template.ids):
            ids.append(tf.tile(tf.constant([part], tf.int32, (1, len(part))), (rows, 1)))
            own = tf.constant([template.segments[i]], tf.int32, (1, len(part)))
            segments.append(tf.tile(own, (rows, 1)))
            if i < len(kept):
                ids.append(kept[i])
                segments.append(tf.ones_like(kept[i]) * template.text_segments[i])
        token_ids = tf.concat(ids, axis=1)
        mask = tf.ones_like(token_ids)
        return {
            "token_ids": token_ids.to_tensor(self._pad_id),
            "segment_ids": tf.concat(segments, axis=1).to_tensor(),
            "padding_mask": mask.to_tensor(),
        }

    def _words(self, texts: Any) -> Any:
        """Return normalized words, ragged strings (batch, None)."""
        import tensorflow as tf

        table = self._rules.characters
        last = chr(PRIVATE + len(self._rules.special))
        texts = tf.strings.regex_replace(texts, f"[{chr(PRIVATE)}-{last}]", "")
        longest_first = sorted(self._rules.special.items(), key=lambda item: -len(item[1]))
        for sign, content in longest_first:
            texts = tf.strings.regex_replace(texts, re.escape(content), sign)
        characters = tf.strings.unicode_decode(texts, "UTF-8")
        numbers = characters.flat_values
        pages = tf.gather(table.page_of, numbers // PAGE)
        codes = tf.gather_nd(table.pages, tf.stack([pages, numbers % PAGE], axis=1))
        own = tf.strings.unicode_encode(numbers[:, None], "UTF-8")
        others = tf.constant([*table.strings, ""])
        made = tf.where(codes == SAME, own, tf.gather(others, tf.maximum(codes - OTHER, 0)))
        made = tf.where(codes == DROPPED, "", made)
        made = tf.where(codes == BLANK, " ", made)
        made = tf.where(codes == ALONE, tf.strings.join([" ", own, " "]), made)
        return tf.strings.split(tf.strings.reduce_join(characters.with_flat_values(made), axis=-1))

    def _pieces(self, words: Any) -> Any:
        """Return the ids of the pieces of all words, ragged int32 (batch, None)."""
        import tensorflow as tf

        flat = words.flat_values
        length = tf.strings.length(flat, unit="UTF8_CHAR")
        sizes = tf.range(1, self._longest_piece + 1)

        def is_unfinished(start: Any, _found: Any) -> Any:
            return tf.reduce_any((start >= 0) & (start < length))

        def next_piece(start: Any, found: Any) -> tuple[Any, Any]:
            place = tf.minimum(tf.maximum(start, 0), length)
            rest = tf.strings.substr(flat, place, tf.fill(tf.shape(place), sizes[-1]), "UTF8_CHAR")
            rest = tf.repeat(rest[:, None], self._longest_piece, axis=1)
            ends = tf.broadcast_to(sizes, tf.shape(rest))
            each = tf.strings.substr(rest, tf.zeros_like(ends), ends, unit="UTF8_CHAR")
            prefix = tf.where(place > 0, self._rules.prefix, "")[:, None]
            ids = self.table.lookup(tf.strings.join([tf.repeat(prefix, sizes[-1], axis=1), each]))
            fits = (ids >= 0) & (ends <= (length - place)[:, None])
            size = tf.reduce_max(tf.where(fits, ends, 0), axis=1)
            chosen = tf.gather(ids, tf.maximum(size - 1, 0), batch_dims=1)
            is_done = (start < 0) | (start >= length)
            is_lost = ~is_done & (size == 0)
            found = tf.concat([found, tf.where(is_done | is_lost, -1, chosen)[:, None]], axis=1)
            return tf.where(is_lost, -1, tf.where(is_done, start, start + size)), found

        start = tf.where(length > self._rules.longest_word, -1, tf.zeros_like(length))
        start, found = tf.while_loop(
            is_unfinished,
            next_piece,
            (start, tf.zeros((tf.size(flat), 0), tf.int32)),
            shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None, None])),
        )
        unknown = tf.concat(
            [tf.fill((tf.size(flat), 1), self._rules.unknown_id), -1 + 0 * found], 1
        )
        found = tf.concat([found, tf.fill((tf.size(flat), 1), -1)], axis=1)
        found = tf.where((start < 0)[:, None], unknown, found)
        pieces = tf.RaggedTensor.from_tensor(found, padding=-1)
        return words.with_flat_values(pieces).merge_dims(1, 2)

    def _cut(self, texts: list[Any]) -> list[Any]:
        """Return texts that fit, as the strategy ``longest_first`` of ``tokenizers`` cuts them."""
        import tensorflow as tf

        if len(texts) == 1:
            return [texts[0][:, : self._room]]
        lengths = [tf.cast(text.row_lengths(), tf.int32) for text in texts]
        low = tf.minimum(*lengths)
        high = tf.maximum(*lengths)
        high = tf.where(low > self._room, low, tf.maximum(low, self._room - low))
        is_too_long = low + high > self._room
        low = tf.where(is_too_long, self._room // 2, low)
        high = tf.where(is_too_long, self._room // 2 + self._room % 2, high)
        is_swapped = lengths[0] > lengths[1]
        fits = lengths[0] + lengths[1] <= self._room
        most = (tf.where(is_swapped, high, low), tf.where(is_swapped, low, high))
        return [
            _first(text, tf.where(fits, length, tf.minimum(length, limit)))
            for text, length, limit in zip(texts, lengths, most, strict=True)
        ]


def _first(ragged: Any, lengths: Any) -> Any:
    """Return the first values of each row, as many as ``lengths`` says."""
    import tensorflow as tf

    columns = tf.ragged.range(tf.cast(ragged.row_lengths(), tf.int32))
    rows = tf.repeat(lengths, tf.cast(ragged.row_lengths(), tf.int32))
    return tf.ragged.boolean_mask(ragged, columns.with_flat_values(columns.flat_values < rows))
