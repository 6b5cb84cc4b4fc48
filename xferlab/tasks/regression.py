"""Regression: a number for each example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from xferlab.errors import ConfigError
from xferlab.tasks.base import LabelKind, OutputKind, Problem, Task, TaskSpec
from xferlab.tasks.label_checks import checked_array, first_true

if TYPE_CHECKING:
    from xferlab.contracts import Split
    from xferlab.data.labels import Rows
    from xferlab.evaluation.errors_table import ErrorsTable
    from xferlab.evaluation.split_outputs import SplitOutputs
    from xferlab.statistics.baselines import Baseline
    from xferlab.statistics.tables import Table

LARGEST = 3.4e38
"""Of a float32 number."""


class Regression(Task):
    """One number for each example; labels are float32 (examples,)."""

    name = "regression"
    label_kind = LabelKind.float
    output_kind = OutputKind.values
    min_classes = 0
    is_exclusive = False
    default_metrics: ClassVar = {"pearson": {"name": "pearson"}, "spearman": {"name": "spearman"}}
    baseline_metrics: ClassVar = {"mean_squared_error": {"name": "mean_squared_error"}}
    problem_type: str | None = "regression"
    title = "a number a text"
    card_note = "The score is the value itself, no probability."

    def label_problems(self, split_name: str, split: Any, spec: TaskSpec) -> Iterator[Problem]:
        """Yield a problem unless labels are finite numbers."""
        import numpy as np

        expected = "numbers as float32, shape (examples,)"
        labels = yield from checked_array(split_name, split, spec, "f", expected, 1)
        example = first_true(~np.isfinite(labels))
        if example is not None:
            what = f"gives {labels[example]:g} as the label of example {example + 1} of"
            yield f"{what} {split_name}", "leave out examples without a number"

    def class_counts(self, labels: Any, num_classes: int) -> tuple[int, ...]:
        """Return nothing: there are no classes."""
        return ()

    def parse_labels(self, split_name: str, rows: Rows, separator: str) -> list[float]:
        """Return each label as a float."""
        from xferlab.data.labels import UNLABELLED, number_of, row_error
        from xferlab.data.notes import shown

        numbers = [number_of(value) for value in rows.labels]
        wrong = [i for i, number in enumerate(numbers) if not abs(number) <= LARGEST]
        if wrong:
            example = shown(rows.labels[wrong[0]])
            what = f"of {split_name} have a label that is no number, e.g. {example}"
            raise row_error(rows, wrong, what, "label")
        distinct = {f"{number:g}" for number in numbers}
        if split_name != "train" and len(numbers) > 1 and distinct <= set(UNLABELLED):
            raise ConfigError(
                f"every label of {split_name} is {numbers[0]:g}, which means 'not labelled'",
                where=rows.place(0),
                fix=f"data.{split_name}=null removes this split; data.label=COLUMN chooses another"
                " column",
            )
        return numbers

    def label_array(self, codes: Sequence[float], num_classes: int) -> Any:
        """Return the numbers, float32 (examples,)."""
        import numpy as np

        return np.array(codes, dtype="float32")

    def label_names(self, labels: Any, names: Sequence[str]) -> list[Any]:
        """Return the numbers: they have no names."""
        return labels.tolist()

    def loss(self, spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None) -> Any:
        """Return the mean squared error."""
        from xferlab.functional.losses import refuse_class_options, squared_error

        refuse_class_options(spec, label_smoothing, class_weight)
        return squared_error()

    def probe_batch(self, spec: TaskSpec) -> None:
        """Return None: there are no classes."""

    def decide(self, outputs: Any, spec: TaskSpec) -> Any:
        """Return the values, float32 (examples,)."""
        return outputs.reshape(-1)

    def predicted_labels(self, probabilities: Any, names: Sequence[str]) -> list[float]:
        """Return the values."""
        return [float(value) for value in probabilities[:, 0]]

    def prediction_cells(
        self, text: Any, label: Any, probabilities: Any, spec: TaskSpec
    ) -> dict[str, Any]:
        """Return ``text`` and ``value``."""
        return {"text": text, "value": label}

    def prediction_columns(self, spec: TaskSpec) -> list[str]:
        """Return ``text`` and ``value``."""
        return ["text", "value"]

    def label_tables(self, splits: Mapping[str, Any], spec: TaskSpec) -> list[Table]:
        """Return quantiles of the numbers."""
        from xferlab.statistics.labels import quantile_table

        return [quantile_table(splits)]

    def describe_labels(self, split: Split, spec: TaskSpec) -> str:
        """Return mean, spread and range of the numbers."""
        import numpy as np

        values = np.asarray(split.labels, "float64")
        spread = f"sd {values.std():.4g}, from {values.min():.4g} to {values.max():.4g}"
        return f"mean {values.mean():.4g}, {spread}"

    def chance_outputs(self, labels: Any, spec: TaskSpec, vocabulary_size: int) -> Any:
        """Return the mean."""
        import numpy as np

        from xferlab.statistics.baselines import repeated

        values = np.asarray(labels, "float64").reshape(len(labels), -1)
        return repeated(values.mean(axis=0), len(labels))

    def constant_baseline(self, train: Split, spec: TaskSpec) -> Baseline | None:
        """Return the mean of the training labels."""
        import numpy as np

        from xferlab.statistics.baselines import Baseline, repeated

        mean = np.asarray(train.labels, "float64").reshape(len(train), -1).mean(axis=0)
        shown = ", ".join(f"{value:.4g}" for value in mean)
        return Baseline(f"the mean ({shown})", lambda split: repeated(mean, len(split)))

    def text_baseline(self, train: Split, spec: TaskSpec, seed: int) -> Baseline | None:
        """Return a ridge regression of TF-IDF vectors."""
        from xferlab.statistics.baselines import Baseline
        from xferlab.statistics.linear_models import regressor

        predict = regressor(train, train.labels, seed)
        return predict and Baseline("TF-IDF + ridge regression", predict)

    def baseline_notes(
        self, spec: TaskSpec, split_name: str, labels: Any, outputs: Any
    ) -> Iterator[str]:
        """Yield a line if the squared error is not below that of the labels' mean."""
        values = outputs.reshape(-1)
        labels = labels.astype("float64")
        variance = float(((labels - labels.mean()) ** 2).mean())
        error = float(((labels - values) ** 2).mean())
        if variance and error >= variance:
            yield (
                f"the mean squared error of {split_name} is {error:.4g}, and {variance:.4g} if"
                " every prediction were the mean of its labels"
            )

    def list_errors(self, outputs: SplitOutputs, number: int) -> ErrorsTable:
        """Return the examples with the largest errors."""
        import numpy as np

        from xferlab.evaluation.errors_table import ErrorsTable, most_confident, text_columns

        error = outputs.predicted.astype("float64") - outputs.labels
        is_wrong = error != 0
        rows = []
        for i in most_confident(np.abs(error), is_wrong, number):
            cells = (float(outputs.labels[i]), float(outputs.predicted[i]), float(error[i]))
            rows.append((*outputs.text_cells(i), *cells))
        header = ("row", *text_columns(outputs), "true", "predicted", "error")
        return ErrorsTable(header, tuple(rows), int(is_wrong.sum()), "the largest error")

    def analyse(self, outputs: SplitOutputs) -> dict[str, Any]:
        """Return the values beside their labels."""
        from xferlab.evaluation.calibration import Residuals

        labels, values = (a.astype("float64") for a in (outputs.labels, outputs.predicted))
        return {"residuals": Residuals(labels, values)}

    def prediction_rows(self, outputs: SplitOutputs) -> Iterator[tuple[Any, ...]]:
        """Yield label and value of each example."""
        yield "row", "true", "predicted"
        pairs = zip(outputs.labels, outputs.predicted, strict=True)
        for number, (label, value) in enumerate(pairs, start=1):
            yield number, float(label), float(value)
