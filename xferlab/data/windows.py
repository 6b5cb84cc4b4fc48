"""Long texts in overlapping windows: their tokens, and their outputs as one text's.

The outputs of a text are the mean of its windows' outputs. A word has the outputs of the window in
which it has the most tokens to its nearer side; the ends of a text count as far away.
"""

from __future__ import annotations

import dataclasses
import inspect
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Encoding, TaskSpec, TextData
from xferlab.data.batching import Ragged
from xferlab.data.partition import take
from xferlab.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

CHUNK = 1000
"""Texts that are tokenised in one call, in parallel."""
FAR = 2**30
"""Tokens from a word to an end of its text."""


def are_lists(texts: Sequence[Any]) -> bool:
    """Return whether texts are lists of words, not strings."""
    return bool(len(texts)) and not isinstance(texts[0], str)


def refuse_windows(windows: int | None, max_length: int, *, can: bool = True) -> None:
    """Raise ConfigError for windows that no text can be read in.

    Args:
        windows: tokens that two windows have in common; None for no windows.
        max_length: tokens of a window.
        can: whether the task's outputs can be merged.
    """
    if windows is None:
        return
    what = ""
    fix = "data.windows=null truncates long texts"
    if windows < 0:
        what = f"windows overlap by 0 tokens or more, got {windows}"
    elif windows >= max_length:
        what = f"an overlap of {windows} tokens is no less than a window of {max_length}"
        fix = f"data.windows={max_length // 4}, or data.max_length larger"
    elif not can:
        what = "windows are for texts, or pairs read together, with labels, values or tags"
    if what:
        raise ConfigError(what, where="data.windows", fix=fix)


def with_windows(data: TextData, windows: int | None) -> TextData:
    """Return data whose long texts are read in windows; None changes nothing.

    Raises:
        ConfigError: they cannot be.
    """
    if windows is None:
        return data
    spec = data.spec
    can = spec.task.has_labels and not spec.task.encodes_texts_apart
    refuse_windows(windows, spec.max_length, can=can)
    return dataclasses.replace(data, spec=dataclasses.replace(spec, windows=windows))


def encode_windows(
    tokenizer: Any, texts: Sequence[Any], pairs: Sequence[str] | None, spec: TaskSpec
) -> Encoding:
    """Return the windows of texts or pairs, in order, each with the text that it is of.

    Args:
        tokenizer: with a method ``windows``.
        texts: strings, or lists of words.
        pairs: second texts; these are divided, and the first text is in each window.
        spec: has the length and the overlap of windows.

    Raises:
        ConfigError: the tokenizer cannot make windows, or special tokens leave no room for them.
    """
    import numpy as np

    assert spec.windows is not None
    windows_of = getattr(tokenizer, "windows", None)
    if windows_of is None:
        raise ConfigError(
            f"the model's tokenizer ({type(tokenizer).__name__}) cannot make windows",
            where="data.windows",
            fix="give it a method windows(texts, max_length, overlap), or data.windows=null",
        )
    columns: list[Any] = [array("i"), array("i"), array("i")]
    sizes = array("i")
    owners = array("i")
    arguments = (texts, spec.max_length, spec.windows, *(() if pairs is None else (pairs,)))
    try:
        inspect.signature(windows_of).bind(*arguments)
    except TypeError as e:
        raise ConfigError(
            f"the model's tokenizer ({type(tokenizer).__name__}) cannot make windows of pairs",
            where="data.windows",
            fix="give its method windows a parameter for second texts, or data.windows=null",
        ) from e
    for text, windows in enumerate(windows_of(*arguments)):
        for ids, segments, words in windows:
            sizes.append(len(ids))
            owners.append(text)
            for column, values in zip(columns, (ids, segments, words), strict=True):
                column.extend(values)
    lengths = np.frombuffer(sizes, dtype="int32")
    ragged = [Ragged(np.frombuffer(column, dtype="int32"), lengths) for column in columns]
    words_of = ragged[2] if spec.task.is_per_word else None
    return Encoding(ragged[0], ragged[1], words_of, np.frombuffer(owners, dtype="int32"))


@lru_cache(maxsize=4)
def windowing_engine(rules: str, max_length: int, overlap: int) -> tuple[Any, int]:
    """Return an engine that makes windows, and the tokens of a window that are not special.

    Args:
        rules: of the library ``tokenizers``, as JSON.
        max_length: tokens of a window.
        overlap: tokens that two windows have in common.

    Raises:
        ConfigError: the overlap leaves no new token for a window.
    """
    import tokenizers

    engine = tokenizers.Tokenizer.from_str(rules)
    room = max_length - engine.num_special_tokens_to_add(False)
    if overlap >= room:
        raise ConfigError(
            f"an overlap of {overlap} tokens leaves no new one in a window of {max_length}, as"
            f" {max_length - room} are special",
            where="data.windows",
            fix=f"data.windows={max(room // 4, 0)}, or data.max_length larger",
        )
    engine.enable_truncation(max_length, stride=overlap, strategy="longest_first")
    return engine, room


@lru_cache(maxsize=4)
def pair_engines(rules: str, max_length: int, overlap: int) -> tuple[Any, Any, int]:
    """Return an engine without truncation, one that makes windows of pairs, and their room.

    The room is of tokens that are not special. The first text has half of it at most, so the
    overlap has to be less than the other half.

    Args:
        rules: of the library ``tokenizers``, as JSON.
        max_length: tokens of a window.
        overlap: tokens of the second text that two windows have in common.

    Raises:
        ConfigError: the overlap may leave no new token for a window.
    """
    import tokenizers

    whole = tokenizers.Tokenizer.from_str(rules)
    whole.no_truncation()
    whole.no_padding()
    room = max_length - whole.num_special_tokens_to_add(True)
    if overlap >= room - room // 2:
        raise ConfigError(
            f"an overlap of {overlap} tokens may leave no new one in a window of {max_length}:"
            f" {max_length - room} are special, and {room // 2} may be of the first text",
            where="data.windows",
            fix=f"data.windows={max(room // 8, 0)}, or data.max_length larger",
        )
    engine = tokenizers.Tokenizer.from_str(rules)
    engine.no_padding()
    engine.enable_truncation(max_length, stride=overlap, strategy="only_second")
    return whole, engine, room


Window = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Token ids, segment ids, and of each token its word or -1."""


def windows_of_pairs(
    rules: str, rows: Sequence[tuple[str, str]], max_length: int, overlap: int, nothing: int
) -> Iterator[list[Window]]:
    """Yield the windows of each pair, as transformers makes them by ``truncation="only_second"``.

    Each window begins with the first text and has a part of the second. A pair that fits is one
    window. A first text that would leave the second less than half of the tokens is cut, but not
    further than the second needs.

    Args:
        rules: of the library ``tokenizers``, as JSON.
        rows: first and second texts.
        max_length: most tokens of a window, special ones included.
        overlap: tokens of the second text that two windows have in common.
        nothing: the token of a pair that has none.
    """
    whole, engine, room = pair_engines(rules, max_length, overlap)
    for start in range(0, len(rows), CHUNK):
        own = list(rows[start : start + CHUNK])
        found = whole.encode_batch(own)
        for row, done in zip(own, found, strict=True):
            parts = [done]
            if len(done.ids) > max_length:
                first, second = row
                sizes = [done.sequence_ids.count(i) for i in range(2)]
                most = max(room // 2, room - sizes[1])
                if sizes[0] > most:
                    first = first_tokens(whole, first, most)
                done = engine.encode(first, second)
                parts = [done, *done.overflowing]
            yield [
                (part.ids or [nothing], part.type_ids or [0], [-1] * max(len(part.ids), 1))
                for part in parts
            ]


def first_tokens(engine: Any, text: str, most: int) -> str:
    """Return the longest beginning of a text, by whole tokens, that has ``most`` tokens or less.

    Args:
        engine: of the library ``tokenizers``, without truncation.
        text: to cut.
        most: tokens that are not special.
    """
    offsets = engine.encode(text, add_special_tokens=False).offsets
    for size in range(most, 0, -1):
        begun = text[: offsets[size - 1][1]]
        if len(engine.encode(begun, add_special_tokens=False).ids) <= most:
            return begun
    return ""


def windows_by_rules(
    rules: str, texts: Sequence[Any], max_length: int, overlap: int, id_for_nothing: int
) -> Iterator[list[Window]]:
    """Yield the windows of each text: token ids, segment ids and word ids.

    Args:
        rules: of the library ``tokenizers``, as JSON.
        texts: strings, or lists of words.
        max_length: most tokens of a window, special ones included.
        overlap: tokens that two windows have in common.
        id_for_nothing: the token of a text that has none.
    """
    are_words = are_lists(texts)
    engine, room = windowing_engine(rules, max_length, overlap)
    for first in range(0, len(texts), CHUNK):
        rows = list(texts[first : first + CHUNK])
        for row in engine.encode_batch(rows, is_pretokenized=are_words):
            parts = [row, *row.overflowing]
            words = word_ids_of([part.word_ids for part in parts], room - overlap)
            yield [
                (part.ids or [id_for_nothing], part.type_ids or [0], own or [-1])
                for part, own in zip(parts, words, strict=True)
            ]


def word_ids_of(windows: Sequence[Sequence[int | None]], step: int) -> list[list[int]]:
    """Return the word of each token of a text's windows, -1 for special tokens.

    A window may begin within a word, whose first token is in the window before; its tokens have -1.

    Args:
        windows: the word of each token, None for special tokens.
        step: tokens from the start of a window to that of the next one.
    """
    found = [[-1 if word is None else word for word in words] for words in windows]
    for before, words in zip(windows, found[1:], strict=False):
        own = [word for word in before if word is not None]
        for i, word in enumerate(words):
            if word >= 0 and word != own[step - 1]:
                break
            words[i] = -1
    return found


def windowed(data: TextData, owners: np.ndarray | None) -> TextData:
    """Return data with a training example for each window, labelled as its text."""
    if owners is None:
        return data
    return dataclasses.replace(data, train=take(data.train, owners))


def merge_windows(outputs: np.ndarray, owners: np.ndarray, texts: int) -> np.ndarray:
    """Return the mean of the outputs of each text's windows, float32 (texts, num_outputs)."""
    import numpy as np

    total = np.zeros((texts, *outputs.shape[1:]), "float64")
    np.add.at(total, owners, outputs.astype("float64"))
    counts = np.bincount(owners, minlength=texts)
    return (total / counts.reshape(-1, *[1] * (total.ndim - 1))).astype("float32")


class WordWindows:
    """Chooses the window that has a word's outputs.

    Args:
        owners: the text of each window; None without windows.
    """

    def __init__(self, owners: np.ndarray | None) -> None:
        self._owners = owners
        self._best: dict[tuple[int, int], tuple[int, int]] = {}

    def choose(self, row: int, words: np.ndarray, first: np.ndarray) -> tuple[int, np.ndarray]:
        """Return the text of a window, and the tokens whose words have the most context in it.

        Windows may come in any order; of two with the same context the earlier one is taken.

        Args:
            row: of the window.
            words: the word of each token, -1 for none.
            first: positions of the words' first tokens.
        """
        import numpy as np

        if self._owners is None:
            return row, first
        text = int(self._owners[row])
        begins = row == 0 or self._owners[row - 1] != text
        ends = row + 1 == len(self._owners) or self._owners[row + 1] != text
        chosen = []
        for position in first:
            left = FAR if begins else int(position)
            right = FAR if ends else len(words) - 1 - int(position)
            context = (min(left, right), -row)
            key = (text, int(words[position]))
            if context > self._best.get(key, (-1, 0)):
                self._best[key] = context
                chosen.append(position)
        return text, np.array(chosen, dtype=int)
