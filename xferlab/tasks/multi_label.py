"""Multi-label classification: any number of labels for each example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from xferlab.tasks.base import LabelKind, OutputKind, Problem, TaskSpec
from xferlab.tasks.classes import LabelledTexts, describe_imbalance, equal_outputs, probe_classes
from xferlab.tasks.label_checks import checked_array, first_true

if TYPE_CHECKING:
    from xferlab.checks.probe_batch import ProbeBatch
    from xferlab.contracts import Split
    from xferlab.data.labels import Rows
    from xferlab.evaluation.confusion import LabelCounts
    from xferlab.evaluation.errors_table import ErrorsTable
    from xferlab.evaluation.split_outputs import SplitOutputs
    from xferlab.statistics.baselines import Baseline
    from xferlab.statistics.tables import Table

THRESHOLD = 0.5
"""A label is predicted if its probability is at least this."""


class MultiLabel(LabelledTexts):
    """Any number of labels for each example; 0 or 1 for each, float32 (examples, classes)."""

    name = "multi_label"
    label_kind = LabelKind.multi_hot
    min_classes = 1
    is_exclusive = False
    has_label_lists = True
    default_metrics: ClassVar = {
        "micro_f1": {"name": "f1", "average": "micro"},
        "macro_f1": {"name": "f1", "average": "macro"},
    }
    list_separator = "|"
    label_column = "labels"
    problem_type = "multi_label_classification"
    title = "any number of labels a text"
    card_note = "A label is the text's if its score (a probability of its own) is 0.5 or more."

    def label_problems(self, split_name: str, split: Any, spec: TaskSpec) -> Iterator[Problem]:
        """Yield a problem unless labels are 0 or 1 for each class."""
        expected = "0 and 1 as float32, shape (examples, classes)"
        labels = yield from checked_array(split_name, split, spec, "f", expected, 2)
        width = labels.shape[1]
        if width != spec.num_classes:
            what = f"gives labels {width} wide for {split_name}; it names"
            yield f"{what} {spec.num_classes} classes", "one column a class, as in class_names"
        example = first_true(((labels != 0) & (labels != 1)).any(axis=1))
        if example is not None:
            value = next(value for value in labels[example] if value not in (0, 1))
            what = f"gives {value:g} as a label in example {example + 1} of {split_name}"
            yield what, "multi-label labels are 1 (present) or 0 (absent)"

    def class_counts(self, labels: Any, num_classes: int) -> tuple[int, ...]:
        """Return the examples that have each label."""
        import numpy as np

        return tuple(np.asarray(labels).sum(axis=0).astype(int).tolist())

    def parse_labels(self, split_name: str, rows: Rows, separator: str) -> list[list[str]]:
        """Return each label as a list of names; a string is split at the separator."""
        from xferlab.data.labels import name_of, parts_of

        parts = (parts_of(value, separator) for value in rows.labels)
        return [[name for name in map(name_of, part) if name] for part in parts]

    def label_array(self, codes: Sequence[Sequence[int]], num_classes: int) -> Any:
        """Return 0 or 1 for each class, float32 (examples, classes)."""
        import numpy as np

        labels = np.zeros((len(codes), num_classes), dtype="float32")
        for row, present in enumerate(codes):
            labels[row, present] = 1.0
        return labels

    def label_names(self, labels: Any, names: Sequence[str]) -> list[list[str]]:
        """Return the names of the labels that are present."""
        return [[names[i] for i in row.nonzero()[0]] for row in labels]

    def loss(self, spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None) -> Any:
        """Return binary cross-entropy."""
        from xferlab.functional.losses import binary_cross_entropy

        return binary_cross_entropy(spec, label_smoothing, class_weight)

    def probe_batch(self, spec: TaskSpec) -> ProbeBatch:
        """Return an example with each label alone, one with none and one with all."""
        import numpy as np

        from xferlab.checks.probe_batch import ProbeBatch

        _, one_hot, _ = probe_classes(spec)
        none = np.zeros((1, spec.num_classes), bool)
        every = np.ones((1, spec.num_classes), bool)
        is_right = np.concatenate([one_hot, none, every])
        return ProbeBatch(is_right.astype("float32"), is_right, is_exclusive=False)

    def decide(self, outputs: Any, spec: TaskSpec) -> Any:
        """Return whether each label is more probable than not, bool (examples, classes)."""
        return outputs > (0.0 if spec.output_kind is OutputKind.logits else 0.5)

    def predicted_labels(self, probabilities: Any, names: Sequence[str]) -> list[list[str]]:
        """Return the names of the labels with a probability of 0.5 or more."""
        return self.label_names(probabilities >= THRESHOLD, names)

    def label_tables(self, splits: Mapping[str, Any], spec: TaskSpec) -> list[Table]:
        """Return the examples of each label, and how many labels an example has."""
        from xferlab.statistics.labels import label_table, labels_a_row

        return [label_table(splits, spec), labels_a_row(splits)]

    def describe_labels(self, split: Split, spec: TaskSpec) -> str:
        """Return how many labels an example has, and the most frequent ones."""
        import numpy as np

        from xferlab.statistics.labels import describe_classes

        counts = self.class_counts(split.labels, spec.num_classes)
        mean = float(np.asarray(split.labels).sum(axis=1).mean())
        return f"{mean:.2f} a row; {describe_classes(spec.class_names, counts, len(split))}"

    def chance_outputs(self, labels: Any, spec: TaskSpec, vocabulary_size: int) -> Any:
        """Return even odds for every label."""
        return equal_outputs(labels.shape, spec, 0.5)

    def balancing(self, splits: Mapping[str, Any], spec: TaskSpec) -> tuple[str, tuple[str, ...]]:
        """Return how much more frequent the most frequent label is than the rarest."""
        overrides = ("loss.class_weight=auto", "postprocess=thresholds", "metric=[macro_f1]")
        return describe_imbalance(spec, spec.class_counts), overrides

    def constant_baseline(self, train: Split, spec: TaskSpec) -> Baseline:
        """Return the frequency of each label: those of more than half are predicted."""
        import numpy as np

        from xferlab.statistics.baselines import LOWEST, Baseline, repeated

        part = np.clip(np.asarray(train.labels, "float64").mean(axis=0), LOWEST, 1 - LOWEST)
        frequent = [name for name, p in zip(spec.class_names, part, strict=True) if p >= THRESHOLD]
        name = f"the same for all ({', '.join(frequent) or 'no label'})"
        return Baseline(name, lambda split: repeated(np.log(part / (1 - part)), len(split)))

    def text_baseline(self, train: Split, spec: TaskSpec, seed: int) -> Baseline | None:
        """Return a logistic regression of TF-IDF vectors for each label."""
        from xferlab.statistics.baselines import Baseline
        from xferlab.statistics.linear_models import label_classifiers

        predict = label_classifiers(train, train.labels, seed)
        return predict and Baseline("TF-IDF + logistic regression", predict)

    def baseline_notes(
        self, spec: TaskSpec, split_name: str, labels: Any, outputs: Any
    ) -> Iterator[str]:
        """Yield a line if the same labels are predicted for every example."""
        from xferlab.data.notes import join_some

        predicted = self.decide(outputs, spec)
        if (predicted == predicted[0]).all() and not (labels == labels[0]).all():
            (names,) = self.label_names(predicted[:1], spec.class_names)
            yield (
                f"the prediction for every example of {split_name} ({len(predicted):,}) is"
                f" {join_some(names) or 'no label'}"
            )

    def list_errors(self, outputs: SplitOutputs, number: int) -> ErrorsTable:
        """Return the examples in order of the probability of their most confident wrong label."""
        import numpy as np

        from xferlab.evaluation.errors_table import ErrorsTable, most_confident, text_columns

        present = outputs.labels > 0.5
        predicted = outputs.predicted
        p = outputs.probabilities
        confidence = np.where(present != predicted, np.where(predicted, p, 1 - p), -1.0)
        worst = confidence.argmax(axis=1)
        is_wrong = (present != predicted).any(axis=1)
        names = outputs.spec.class_names
        true_names = self.label_names(present, names)
        predicted_names = self.label_names(predicted, names)
        rows = []
        for i in most_confident(confidence.max(axis=1), is_wrong, number):
            kind = "wrong" if predicted[i, worst[i]] else "missed"
            lists = (" | ".join(each[i]) or "(none)" for each in (true_names, predicted_names))
            cells = (*lists, names[worst[i]], kind, float(p[i, worst[i]]))
            rows.append((*outputs.text_cells(i), *cells))
        header = ("true", "predicted", "most_confident", "error", "probability")
        return ErrorsTable(
            ("row", *text_columns(outputs), *header),
            tuple(rows),
            int(is_wrong.sum()),
            "the most confident wrong or missed label",
        )

    def confusion(self, outputs: SplitOutputs) -> LabelCounts:
        """Return one 2 x 2 table for each label."""
        from xferlab.evaluation.confusion import count_labels

        return count_labels(outputs.spec.class_names, outputs.labels > 0.5, outputs.predicted)

    def analyse(self, outputs: SplitOutputs) -> dict[str, Any]:
        """Return the scores by label, the 2 x 2 tables and the calibration."""
        from xferlab.evaluation.calibration import calibration_of
        from xferlab.evaluation.per_class import class_report

        names = outputs.spec.class_names
        present = outputs.labels > 0.5
        averages = ("micro", "macro", "weighted")
        return {
            "report": class_report(present, outputs.predicted, names, self.unit, averages),
            "confusion": self.confusion(outputs),
            "calibration": calibration_of(
                outputs.probabilities.reshape(-1),
                present.reshape(-1),
                "labels",
                "a label is present",
            ),
        }

    def prediction_rows(self, outputs: SplitOutputs) -> Iterator[tuple[Any, ...]]:
        """Yield true labels, predicted labels and probabilities of each example."""
        names = outputs.spec.class_names
        yield "row", "true", "predicted", *(f"p_{name}" for name in names)
        present = self.label_names(outputs.labels > 0.5, names)
        predicted = self.label_names(outputs.predicted, names)
        for i, probabilities in enumerate(outputs.probabilities):
            yield i + 1, "|".join(present[i]), "|".join(predicted[i]), *probabilities.tolist()
