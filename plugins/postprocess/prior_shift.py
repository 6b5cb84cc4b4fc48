"""Other class frequencies than in training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from xferlab import Accepts, ConfigError, LabelKind, OutputKind, Processed, register


@register("postprocess", "prior_shift")
@dataclass(frozen=True)
class PriorShift:
    """Corrects probabilities for class frequencies that differ from those of training.

    Saerens et al. 2002, equation 2.4, with frequencies that are given: each probability is
    multiplied by the new over the training frequency of its class. Weights of classes or examples,
    and balanced samples, make the network learn other frequencies, and are refused.

    Attributes:
        priors: frequency of classes where the model is used, by name, between 0 and 1. Classes that
            are not named have the rest, in the proportions of training.
    """

    priors: dict[str, float] = field(default_factory=dict)

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities), labels=(LabelKind.class_index,)
    )

    by_frequency = True

    def __post_init__(self) -> None:
        wrong = [f"{name}={prior}" for name, prior in self.priors.items() if not 0 < prior < 1]
        if wrong or sum(self.priors.values()) > 1 + 1e-6:
            what = wrong[0] if wrong else f"a sum of {sum(self.priors.values()):g}"
            raise ValueError(f"priors must be between 0 and 1, with a sum of at most 1, got {what}")

    def check(self, spec, labels) -> None:
        names = spec.class_names
        given = sum(self.priors.values())
        fix = f"postprocess.priors={{{names[0]}: 0.2}}, or more of {', '.join(names[:8])}"
        what = ""
        if not self.priors:
            what = "no class frequency is given"
        elif unknown := [name for name in self.priors if name not in names]:
            what = f"there is no class '{unknown[0]}'"
        elif set(self.priors) == set(names) and abs(given - 1) > 1e-6:
            what = f"the frequencies of all classes sum to {given:g}, not to 1"
        elif set(self.priors) != set(names) and given > 1 - 1e-6:
            what = "nothing is left for the classes that are not named"
        elif 0 in spec.class_counts:
            what = f"the class '{names[spec.class_counts.index(0)]}' has no training example"
            fix = "add one, or leave the class out"
        if what:
            raise ConfigError(what, where="postprocess.priors", fix=fix)

    def fit(self, outputs, labels, spec):
        """Return the ``shift`` of each logit, (classes,)."""
        import numpy as np

        before = np.asarray(spec.class_counts, "float64")
        before /= before.sum()
        named = np.array([name in self.priors for name in spec.class_names])
        given = np.array([self.priors.get(name, 0.0) for name in spec.class_names])
        rest = np.where(named, 0.0, before)
        after = given + rest / max(rest.sum(), 1e-30) * (1 - given.sum()) * (not named.all())
        return {"shift": np.log(after / before)}

    def apply(self, outputs, parameters, xp):
        return Processed(outputs + parameters["shift"])

    def describe(self, parameters, spec):
        given = ", ".join(f"{name} {prior:g}" for name, prior in self.priors.items())
        return f"frequencies {given}"
