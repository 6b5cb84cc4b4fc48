"""Entities in tags: BIO, BIOES and its kin (BILOU, BMEWO), and IO with or without a prefix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

NO_ENTITY = "O"
PREFIXED = re.compile(r"([BIESLUMW])[-_](.+)", re.DOTALL)
NUMBER = re.compile(r"-?\d+")
ALIKE = {"L": "E", "U": "S", "W": "S", "M": "I"}
"""Other letters for the last word, the single word and the middle of an entity."""


def strange_tag(names: Sequence[str]) -> str | None:
    """Return the first tag that fits none of the schemes, if there is one.

    Tags are O and <prefix>-<type> with the prefixes B, I, E, S (or L, U, M, W), or else O and plain
    types, as IO tags without a prefix are.

    >>> strange_tag(["O", "B-PER", "E-PER"]), strange_tag(["O", "PER"]), strange_tag(["NN", "VB"])
    (None, None, 'NN')
    """
    others = [name for name in names if name != NO_ENTITY]
    plain = [name for name in others if not PREFIXED.fullmatch(name)]
    if plain == others and NO_ENTITY in names and not any(map(NUMBER.fullmatch, plain)):
        return None
    return plain[0] if plain else None


def type_of(tag: str) -> str:
    """Return the entity type of a tag.

    >>> type_of("B-person"), type_of("person"), type_of("O")
    ('person', 'person', 'O')
    """
    return _parts(tag)[1] or NO_ENTITY


def _parts(tag: str) -> tuple[str, str]:
    """Return the prefix (B, I, E, S or O) and the type of a tag; a plain type is inside."""
    if tag == NO_ENTITY:
        return NO_ENTITY, ""
    found = PREFIXED.fullmatch(tag)
    if not found:
        return "I", tag
    return ALIKE.get(found[1], found[1]), found[2]


def spans(tags: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end (not included) and the type of each entity.

    As in ``conlleval``: B and S begin an entity, E and S end one, and whatever does not continue
    the entity before it (another type, an I after O) begins one too.

    >>> list(spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"]))
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'LOC')]
    >>> list(spans(["B-PER", "E-PER", "S-LOC", "S-LOC", "PER"]))
    [(0, 2, 'PER'), (2, 3, 'LOC'), (3, 4, 'LOC'), (4, 5, 'PER')]
    """
    start = 0
    end = 0
    kind = ""
    closed = True
    for end, tag in enumerate(tags):
        prefix, found = _parts(tag)
        continues = kind and not closed and found == kind and prefix in ("I", "E")
        if kind and not continues:
            yield start, end, kind
            kind = ""
        if prefix == NO_ENTITY:
            continue
        if not continues:
            start = end
            kind = found
        closed = prefix in ("E", "S")
    if kind:
        yield start, end + 1, kind
