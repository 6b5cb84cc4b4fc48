"""Entities in BIO tags: an entity begins with B-<type>, goes on with I-<type>, and O is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

NO_ENTITY = "O"


def strange_tag(names: Sequence[str]) -> str | None:
    """Return the first tag that is not O, B-<type> or I-<type>, if there is one."""
    return next((n for n in names if n != NO_ENTITY and n[:2] not in ("B-", "I-")), None)


def type_of(tag: str) -> str:
    """Return the entity type of a tag.

    >>> type_of("B-person"), type_of("O")
    ('person', 'O')
    """
    return tag if tag == NO_ENTITY else tag[2:]


def spans(tags: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end (not included) and the type of each entity.

    As in ``conlleval``, an I- without a B- or I- of its type before it begins an entity.

    >>> list(spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"]))
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'LOC')]
    """
    start, kind = 0, ""
    for i, tag in enumerate([*tags, NO_ENTITY]):
        if kind and tag != f"I-{kind}":
            yield start, i, kind
            kind = ""
        if not kind and tag != NO_ENTITY:
            start, kind = i, tag[2:]
