"""What a row asks for, how labels are written down, what outputs mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Task(Enum):
    """What a row asks for."""

    single_label = "single_label"
    multi_label = "multi_label"
    regression = "regression"
    token_classification = "token_classification"


class OutputKind(Enum):
    """What a model's outputs mean."""

    logits = "logits"
    probabilities = "probabilities"
    values = "values"


class LabelKind(Enum):
    """How labels are written down.

    ``class_index`` (batch,) int32; ``one_hot`` and ``multi_hot`` (batch, classes) float32;
    ``float`` (batch,) float32; ``token_tags`` (batch, length) int32 with -1 where
    there is nothing to learn.
    """

    class_index = "class_index"
    one_hot = "one_hot"
    multi_hot = "multi_hot"
    float = "float"
    token_tags = "token_tags"


LABELS_OF_TASK = {
    Task.single_label: LabelKind.class_index,
    Task.multi_label: LabelKind.multi_hot,
    Task.regression: LabelKind.float,
    Task.token_classification: LabelKind.token_tags,
}


@dataclass(frozen=True)
class TaskSpec:
    """What the data says about the task.

    Attributes:
        task: what a row asks for.
        class_names: one name a class, in label order; empty for regression.
        train_size: rows of the training split.
        max_length: longest input, in tokens; longer ones are cut.
        has_pairs: whether a row is two texts.
        class_counts: training rows (tags, for tagging) of each class, in label order.
        emits: what the model's outputs mean; the framework fills it in from the model.
    """

    task: Task
    class_names: tuple[str, ...]
    train_size: int
    max_length: int
    has_pairs: bool = False
    class_counts: tuple[int, ...] = ()
    output_kind: OutputKind = OutputKind.logits

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for regression."""
        return len(self.class_names)

    @property
    def num_outputs(self) -> int:
        """Width of the model's last axis: one output a class, or one value."""
        return self.num_classes or 1

    @property
    def head_output_kind(self) -> OutputKind:
        """What a head without activation emits for this task."""
        return OutputKind.values if self.task is Task.regression else OutputKind.logits

    @property
    def label_kind(self) -> LabelKind:
        """How this task's labels are written down."""
        return LABELS_OF_TASK[self.task]


@dataclass(frozen=True)
class Accepts:
    """What a loss or a metric can be fed with; anything else is refused before training.

    Attributes:
        outputs: which kinds of model output.
        labels: which kinds of label.
    """

    outputs: tuple[OutputKind, ...]
    labels: tuple[LabelKind, ...]
