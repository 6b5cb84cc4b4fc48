"""F1 of whole entities, as the CoNLL shared tasks count them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import (
    Accepts,
    ConfigError,
    LabelKind,
    OutputKind,
    TaskSpec,
    WeightedScore,
    entity_spans,
    register,
    strange_tag,
)


@register("metric", "entity_f1")
@dataclass(frozen=True)
class EntityF1:
    """F1 of entities; one counts only if its type and both ends are right.

    Tjong Kim Sang & De Meulder 2003 (``conlleval``): entities of all types are counted together,
    and an I- without a B- or I- of its type before it begins an entity. Tags are BIO, BIOES (also
    BILOU, BMEWO), or IO with or without a prefix. A word without a token is predicted as O,
    so an entity there counts as missed; a word without a tag is left out.
    """

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities), labels=(LabelKind.token_tags,)
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def check(self, spec: TaskSpec) -> None:
        """Raise ConfigError for tags that mark no entities."""
        strange = strange_tag(spec.class_names)
        if strange is None:
            return
        words = "metric=[accuracy,f1] scores words"
        if all(name.lstrip("-").isdigit() for name in spec.class_names):
            what = f"the tags are numbers without names: {', '.join(spec.class_names[:8])}"
            words = f"name them in order, data.class_names=[O,B-PER,I-PER,...]; or {words}"
        else:
            what = f"the tag '{strange}' is not O, B-<type> or I-<type> (BIOES and IO fit too)"
        raise ConfigError(what, where="metric.entity_f1", fix=words)

    def build(self, spec: TaskSpec):
        import numpy as np

        self.check(spec)
        names = spec.class_names

        def entities(tags) -> set[tuple[int, int, str]]:
            return set(entity_spans(names[tag] for tag in tags))

        def prepare(labels, outputs):
            predicted = outputs.argmax(-1)
            labelled = labels >= 0
            both = []
            for row, keep in enumerate(labelled):
                found = entities(predicted[row][keep])
                wanted = entities(labels[row][keep])
                both.append((2 * len(found & wanted), len(found) + len(wanted)))
            own = np.array(both, "float64")
            return lambda weights: _ratio(*(weights @ own).T)

        return WeightedScore(prepare, spec)


def _ratio(above, below):
    import numpy as np

    return above / np.maximum(below, 1.0)
