"""The contract of what is fitted to a network's outputs after training; nothing heavy here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from xferlab.tasks.base import Accepts, TaskSpec


@dataclass(frozen=True)
class Processed:
    """What a postprocess makes of outputs; None leaves a part as it is.

    Attributes:
        outputs: of the same shape and meaning. Probabilities, loss and calibration are of these.
        decisive: of the same shape; what is predicted is decided by these, as by logits: the class
            with the largest, each label above 0, or the value itself.
        included: bool (examples, classes), the classes in the set that is predicted.
        interval: (examples, 2), the lower and the upper end of the interval of a value.
    """

    outputs: Any = None
    decisive: Any = None
    included: Any = None
    interval: Any = None


class Postprocess(Protocol):
    """Fits numbers to the validation outputs of the final weights, and applies them to any outputs.

    ``outputs`` are float (units, num_outputs): logits, or a regression's values; a model of
    probabilities has their logits. A unit is an example, for token classification a word with a
    token and a tag. ``labels`` are (units,), or (units, classes) for several labels.

    ``fit`` returns arrays of floats by name, at least one; they are kept as float32. ``apply`` gets
    them again, with ``xp``, which has NumPy's functions: it is NumPy, or ``keras.ops`` in the graph
    of an export. A row of what it returns depends on the same row of ``outputs`` alone.

    A plugin may have ``check(spec, labels)``, called before TensorFlow is imported, which raises
    ConfigError where the validation labels do not allow a fit;
    ``describe(parameters, spec) -> str``, what it has fitted in a few words; and, if all that
    ``apply`` does is to multiply logits by one number, ``factor(parameters) -> float``, which is
    that number: then exports of weights have it in their last layer. ``by_frequency = True``
    declares that it takes ``spec.class_counts`` for what the network has learnt: weights of classes
    or examples, and balanced samples, are then refused.
    """

    accepts: ClassVar[Accepts]

    def fit(self, outputs: Any, labels: Any, spec: TaskSpec) -> Mapping[str, Any]: ...

    def apply(self, outputs: Any, parameters: Mapping[str, Any], xp: Any) -> Processed: ...
