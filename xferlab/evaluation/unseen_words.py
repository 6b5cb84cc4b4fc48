"""How much of a tagged split has no token: words beyond ``max_length``, or without any letter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xferlab.contracts import Encoding, Split, TaskSpec
from xferlab.functional.bio_tags import NO_ENTITY, spans, strange_tag

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class LostWords:
    """Words with a tag that the network cannot see.

    Attributes:
        words: words that have a tag.
        unread: those of them without a token.
        rows: rows that have such words.
        entities: entities in the tags; 0 where tags are no entities.
        unread_entities: those of them with a word that has no token.
    """

    words: int
    unread: int
    rows: int
    entities: int
    unread_entities: int

    def line(self, spec: TaskSpec, name: str) -> str:
        """Return the counts of a split in words, and what they do to its scores."""
        rows = f"{self.rows:,} row{'s' * (self.rows != 1)}"
        what = (
            f"{name}: {self.unread:,} of {self.words:,} words"
            f" ({self.unread / max(self.words, 1):.1%}) have no token, in {rows}: most often they"
            f" are beyond data.max_length={spec.max_length}"
        )
        if name == "train":
            return f"{what}; they are not trained on"
        if NO_ENTITY not in spec.class_names:
            return f"{what}; they are not scored"
        if not self.entities:
            return f"{what}; they are answered with O"
        fraction = self.unread_entities / self.entities
        return (
            f"{what}; {self.unread_entities:,} of {self.entities:,} entities ({fraction:.1%}) have"
            " such a word and count as missed"
        )

    def record(self) -> dict[str, int]:
        """Return the counts as plain data."""
        return dict(vars(self))


def lost_words(
    spec: TaskSpec,
    labels: Sequence[np.ndarray],
    read: Iterable[np.ndarray],
    with_entities: bool = True,
) -> LostWords:
    """Return what of a split has no token.

    Args:
        spec: the task.
        labels: tags of each row's words, -1 for none.
        read: which words of each row have a token, bool (words,) each.
        with_entities: count entities too, which takes longer.
    """
    has_entities = with_entities and strange_tag(spec.class_names) is None
    words = 0
    unread = 0
    rows = 0
    entities = 0
    unread_entities = 0
    for tags, tokens in zip(labels, read, strict=True):
        there = tags >= 0
        seen = tokens[there]
        missing = int((~seen).sum())
        words += len(seen)
        unread += missing
        rows += missing > 0
        if has_entities:
            for start, end, _ in spans(spec.class_names[tag] for tag in tags[there]):
                entities += 1
                unread_entities += not seen[start:end].all()
    return LostWords(words, unread, rows, entities, unread_entities)


def lost_in(
    spec: TaskSpec, split: Split, encoding: Encoding, with_entities: bool = True
) -> LostWords | None:
    """Return what of a split has no token; None where rows are no lists of words."""
    if encoding.word_ids is None or not isinstance(split.labels, list):
        return None
    sizes = map(len, split.labels)
    return lost_words(spec, split.labels, map(_read, encoding.word_ids, sizes), with_entities)


def _read(word_ids: Sequence[int] | np.ndarray, words: int) -> np.ndarray:
    """Return which of a row's words have a token, bool (words,)."""
    import numpy as np

    found = np.zeros(words, bool)
    ids = np.asarray(word_ids)
    found[ids[ids >= 0]] = True
    return found
