"""F1 of whole entities, as the CoNLL shared tasks count them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from xferlab import ConfigError, Emits, LabelKind, Takes, TaskSpec, register


@register("metric", "entity_f1")
@dataclass(frozen=True)
class EntityF1:
    """F1 of entities in BIO tags; one counts only if its type and both ends are right.

    Tjong Kim Sang & De Meulder 2003 (``conlleval``): entities of all types are counted together,
    and an I- without a B- or I- of its type before it begins an entity.
    """

    takes: ClassVar[Takes] = Takes(
        outputs=(Emits.logits, Emits.probabilities), labels=(LabelKind.tags,)
    )
    better: ClassVar[str] = "max"

    def build(self, spec: TaskSpec):
        import numpy as np

        names = spec.class_names
        for name in names:
            if name != "O" and name[:2] not in ("B-", "I-"):
                raise ConfigError(
                    f"the tag '{name}' is not O, B-<type> or I-<type>",
                    where="metric.entity_f1",
                    fix="use metric=accuracy or metric=f1, which count tokens",
                )

        def entities(tags) -> set[tuple[int, int, int, str]]:
            return {
                (row, *span)
                for row, row_tags in enumerate(tags)
                for span in spans(names[tag] for tag in row_tags)
            }

        def score(labels, outputs) -> float:
            labels, outputs = np.asarray(labels), np.asarray(outputs)
            labelled = labels >= 0
            if np.isnan(outputs[labelled]).any() or not labelled.any():
                return float("nan")
            predicted = outputs.argmax(-1)
            found = entities(p[keep] for p, keep in zip(predicted, labelled, strict=True))
            wanted = entities(row[keep] for row, keep in zip(labels, labelled, strict=True))
            return 2 * len(found & wanted) / max(len(found) + len(wanted), 1)

        return score


def spans(tags: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end (not included) and the type of each entity.

    >>> list(spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"]))
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'LOC')]
    """
    start, kind = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            yield start, i, kind
            kind = ""
        if not kind and tag != "O":
            start, kind = i, tag[2:]
