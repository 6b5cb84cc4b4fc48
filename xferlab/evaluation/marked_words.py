"""Sentences with their wrong words marked: true entity, predicted entity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xferlab.evaluation.split_outputs import Span, SplitOutputs
from xferlab.functional.bio_tags import spans, strange_tag


def mark_sentence(outputs: SplitOutputs, i: int) -> str:
    """Return an example with its wrong words, or wrong entities, marked."""
    if strange_tag(outputs.spec.class_names) is None:
        return _mark_entities(outputs.texts[i], *outputs.entities(i))
    return mark(outputs.texts[i], *outputs.tags(i))


def mark(words: Sequence[str], true: Sequence[str], predicted: Sequence[str]) -> str:
    """Return a sentence with each group of wrong words marked: true entity, predicted entity.

    >>> tags = ["O", "B-person", "I-person", "O"], ["O", "B-person", "O", "O"]
    >>> mark(["by", "Ann", "Lee", "."], *tags)
    'by ⟦Ann Lee: person → person "Ann"⟧ .'
    """
    if strange_tag([*true, *predicted]) is not None:
        return " ".join(
            word if tag == other else f"⟦{word}: {tag} → {other}⟧"
            for word, tag, other in zip(words, true, predicted, strict=True)
        )
    return _mark_entities(words, set(spans(true)), set(spans(predicted)))


def _mark_entities(words: Sequence[str], true: set[Span], predicted: set[Span]) -> str:
    """Return the words with every group of overlapping wrong entities marked."""
    parts: list[str] = []
    after = 0
    for start, end, group in _overlapping(true ^ predicted):
        parts += words[after:start]
        sides = (
            _describe_side(words, start, end, [span for span in group if span in side])
            for side in (true, predicted)
        )
        parts.append(f"⟦{' '.join(words[start:end])}: {' → '.join(sides)}⟧")
        after = end
    return " ".join([*parts, *words[after:]])


def _overlapping(wrong: set[Span]) -> Iterator[tuple[int, int, list[Span]]]:
    """Yield groups of entities that overlap: start, end, entities."""
    group: list[Span] = []
    for span in sorted(wrong):
        if group and span[0] >= max(end for _, end, _ in group):
            yield group[0][0], max(end for _, end, _ in group), group
            group = []
        group.append(span)
    if group:
        yield group[0][0], max(end for _, end, _ in group), group


def _describe_side(words: Sequence[str], start: int, end: int, group: Sequence[Span]) -> str:
    """Return the types of a group's entities, with their words where these are only a part."""
    types = [
        kind if (first, last) == (start, end) else f'{kind} "{" ".join(words[first:last])}"'
        for first, last, kind in group
    ]
    return ", ".join(types) or "nothing"
