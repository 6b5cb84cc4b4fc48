"""Single-label classification: exactly one class for each example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from xferlab.tasks.base import LabelKind, Problem, TaskSpec
from xferlab.tasks.classes import ExclusiveClasses, LabelledTexts, probe_classes
from xferlab.tasks.label_checks import checked_array, class_range

if TYPE_CHECKING:
    from xferlab.checks.probe_batch import ProbeBatch
    from xferlab.contracts import Split
    from xferlab.data.labels import Rows
    from xferlab.evaluation.errors_table import ErrorsTable
    from xferlab.evaluation.split_outputs import SplitOutputs
    from xferlab.statistics.baselines import Baseline


class SingleLabel(ExclusiveClasses, LabelledTexts):
    """One class for each example; labels are class indices, int32 (examples,)."""

    name = "single_label"
    label_kind = LabelKind.class_index
    default_metrics: ClassVar = {"accuracy": {"name": "accuracy"}}
    problem_type = "single_label_classification"
    balancing_overrides = (
        *("train.sampling=balanced", "loss.class_weight=auto", "loss=focal"),
        "metric=[macro_f1,accuracy]",
    )
    title = "one label a text"
    card_note = "The scores are probabilities (softmax)."

    def label_problems(self, split_name: str, split: Any, spec: TaskSpec) -> Iterator[Problem]:
        """Yield a problem unless labels are class indices."""
        expected = "integers, shape (examples,)"
        labels = yield from checked_array(split_name, split, spec, "iu", expected, 1)
        yield from class_range(split_name, labels, spec, 0)

    def parse_labels(self, split_name: str, rows: Rows, separator: str) -> list[str]:
        """Return each label as a class name."""
        from xferlab.data.labels import name_of, row_error

        lists = [i for i, value in enumerate(rows.labels) if isinstance(value, list | tuple)]
        if lists:
            what = f"of {split_name} have a list of labels (data.task=multi_label takes them)"
            raise row_error(rows, lists, what, "label")
        return [name_of(value) for value in rows.labels]

    def label_array(self, codes: Sequence[int], num_classes: int) -> Any:
        """Return class indices, int32 (examples,)."""
        import numpy as np

        return np.array(codes, dtype="int32")

    def probe_batch(self, spec: TaskSpec) -> ProbeBatch:
        """Return one example of each class."""
        from xferlab.checks.probe_batch import ProbeBatch

        classes, one_hot, _ = probe_classes(spec)
        return ProbeBatch(classes, one_hot)

    def predicted_labels(self, probabilities: Any, names: Sequence[str]) -> list[str]:
        """Return the name of the most probable class."""
        return [names[best] for best in probabilities.argmax(axis=-1)]

    def constant_baseline(self, train: Split, spec: TaskSpec) -> Baseline:
        """Return the frequencies of the training classes: the largest class is predicted."""
        from xferlab.statistics.baselines import Baseline, log_frequencies, repeated

        outputs = log_frequencies(spec.class_counts)
        name = f"largest class ({spec.class_names[int(outputs.argmax())]})"
        return Baseline(name, lambda split: repeated(outputs, len(split)))

    def text_baseline(self, train: Split, spec: TaskSpec, seed: int) -> Baseline | None:
        """Return a logistic regression of TF-IDF vectors."""
        from xferlab.statistics.baselines import Baseline
        from xferlab.statistics.linear_models import classifier

        predict = classifier(train, train.labels, spec.num_classes, seed)
        return predict and Baseline("TF-IDF + logistic regression", predict)

    def baseline_notes(
        self, spec: TaskSpec, split_name: str, labels: Any, outputs: Any
    ) -> Iterator[str]:
        """Yield a line for one class predicted throughout, or accuracy below the largest class."""
        import numpy as np

        predicted = self.decide(outputs, spec)
        yield from self.constant_note(spec, split_name, predicted, "example")
        counts = np.bincount(labels, minlength=spec.num_classes)
        largest = int(counts.argmax())
        fraction = counts[largest] / len(labels)
        accuracy = float((predicted == labels).mean())
        if accuracy <= fraction and (counts > 0).sum() > 1:
            yield (
                f"{accuracy:.1%} of the {split_name} examples are right, and {fraction:.1%} would"
                f" be if every prediction were {spec.class_names[largest]}, the largest class"
            )

    def list_errors(self, outputs: SplitOutputs, number: int) -> ErrorsTable:
        """Return the errors with the highest probability."""
        from xferlab.evaluation.errors_table import ErrorsTable, most_confident, text_columns

        labels, predicted, confidence = outputs.units
        is_wrong = labels != predicted
        names = outputs.spec.class_names
        rows = []
        for i in most_confident(confidence, is_wrong, number):
            of_true = float(outputs.probabilities[i, labels[i]])
            cells = (names[labels[i]], names[predicted[i]], float(confidence[i]), of_true)
            rows.append((*outputs.text_cells(i), *cells))
        header = ("true", "predicted", "probability", "probability_of_true")
        return ErrorsTable(
            ("row", *text_columns(outputs), *header),
            tuple(rows),
            int(is_wrong.sum()),
            "the highest probability",
        )

    def prediction_rows(self, outputs: SplitOutputs) -> Iterator[tuple[Any, ...]]:
        """Yield true class, predicted class and probabilities of each example."""
        names = outputs.spec.class_names
        yield "row", "true", "predicted", *(f"p_{name}" for name in names)
        pairs = zip(outputs.labels, outputs.predicted, outputs.probabilities, strict=True)
        for number, (label, predicted, probabilities) in enumerate(pairs, start=1):
            yield number, names[label], names[predicted], *probabilities.tolist()
