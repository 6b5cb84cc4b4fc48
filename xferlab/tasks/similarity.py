"""Similarity: two texts, encoded apart, whose vectors are near each other or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from xferlab.tasks.base import LabelKind, OutputKind, TaskSpec
from xferlab.tasks.regression import Regression

if TYPE_CHECKING:
    import numpy as np

    from xferlab.contracts import Split
    from xferlab.data.labels import Rows
    from xferlab.evaluation.errors_table import ErrorsTable
    from xferlab.evaluation.split_outputs import SplitOutputs
    from xferlab.statistics.baselines import Baseline
    from xferlab.statistics.tables import Table


class Similarity(Regression):
    """A number for each pair of texts; outputs are their two vectors, (examples, 2 width)."""

    name = "similarity"
    output_kind = OutputKind.embeddings
    encodes_texts_apart = True
    export_formats = ("sentence_transformers",)
    baseline_metrics: ClassVar = {}
    problem_type = None
    pipeline_tag = "sentence-similarity"
    title = "a vector a text"
    card_note = "The similarity of two texts is the cosine of their vectors."

    def num_outputs(self, spec: TaskSpec) -> int:
        """Return 0: the encoder decides the width."""
        return 0

    def loss(self, spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None) -> Any:
        """Return the squared distance of cosine and label."""
        from xferlab.functional.losses import refuse_class_options
        from xferlab.functional.similarity import cosine_loss

        refuse_class_options(spec, label_smoothing, class_weight)
        return cosine_loss()

    def decide(self, outputs: Any, spec: TaskSpec) -> Any:
        """Return the cosine of each pair, float32 (examples,)."""
        import numpy as np

        from xferlab.functional.similarity import cosines

        return cosines(outputs, np)

    def predicted_labels(self, probabilities: Any, names: Sequence[str]) -> list[float]:
        """Return the cosines."""
        import numpy as np

        from xferlab.functional.similarity import cosines

        return [float(value) for value in cosines(np.asarray(probabilities), np)]

    def prediction_cells(
        self, text: Any, label: Any, probabilities: Any, spec: TaskSpec
    ) -> dict[str, Any]:
        """Return ``text`` and ``similarity``."""
        return {"text": text, "similarity": label}

    def prediction_columns(self, spec: TaskSpec) -> list[str]:
        """Return ``text`` and ``similarity``."""
        return ["text", "similarity"]

    def chance_outputs(self, labels: Any, spec: TaskSpec, vocabulary_size: int) -> None:
        """Return None: outputs are vectors."""

    def constant_baseline(self, train: Split, spec: TaskSpec) -> None:
        """Return None: a constant similarity orders nothing."""

    def text_baseline(self, train: Split, spec: TaskSpec, seed: int) -> Baseline | None:
        """Return the cosines of TF-IDF vectors."""
        from xferlab.statistics.baselines import Baseline
        from xferlab.statistics.linear_models import pair_cosines

        predict = pair_cosines(train)
        return predict and Baseline("cosine of TF-IDF vectors", predict)

    def baseline_notes(
        self, spec: TaskSpec, split_name: str, labels: Any, outputs: Any
    ) -> Iterator[str]:
        """Yield nothing: labels and cosines may have other units."""
        yield from ()

    def list_errors(self, outputs: SplitOutputs, number: int) -> ErrorsTable:
        """Return the pairs with the largest distance from the line of labels by cosines."""
        import numpy as np

        from xferlab.evaluation.errors_table import ErrorsTable, most_confident, text_columns

        error = _on_the_line(outputs) - outputs.labels
        rows = []
        for i in most_confident(np.abs(error), error != 0, number):
            cells = (float(outputs.labels[i]), float(outputs.predicted[i]), float(error[i]))
            rows.append((*outputs.text_cells(i), *cells))
        header = ("row", *text_columns(outputs), "true", "similarity", "error")
        order = "the largest distance from the straight line of labels by similarities"
        return ErrorsTable(header, tuple(rows), int((error != 0).sum()), order)

    def analyse(self, outputs: SplitOutputs) -> dict[str, Any]:
        """Return the labels beside the line of labels by cosines."""
        from xferlab.evaluation.calibration import Residuals

        return {"residuals": Residuals(outputs.labels.astype("float64"), _on_the_line(outputs))}


class Retrieval(Similarity):
    """Pairs of texts without labels: the second is the one to find; labels are zeros."""

    name = "retrieval"
    label_kind = LabelKind.none
    has_labels = False
    default_metrics: ClassVar = {"mrr": {"name": "mrr"}, "recall_at_k": {"name": "recall_at_k"}}

    def parse_labels(self, split_name: str, rows: Rows, separator: str) -> list[float]:
        """Return zeros."""
        return [0.0] * len(rows)

    def loss(self, spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None) -> Any:
        """Return the cross-entropy among the pairs of a batch."""
        from xferlab.functional.losses import refuse_class_options
        from xferlab.functional.similarity import in_batch_loss

        refuse_class_options(spec, label_smoothing, class_weight)
        return in_batch_loss(20.0)

    def label_tables(self, splits: Mapping[str, Any], spec: TaskSpec) -> list[Table]:
        """Return nothing: there are no labels."""
        return []

    def describe_labels(self, split: Split, spec: TaskSpec) -> str:
        """Return nothing: there are no labels."""
        return ""

    def text_baseline(self, train: Split, spec: TaskSpec, seed: int) -> Baseline | None:
        """Return TF-IDF vectors."""
        from xferlab.statistics.baselines import Baseline
        from xferlab.statistics.linear_models import pair_vectors

        predict = pair_vectors(train)
        return predict and Baseline("cosine of TF-IDF vectors", predict)

    def list_errors(self, outputs: SplitOutputs, number: int) -> ErrorsTable:
        """Return the pairs with the largest ranks."""
        from xferlab.evaluation.errors_table import ErrorsTable, most_confident, text_columns
        from xferlab.functional.similarity import ranks_of_pairs

        ranks = ranks_of_pairs(outputs.outputs)
        rows = [
            (*outputs.text_cells(i), int(ranks[i]), float(outputs.predicted[i]))
            for i in most_confident(ranks, ranks > 1, number)
        ]
        header = ("row", *text_columns(outputs), "rank", "similarity")
        return ErrorsTable(header, tuple(rows), int((ranks > 1).sum()), "the largest rank")

    def analyse(self, outputs: SplitOutputs) -> dict[str, Any]:
        """Return nothing: there are no labels."""
        return {}

    def prediction_rows(self, outputs: SplitOutputs) -> Iterator[tuple[Any, ...]]:
        """Yield rank and similarity of each pair."""
        from xferlab.functional.similarity import ranks_of_pairs

        yield "row", "rank", "similarity"
        pairs = zip(ranks_of_pairs(outputs.outputs), outputs.predicted, strict=True)
        for number, (rank, value) in enumerate(pairs, start=1):
            yield number, int(rank), float(value)


def _on_the_line(outputs: SplitOutputs) -> np.ndarray:
    """Return the labels that cosines stand for, float64 (examples,): the least squares line.

    Labels may have any unit, and only correlations are scored.
    """
    import numpy as np

    labels = outputs.labels.astype("float64")
    values = outputs.predicted.astype("float64")
    spread = values - values.mean()
    total = float(np.square(spread).sum())
    slope = float((spread * labels).sum()) / total if total else 0.0
    return labels.mean() + slope * spread
