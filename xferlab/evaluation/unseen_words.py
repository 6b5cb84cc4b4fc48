"""Words of a tagged split without a token: beyond ``max_length``, or without any character."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Encoding, Split, TaskSpec
from xferlab.formatting import format_count
from xferlab.functional.bio_tags import NO_ENTITY, spans, strange_tag

if TYPE_CHECKING:
    import numpy as np


@dataclass
class UnseenWords:
    """Words with a tag that the network cannot see, because they have no token.

    Attributes:
        words: words that have a tag.
        unseen: those without a token.
        examples: examples with such words.
        entities: entities in the tags; 0 where tags do not mark entities.
        unseen_entities: those with a word that has no token.
    """

    words: int = 0
    unseen: int = 0
    examples: int = 0
    entities: int = 0
    unseen_entities: int = 0

    def describe(self, spec: TaskSpec, name: str) -> str:
        """Return the counts of a split, and their effect on its scores, in one line."""
        examples = format_count(self.examples, "example")
        counts = (
            f"{name}: {self.unseen:,} of {self.words:,} words"
            f" ({self.unseen / max(self.words, 1):.1%}) have no token, in {examples}: most are"
            f" beyond data.max_length={spec.max_length}"
        )
        if name == "train":
            return f"{counts}; training leaves them out"
        if NO_ENTITY not in spec.class_names:
            return f"{counts}; scores leave them out"
        if not self.entities:
            return f"{counts}; they are predicted as O"
        fraction = self.unseen_entities / self.entities
        return (
            f"{counts}; {self.unseen_entities:,} of {self.entities:,} entities ({fraction:.1%})"
            " have such a word and count as missed"
        )

    def record(self) -> dict[str, int]:
        """Return the counts as plain data."""
        return dict(vars(self))


def count_unseen_words(
    spec: TaskSpec,
    labels: Sequence[np.ndarray],
    has_token: Iterable[np.ndarray],
    with_entities: bool = True,
) -> UnseenWords:
    """Return how many words of a split have no token.

    Args:
        spec: the task.
        labels: tags of each example's words, -1 for none.
        has_token: which words of each example have a token, bool (words,) each.
        with_entities: count entities too, which takes longer.
    """
    counts = UnseenWords()
    has_entities = with_entities and strange_tag(spec.class_names) is None
    for tags, seen in zip(labels, has_token, strict=True):
        is_tagged = tags >= 0
        seen = seen[is_tagged]
        missing = int((~seen).sum())
        counts.words += len(seen)
        counts.unseen += missing
        counts.examples += missing > 0
        if has_entities:
            for start, end, _ in spans(spec.class_names[tag] for tag in tags[is_tagged]):
                counts.entities += 1
                counts.unseen_entities += not seen[start:end].all()
    return counts


def unseen_in(
    spec: TaskSpec, split: Split, encoding: Encoding, with_entities: bool = True
) -> UnseenWords | None:
    """Return how many words of a split have no token; None where examples are not words."""
    if encoding.word_ids is None or not isinstance(split.labels, list):
        return None
    sizes = map(len, split.labels)
    has_token = map(_words_with_token, _words_of_examples(encoding), sizes)
    return count_unseen_words(spec, split.labels, has_token, with_entities)


def _words_of_examples(encoding: Encoding) -> Iterable[Any]:
    """Return the word of each token of each example, of all its windows together."""
    import numpy as np

    words_of: Any = encoding.word_ids
    if encoding.owners is None:
        return words_of
    ends = np.flatnonzero(np.diff(encoding.owners)) + 1
    groups = np.split(np.arange(len(encoding.owners)), ends)
    return (np.concatenate([np.asarray(words_of[i]) for i in rows]) for rows in groups)


def _words_with_token(word_ids: Sequence[int] | np.ndarray, words: int) -> np.ndarray:
    """Return which of an example's words have a token, bool (words,)."""
    import numpy as np

    has_token = np.zeros(words, bool)
    ids = np.asarray(word_ids)
    has_token[ids[ids >= 0]] = True
    return has_token
