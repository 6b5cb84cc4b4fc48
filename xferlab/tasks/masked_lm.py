"""Masked language modelling: pretraining that continues on one's own texts, without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from xferlab.tasks.base import LabelKind, OutputKind, Problem, Task, TaskSpec

if TYPE_CHECKING:
    from xferlab.data.labels import Rows
    from xferlab.evaluation.errors_table import ErrorsTable
    from xferlab.evaluation.split_outputs import SplitOutputs


class MaskedLM(Task):
    """Masked tokens are predicted; texts alone, labels are zeros, float32 (examples,).

    The network chooses the tokens. Its outputs for a text are three sums over them: of the negative
    log-likelihoods, of 1, and of those that are predicted right.
    """

    name = "masked_lm"
    label_kind = LabelKind.none
    output_kind = OutputKind.values
    min_classes = 0
    is_exclusive = False
    has_labels = False
    masks_tokens = True
    export_formats = ("transformers",)
    default_metrics: ClassVar = {
        "perplexity": {"name": "perplexity"},
        "masked_accuracy": {"name": "masked_accuracy"},
    }
    pipeline_tag = "fill-mask"
    head_class = "MaskedLM"
    title = "tokens that are masked"
    card_note = "It fills masks; a task of its own is trained from it."

    def num_outputs(self, spec: TaskSpec) -> int:
        """Return 3: the sums."""
        return 3

    def label_problems(self, split_name: str, split: Any, spec: TaskSpec) -> Iterator[Problem]:
        """Yield nothing: there are no labels."""
        yield from ()

    def class_counts(self, labels: Any, num_classes: int) -> tuple[int, ...]:
        """Return nothing: there are no classes."""
        return ()

    def parse_labels(self, split_name: str, rows: Rows, separator: str) -> list[float]:
        """Return zeros."""
        return [0.0] * len(rows)

    def label_array(self, codes: Sequence[float], num_classes: int) -> Any:
        """Return zeros, float32 (examples,)."""
        import numpy as np

        return np.zeros(len(codes), dtype="float32")

    def label_names(self, labels: Any, names: Sequence[str]) -> list[Any]:
        """Return the zeros."""
        return labels.tolist()

    def loss(self, spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None) -> Any:
        """Return the mean negative log-likelihood of the chosen tokens."""
        from xferlab.functional.losses import mean_of_sums, refuse_class_options

        refuse_class_options(spec, label_smoothing, class_weight)
        return mean_of_sums()

    def chance_outputs(self, labels: Any, spec: TaskSpec, vocabulary_size: int) -> Any:
        """Return the sums of texts in which one token is masked, all tokens equally probable."""
        import numpy as np

        if not vocabulary_size:
            return None
        sums = [np.log(vocabulary_size), 1.0, 1 / vocabulary_size]
        return np.tile(np.array(sums, "float32"), (len(labels), 1))

    def probe_batch(self, spec: TaskSpec) -> None:
        """Return None: there are no labels."""

    def decide(self, outputs: Any, spec: TaskSpec) -> Any:
        """Return the mean negative log-likelihood of each text, float32 (examples,)."""
        import numpy as np

        return outputs[:, 0] / np.maximum(outputs[:, 1], 1.0)

    def predicted_labels(self, probabilities: Any, names: Sequence[str]) -> list[float]:
        """Return the mean negative log-likelihood of each text's chosen tokens."""
        return [float(total / max(count, 1.0)) for total, count, _ in probabilities]

    def prediction_cells(
        self, text: Any, label: Any, probabilities: Any, spec: TaskSpec
    ) -> dict[str, Any]:
        """Return ``text``, how many tokens are masked and right, and their ``loss``."""
        _, count, right = probabilities
        return {"text": text, "masked": int(count), "right": int(right), "loss": label}

    def prediction_columns(self, spec: TaskSpec) -> list[str]:
        """Return ``text``, ``masked``, ``right`` and ``loss``."""
        return ["text", "masked", "right", "loss"]

    def baseline_notes(
        self, spec: TaskSpec, split_name: str, labels: Any, outputs: Any
    ) -> Iterator[str]:
        """Yield a line where no token was masked."""
        if not outputs[:, 1].sum():
            yield f"no token of {split_name} was masked: its scores are of none"

    def list_errors(self, outputs: SplitOutputs, number: int) -> ErrorsTable:
        """Return the texts whose masked tokens surprise most."""
        from xferlab.evaluation.errors_table import ErrorsTable, most_confident, text_columns

        has_masks = outputs.outputs[:, 1] > 0
        rows = []
        for i in most_confident(outputs.predicted, has_masks, number):
            _, count, right = outputs.outputs[i]
            cells = (int(count), int(right), float(outputs.predicted[i]))
            rows.append((*outputs.text_cells(i), *cells))
        header = ("row", *text_columns(outputs), "masked", "right", "loss")
        return ErrorsTable(header, tuple(rows), int(has_masks.sum()), "the largest loss")

    def analyse(self, outputs: SplitOutputs) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def prediction_rows(self, outputs: SplitOutputs) -> Iterator[tuple[Any, ...]]:
        """Yield the sums of each text."""
        yield "row", "loss_sum", "masked", "right"
        for number, (total, count, right) in enumerate(outputs.outputs, start=1):
            yield number, float(total), int(count), int(right)
