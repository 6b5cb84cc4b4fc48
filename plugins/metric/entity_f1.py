"""F1 of whole entities, as the CoNLL shared tasks count them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import ConfigError, Emits, LabelKind, Takes, TaskSpec, register
from xferlab.kit.entities import spans, strange_tag
from xferlab.kit.resampling import WeightedScore


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
        strange = strange_tag(names)
        if strange is not None:
            raise ConfigError(
                f"the tag '{strange}' is not O, B-<type> or I-<type>",
                where="metric.entity_f1",
                fix="use metric=accuracy or metric=f1, which count tokens",
            )

        def entities(tags) -> set[tuple[int, int, str]]:
            return set(spans(names[tag] for tag in tags))

        def prepare(labels, outputs):
            predicted, labelled = outputs.argmax(-1), labels >= 0
            both = []
            for row, keep in enumerate(labelled):
                found, wanted = entities(predicted[row][keep]), entities(labels[row][keep])
                both.append((2 * len(found & wanted), len(found) + len(wanted)))
            own = np.array(both, "float64")
            return lambda weights: _ratio(*(weights @ own).T)

        return WeightedScore(prepare, spec)


def _ratio(above, below):
    import numpy as np

    return above / np.maximum(below, 1.0)
