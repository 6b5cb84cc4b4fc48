"""What tasks with classes have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xferlab.tasks.base import OutputKind, Task, TaskSpec

if TYPE_CHECKING:
    import numpy as np

    from xferlab.evaluation.calibration import Calibration
    from xferlab.evaluation.confusion import Confusion
    from xferlab.evaluation.split_outputs import SplitOutputs
    from xferlab.statistics.tables import Table

MIN_REPEATS = 2
"""Predictions from which on they can be called always the same."""
UNBALANCED = 3
"""Times the smallest class from which on the largest is worth a line."""
MAX_PROBE_CLASSES = 256
"""Classes of a probe batch."""


class LabelledTexts(Task):
    """A task whose prediction is a label, or labels, and a probability for each class.

    Attributes:
        label_column: the column of the label in a table of predictions.
    """

    label_column = "label"

    def prediction_cells(
        self, text: Any, label: Any, probabilities: Any, spec: TaskSpec
    ) -> dict[str, Any]:
        """Return ``text``, the label and ``p_CLASS`` of each class."""
        cells = (text, label, *map(float, probabilities))
        return dict(zip(self.prediction_columns(spec), cells, strict=True))

    def prediction_columns(self, spec: TaskSpec) -> list[str]:
        """Return ``text``, the label's column and ``p_CLASS`` of each class."""
        return ["text", self.label_column, *(f"p_{name}" for name in spec.class_names)]


class ExclusiveClasses(Task):
    """A task in which exactly one class is right.

    Attributes:
        balancing_overrides: what answers unequal frequencies of classes.
        unit_title: of the table of classes.
    """

    balancing_overrides: tuple[str, ...] = ("loss.class_weight=auto",)
    unit_title = "labels"

    def class_counts(self, labels: Any, num_classes: int) -> tuple[int, ...]:
        """Return how often each class is a label; -1 is none."""
        import numpy as np

        indices = np.concatenate(labels) if isinstance(labels, list) else np.asarray(labels)
        counts = np.bincount(indices[indices >= 0], minlength=num_classes)
        return tuple(counts.tolist())

    def label_tables(self, splits: Mapping[str, Any], spec: TaskSpec) -> list[Table]:
        """Return the counts of each class."""
        from xferlab.statistics.labels import class_table

        counts = {n: self.class_counts(s.labels, spec.num_classes) for n, s in splits.items()}
        return [class_table(self.unit_title, "class", spec.class_names, counts)]

    def describe_labels(self, split: Any, spec: TaskSpec) -> str:
        """Return the most frequent classes."""
        from xferlab.statistics.labels import describe_classes

        counts = self.class_counts(split.labels, spec.num_classes)
        return describe_classes(spec.class_names, counts, sum(counts))

    def chance_outputs(self, labels: Any, spec: TaskSpec, vocabulary_size: int) -> Any:
        """Return the same for every class."""
        return equal_outputs((*labels.shape, spec.num_classes), spec, 1 / spec.num_classes)

    def balancing(self, splits: Mapping[str, Any], spec: TaskSpec) -> tuple[str, tuple[str, ...]]:
        """Return how much larger the largest class is than the smallest."""
        return describe_imbalance(spec, spec.class_counts), self.balancing_overrides

    def loss(self, spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None) -> Any:
        """Return cross-entropy."""
        from xferlab.functional.losses import cross_entropy

        return cross_entropy(spec, label_smoothing, class_weight)

    def decide(self, outputs: Any, spec: TaskSpec) -> Any:
        """Return the most probable class."""
        return outputs.argmax(axis=-1)

    def calibration(self, outputs: SplitOutputs) -> Calibration:
        """Return the calibration of the predicted classes' probabilities."""
        from xferlab.evaluation.calibration import calibration_of

        labels, predicted, confidence = outputs.seen_units
        about = "the predicted class is right"
        return calibration_of(confidence, labels == predicted, self.unit, about)

    def confusion(self, outputs: SplitOutputs) -> Confusion:
        """Return the confusion matrix."""
        from xferlab.evaluation.confusion import count_confusion

        labels, predicted, _ = outputs.units
        return count_confusion(outputs.spec.class_names, labels, predicted, self.unit)

    def class_report(self, outputs: SplitOutputs) -> Any:
        """Return precision, recall and F1 of each class."""
        from xferlab.evaluation.per_class import class_report

        labels, predicted, _ = outputs.units
        averages = ("macro", "weighted")
        return class_report(labels, predicted, outputs.spec.class_names, self.unit, averages)

    def analyse(self, outputs: SplitOutputs) -> dict[str, Any]:
        """Return the scores by class, the confusion matrix and the calibration."""
        return {
            "report": self.class_report(outputs),
            "confusion": self.confusion(outputs),
            "calibration": self.calibration(outputs),
        }

    def constant_note(
        self, spec: TaskSpec, split_name: str, predicted: np.ndarray, unit: str
    ) -> Iterator[str]:
        """Yield a line if one class is predicted for everything."""
        if len(predicted) >= MIN_REPEATS and (predicted == predicted[0]).all():
            name = spec.class_names[int(predicted[0])]
            yield f"the prediction for every {unit} of {split_name} ({len(predicted):,}) is {name}"


def equal_outputs(shape: tuple[int, ...], spec: TaskSpec, probability: float) -> np.ndarray:
    """Return outputs of equal probabilities, float32."""
    import numpy as np

    level = probability if spec.output_kind is OutputKind.probabilities else 0.0
    return np.full(shape, level, "float32")


def describe_imbalance(spec: TaskSpec, counts: Sequence[int]) -> str:
    """Return how unequal the counts of classes are; "" where the largest has few times more."""
    present = [(count, name) for count, name in zip(counts, spec.class_names, strict=True) if count]
    if not present:
        return ""
    largest, most = max(present)
    smallest, fewest = min(present)
    ratio = largest / smallest
    if ratio < UNBALANCED:
        return ""
    return f"{most} has {ratio:,.0f} times as many training {spec.task.unit} as {fewest}"


def probe_classes(spec: TaskSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes to probe, int32 (n,), their one-hot rows, bool (n, classes), and neutral
    outputs, float32 (classes,)."""
    import numpy as np

    count = min(spec.num_classes, MAX_PROBE_CLASSES)
    classes = np.linspace(0, spec.num_classes - 1, count).round().astype("int32")
    one_hot = classes[:, None] == np.arange(spec.num_classes)
    level = 1 / spec.num_classes if spec.output_kind is OutputKind.probabilities else 0.0
    return classes, one_hot, np.full(spec.num_classes, level, "float32")
