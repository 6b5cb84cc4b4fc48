"""The interface of a task, the registry of tasks, and what data, models and metrics declare.

A task is one file beside this one: a class below :class:`Task`, registered with
:func:`register_task`. It holds everything that differs between tasks: labels, head, loss, metrics,
decisions, evaluation, written predictions and exports. No other module compares a task's name.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

from xferlab.member_registry import MemberRegistry

Problem = tuple[str, str]
"""What is wrong, as the rest of a sentence about a plugin, and what its author changes."""


class OutputKind(Enum):
    """What a model's outputs mean."""

    logits = "logits"
    probabilities = "probabilities"
    values = "values"
    embeddings = "embeddings"


class LabelKind(Enum):
    """How labels are stored.

    ``class_index`` (batch,) int32; ``one_hot`` and ``multi_hot`` (batch, classes) float32;
    ``float`` (batch,) float32; ``token_tags`` (batch, length) int32 with -1 where there is no
    label; ``none`` (batch,) float32 zeros of a task without labels.
    """

    class_index = "class_index"
    one_hot = "one_hot"
    multi_hot = "multi_hot"
    float = "float"
    token_tags = "token_tags"
    none = "none"


class _TaskType(ABCMeta):
    """Makes every registered task an attribute: ``Task.single_label``."""

    def __getattr__(cls, name: str) -> Task:
        try:
            return TASKS[name]
        except KeyError:
            raise AttributeError(f"there is no task '{name}'") from None


class Task(metaclass=_TaskType):
    """What a model predicts for an example; an instance holds all that is particular to a task.

    In the methods ``spec`` is the :class:`TaskSpec`, ``labels`` are arrays of the task's label
    kind, and ``outputs`` are float32 (examples, num_outputs), for a task with a label for each word
    (examples, words, num_outputs); evaluations are given a
    :class:`~xferlab.evaluation.split_outputs.SplitOutputs`.

    Attributes:
        name: what ``data.task`` and ``run.json`` call it.
        label_kind: how its labels are stored.
        output_kind: what a head without activation emits.
        unit: what is counted in scores by class.
        min_classes: the fewest classes; 0 for a task without classes.
        is_exclusive: whether an example, or a word, has exactly one class (softmax); otherwise
            each class is a separate yes or no (sigmoid).
        is_per_word: whether texts are lists of words, each with a label.
        has_label_lists: whether the label of an example is a list: several names, or one a word.
        has_labels: whether examples have labels; False for texts alone.
        masks_tokens: whether the network masks tokens and predicts them.
        encodes_texts_apart: whether an example is two texts that one encoder reads apart.
        export_formats: the formats that a run can be exported to; None for all.
        default_metrics: metric configs by logged name; the first one picks the best epoch.
        baseline_metrics: metrics that simple models of the data are scored by, too.
        list_separator: joins the items of a list in a CSV cell.
        problem_type: ``problem_type`` of transformers' ``config.json``, or None for no such key.
        pipeline_tag: the pipeline of transformers that runs an export.
        head_class: the end of transformers' class name, as in ``BertForSequenceClassification``.
        title: what the model gives, for the title of a model card.
        card_note: how to read the pipeline's scores, for a model card.
    """

    name: str
    label_kind: LabelKind
    output_kind = OutputKind.logits
    unit = "examples"
    min_classes = 2
    is_exclusive = True
    is_per_word = False
    has_label_lists = False
    has_labels = True
    masks_tokens = False
    encodes_texts_apart = False
    export_formats: tuple[str, ...] | None = None
    default_metrics: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    baseline_metrics: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    list_separator = " "
    problem_type: str | None = None
    pipeline_tag = "text-classification"
    head_class = "SequenceClassification"
    title: str
    card_note: str

    @property
    def has_classes(self) -> bool:
        """Whether labels are classes, not numbers."""
        return self.min_classes > 0

    def __repr__(self) -> str:
        return f"Task.{self.name}"

    def __reduce__(self) -> Any:
        return task_named, (self.name,)

    def __deepcopy__(self, memo: Any) -> Task:
        return self

    # -- labels ------------------------------------------------------------------------------------

    def num_outputs(self, spec: TaskSpec) -> int:
        """Return the width of the model's last axis."""
        return spec.num_classes or 1

    @abstractmethod
    def label_problems(self, split_name: str, split: Any, spec: TaskSpec) -> Iterator[Problem]:
        """Yield what is wrong with the labels of a split that a data plugin returns."""

    @abstractmethod
    def class_counts(self, labels: Any, num_classes: int) -> tuple[int, ...]:
        """Return the examples (or words) of each class; empty for a task without classes."""

    @abstractmethod
    def parse_labels(self, split_name: str, rows: Any, separator: str) -> list[Any]:
        """Return each label of a file as a name, a list of names or a float.

        Raises:
            ConfigError: a label is missing or has another form.
        """

    @abstractmethod
    def label_array(self, codes: Sequence[Any], num_classes: int) -> Any:
        """Return labels as arrays, from class positions (or numbers) of each example."""

    def label_names(self, labels: Any, names: Sequence[str]) -> list[Any]:
        """Return labels as :meth:`parse_labels` does: names instead of positions."""
        return [names[label] for label in labels]

    # -- statistics --------------------------------------------------------------------------------

    def label_tables(self, splits: Mapping[str, Any], spec: TaskSpec) -> list[Any]:
        """Return the statistics of the labels of all splits, as Tables; none without labels."""
        return []

    def balancing(self, splits: Mapping[str, Any], spec: TaskSpec) -> tuple[str, tuple[str, ...]]:
        """Return what is unbalanced in train, "" for nothing, and overrides that answer it."""
        return "", ()

    def constant_baseline(self, train: Any, spec: TaskSpec) -> Any:
        """Return the best prediction without reading texts as a Baseline, or None."""
        return None

    def text_baseline(self, train: Any, spec: TaskSpec, seed: int) -> Any:
        """Return a simple model of the texts as a Baseline, or None."""
        return None

    def describe_labels(self, split: Any, spec: TaskSpec) -> str:
        """Return what the labels of a split are like in a line; "" without labels."""
        return ""

    def chance_outputs(self, labels: Any, spec: TaskSpec, vocabulary_size: int) -> Any:
        """Return outputs that prefer nothing, float32, or None where a task has none such.

        Args:
            labels: of examples.
            spec: the task.
            vocabulary_size: tokens that the tokenizer has; 0 where it does not say.
        """
        return None

    # -- outputs -----------------------------------------------------------------------------------

    @abstractmethod
    def loss(self, spec: TaskSpec, label_smoothing: float = 0.0, class_weight: Any = None) -> Any:
        """Return the Keras loss that ``loss=auto`` stands for."""

    @abstractmethod
    def probe_batch(self, spec: TaskSpec) -> Any:
        """Return labels with right and wrong outputs, as the checks of losses and metrics use.

        None for a task without classes: its labels are then made up from the training labels.
        """

    @abstractmethod
    def decide(self, outputs: Any, spec: TaskSpec) -> Any:
        """Return the predicted class of each example or word, or a bool for each class."""

    # -- predictions -------------------------------------------------------------------------------

    @abstractmethod
    def predicted_labels(self, probabilities: Any, names: Sequence[str]) -> list[Any]:
        """Return predictions by name: a name, a list of names or a number for each example."""

    @abstractmethod
    def prediction_cells(
        self, text: Any, label: Any, probabilities: Any, spec: TaskSpec
    ) -> dict[str, Any]:
        """Return the cells of one prediction, by column; ``label`` of :meth:`predicted_labels`."""

    @abstractmethod
    def prediction_columns(self, spec: TaskSpec) -> list[str]:
        """Return the columns of :meth:`prediction_cells`, in order."""

    def prediction_tables(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> list[tuple[list[str], list[list[Any]]]]:
        """Return the tables that a terminal shows: each a header and its rows."""
        header = list(rows[0]) if rows else ["text"]
        return [(header, [[row[name] for name in header] for row in rows])]

    # -- evaluation --------------------------------------------------------------------------------

    @abstractmethod
    def baseline_notes(
        self, spec: TaskSpec, split_name: str, labels: Any, outputs: Any
    ) -> Iterator[str]:
        """Yield a line for outputs that are no better than one constant prediction."""

    @abstractmethod
    def list_errors(self, outputs: Any, number: int) -> Any:
        """Return the ``number`` most confident errors of a split as an ErrorsTable."""

    @abstractmethod
    def analyse(self, outputs: Any) -> dict[str, Any]:
        """Return what an evaluation writes beside scores and errors, by file name without suffix.

        Each has a method ``csv()``; ``xferlab.evaluation.plots.figure_of`` draws those that it
        knows.
        """

    def confusion(self, outputs: Any) -> Any:
        """Return a Confusion or LabelCounts, or None for a task without classes."""
        return None

    @abstractmethod
    def prediction_rows(self, outputs: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of an evaluation's ``predictions.csv``, its header first."""


TASKS = MemberRegistry[Task]("task ")
"""Every registered task, by name."""
T = TypeVar("T", bound=type[Task])


def register_task(cls: T) -> T:
    """Class decorator that makes a task available as ``Task.<name>`` and in ``run.json``."""
    TASKS.add(cls.name, cls())
    return cls


def task_named(name: str) -> Task:
    """Return a registered task; ValueError if there is none of this name."""
    if name not in TASKS:
        raise ValueError(f"there is no task '{name}'; there are: {', '.join(TASKS)}")
    return TASKS[name]


@dataclass(frozen=True)
class TaskSpec:
    """What the data says about the task.

    Attributes:
        task: what the model predicts.
        class_names: the classes, in label order; empty for a task without classes.
        train_size: examples of the training split.
        max_length: longest input, in tokens; longer ones are truncated.
        has_pairs: whether an example is two texts.
        class_counts: training examples (tags, for token classification) of each class, in label
            order.
        output_kind: what the model's outputs mean; the framework takes it from the model.
        soft_labels: whether training examples have the probability of each class as their label.
        windows: tokens that two windows of a long text have in common; None truncates it.
    """

    task: Task
    class_names: tuple[str, ...]
    train_size: int
    max_length: int
    has_pairs: bool = False
    class_counts: tuple[int, ...] = ()
    output_kind: OutputKind = OutputKind.logits
    soft_labels: bool = False
    windows: int | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for a task without classes."""
        return len(self.class_names)

    @property
    def num_outputs(self) -> int:
        """Width of the model's last axis."""
        return self.task.num_outputs(self)

    @property
    def head_output_kind(self) -> OutputKind:
        """What a head without activation emits for this task."""
        return self.task.output_kind

    @property
    def label_kind(self) -> LabelKind:
        """How this task's labels are stored."""
        return self.task.label_kind


@dataclass(frozen=True)
class Accepts:
    """The model outputs and labels that a loss or a metric accepts.

    Attributes:
        outputs: kinds of model output.
        labels: kinds of label.
    """

    outputs: tuple[OutputKind, ...]
    labels: tuple[LabelKind, ...]

    def __repr__(self) -> str:
        """Return the kinds without those that came later, as run ids hash this text."""
        outputs = tuple(kind for kind in self.outputs if kind is not OutputKind.embeddings)
        labels = tuple(kind for kind in self.labels if kind is not LabelKind.none)
        return f"Accepts(outputs={outputs!r}, labels={labels!r})"
