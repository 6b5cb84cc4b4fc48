"""The promises between the framework and a plugin; nothing heavy is imported here.

A plugin is a frozen dataclass registered under ``(group, name)`` with one method, listed in
:data:`GROUPS`. Each method's arguments say all that the plugin may know. Its fields make the run
id; one whose field is a place may say with ``identity() -> dict`` what there is at that place.

What is at a place can change while its name stays. A plugin that reads one may have ``inputs() ->
dict[str, str]``: a digest of the content by the field that names it, or by ``"field: detail"``. It
needs no TensorFlow, and a run is known by it. Without it the files and folders that its fields
name by a path are digested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from xferlab.tasks.base import Accepts as Accepts
from xferlab.tasks.base import LabelKind as LabelKind
from xferlab.tasks.base import OutputKind as OutputKind
from xferlab.tasks.base import Task as Task
from xferlab.tasks.base import TaskSpec as TaskSpec

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    import numpy as np


@dataclass(frozen=True)
class Split:
    """Rows of one split, in order.

    Attributes:
        texts: one string a row; for tagging, one list of words a row.
        labels: array as the task's :class:`LabelKind` says, one row each; for tagging a list
            with one int32 array a row, one tag a word.
        pairs: the second text of each row, where rows are pairs.
    """

    texts: Sequence[Any]
    labels: Any
    pairs: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class TextData:
    """A task's rows: training, validation and, where there is one, test.

    Attributes:
        spec: what the data says about the task.
        train: rows to learn from.
        validation: rows to follow while training.
        test: rows to score once at the end.
        notes: lines for the run's record: what was guessed, and what is odd about the rows.
    """

    spec: TaskSpec
    train: Split
    validation: Split
    test: Split | None = None
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, Split]:
        """The splits that exist, by name."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in every.items() if split is not None}


@dataclass(frozen=True)
class Encoding:
    """Token ids of a list of rows.

    Attributes:
        token_ids: one int32 array (length,) a row, special tokens included.
        segment_ids: likewise; 0 for the first text of a pair, 1 for the second.
        word_ids: for tagging, the word each token belongs to, -1 for special tokens.
    """

    token_ids: Sequence[np.ndarray]
    segment_ids: Sequence[np.ndarray]
    word_ids: Sequence[np.ndarray] | None = None


class Tokenizer(Protocol):
    """Turns texts into token ids; ``fingerprint`` changes whenever its answers could."""

    fingerprint: str
    pad_id: int

    def encode(
        self, texts: Sequence[Any], pairs: Sequence[str] | None, max_length: int
    ) -> Encoding: ...


@dataclass(frozen=True)
class TextModel:
    """What a model plugin builds.

    Attributes:
        network: uncompiled ``keras.Model``. Input: a dict with ``token_ids``, ``segment_ids`` and
            ``padding_mask``, each (batch, length) int32; it may ignore some. Output: float
            (batch, num_outputs), for tagging (batch, length, num_outputs).
        tokenizer: makes the token ids.
        blocks: layer names by block, in order from text to output; the last is ``head``, the
            freshly initialised part. Transfer strategies speak of blocks.
        emits: what the outputs mean.
        origin: where the weights come from, for the log and ``run.json``.
        files: what the run keeps in its folder ``model``, so that ``restore`` needs nothing else:
            a file to copy, or its content, by plain file name. Weights are kept by the framework.
    """

    network: keras.Model
    tokenizer: Tokenizer
    blocks: Mapping[str, tuple[str, ...]]
    output_kind: OutputKind = OutputKind.logits
    origin: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path | bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """How long training lasts, counted in optimizer steps.

    Attributes:
        epochs: passes over the training split, the last one perhaps cut short.
        steps_per_epoch: optimizer steps (updates) in a full pass.
        total_steps: optimizer steps of the whole run.
    """

    epochs: int
    steps_per_epoch: int
    total_steps: int

    def warmup_steps(self, warmup: float) -> int:
        """Return ``warmup`` in steps: below 1 it is a share of the run, from 1 up it is steps."""
        return round(warmup * self.total_steps) if warmup < 1 else int(warmup)


@dataclass(frozen=True)
class Phase:
    """A stretch of training during which the same blocks learn.

    Attributes:
        epochs: length; the phases of a plan add up to the budget's epochs.
        frozen: names of blocks that stand still; blocks no phase names are left alone.
    """

    epochs: int
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class TransferPlan:
    """What a transfer strategy asks of the run; plain data, so it can be tested without fit.

    Attributes:
        phases: stretches of training, in order.
        rates: multiplier of the learning rate by block; a block not named has 1.
    """

    phases: tuple[Phase, ...]
    rates: Mapping[str, float] = field(default_factory=dict)


class Data(Protocol):
    """Loads and splits text; makes no batches and knows no tokenizer.

    It may also have ``read(split, spec, seed) -> Split | None``: the rows of one split, labelled by
    the class names of an earlier run's task, without looking at the other splits; None where it
    has none of its own. It is what an evaluation on new rows asks.
    """

    def build(self, seed: int) -> TextData: ...


class Model(Protocol):
    """Builds an uncompiled network of ``spec.num_outputs`` outputs and its tokenizer.

    It may also have ``fetch()``, called before TensorFlow is imported, so that a missing checkpoint
    is reported within a second; ``max_sequence_length()``, the tokens of the longest text that it
    can read; and ``check(spec) -> tuple[str, ...]``, which refuses examples that it cannot read and
    returns the names of its blocks.
    And it may have ``restore(spec, folder) -> TextModel``: the same network and
    tokenizer from nothing but the ``files`` that its ``build`` named, which lie in ``folder``;
    the trained weights are assigned afterwards. Without it a run is loaded through ``build``,
    which then has to work without network and checkpoint.
    """

    def build(self, spec: TaskSpec) -> TextModel: ...


class Transfer(Protocol):
    """Decides which blocks learn, when and how fast; may change ``model.network`` in place."""

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan: ...


class Schedule(Protocol):
    """Shapes the learning rate over ``budget.total_steps``; ``peak`` is the optimizer's ``lr``.

    One that reacts to the scores builds the first rate as a float and also has
    ``react(peak, values, better) -> float``: the rate after the epochs whose monitored values are
    ``values``. It remembers nothing, so that a resumed run gets the same rates.
    """

    def build(self, peak: float, budget: Budget) -> Any: ...


class Optimizer(Protocol):
    """Builds an optimizer around the rate or schedule it is given."""

    lr: float

    def build(self, learning_rate: Any) -> keras.optimizers.Optimizer: ...


class Loss(Protocol):
    """Builds a loss of labels and outputs, of the kinds that ``takes`` names."""

    accepts: ClassVar[Accepts]

    def build(self, spec: TaskSpec) -> keras.losses.Loss: ...


class Metric(Protocol):
    """Builds a score of labels and outputs, of the kinds that ``takes`` names.

    ``build`` returns either a ``keras.metrics.Metric``, which is also followed on the training
    batches, or a function of a whole split's ``(labels, outputs)`` arrays to one float.
    ``better`` is ``"max"`` or ``"min"``. Words that were cut off a long row are answered with O; a
    metric of how sure a model is says ``rates_sureness = True`` on what it builds, and gets the
    words that were read alone. A plugin may also have ``check(spec)``, which raises ConfigError for
    a task that it cannot score, before TensorFlow is imported.
    """

    accepts: ClassVar[Accepts]
    mode: ClassVar[str]

    def build(self, spec: TaskSpec) -> keras.metrics.Metric | Callable[[Any, Any], float]: ...


GROUPS: dict[str, str] = {
    "data": "build",
    "model": "build",
    "transfer": "apply",
    "loss": "build",
    "optimizer": "build",
    "schedule": "build",
    "metric": "build",
}
"""Plugin groups and the one method each plugin of the group has."""

DECLARATIONS: dict[str, dict[str, type]] = {
    "loss": {"accepts": Accepts},
    "metric": {"accepts": Accepts, "mode": str},
}
"""Class variables a plugin of the group must declare, and their types."""
