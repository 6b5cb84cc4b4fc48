"""The contract of every plugin group, and the data that passes between them; nothing heavy here.

A plugin is a frozen dataclass registered under ``(group, name)`` with one method, which
:data:`xferlab.groups.GROUPS` names. The arguments of the method are all that it may depend on. Its
fields make the run id; a plugin may replace them there: ``identity() -> dict`` returns the values
that are hashed, such as a digest for a path. One that returns None changes nothing that a run
computes: runs with and without it have one id.

The content at a path can change while its name stays. A plugin that reads one may have
``inputs() -> dict[str, str]``: a digest of the content by the field that names it, or by
``"field: detail"``. It needs no TensorFlow, and the digests identify a run's inputs. Without it the
files and folders that its fields name are digested.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from xferlab.head_contracts import EncoderOutputs as EncoderOutputs
from xferlab.head_contracts import Head as Head
from xferlab.head_contracts import Reads as Reads
from xferlab.output_contracts import Postprocess as Postprocess
from xferlab.output_contracts import Processed as Processed
from xferlab.step_contracts import Average as Average
from xferlab.step_contracts import Budget as Budget
from xferlab.step_contracts import Moment as Moment
from xferlab.step_contracts import Needs as Needs
from xferlab.step_contracts import Objective as Objective
from xferlab.step_contracts import Take as Take
from xferlab.step_contracts import TrainingStep as TrainingStep
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
    """Examples of one split, in order.

    Attributes:
        texts: one string for each example; for token classification, one list of words.
        labels: an array as described in :class:`LabelKind`; for token classification a list with
            one int32 array for each example, one tag a word.
        pairs: the second text of each example, where examples are pairs.
        weights: how much each example counts in the training loss, float32 (examples,), from 0 up.
        soft_labels: the probability of each class to train on instead of the label, float32
            (examples, classes); of one class a text they sum to 1. Scores are those of ``labels``.
        groups: a number for each example, int32 (examples,): those of one group depend on each
            other, and are in one split.
    """

    texts: Sequence[Any]
    labels: Any
    pairs: Sequence[str] | None = None
    weights: np.ndarray | None = None
    soft_labels: np.ndarray | None = None
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the examples in order, with all that a split has of them; computed once."""
        digest = hashlib.sha256()
        for text, pair, label in zip(
            self.texts, self.pairs or self.texts, self.labels, strict=True
        ):
            plain = label.tolist() if hasattr(label, "tolist") else label
            digest.update(repr((text, pair, plain)).encode())
        for name in ("weights", "soft_labels", "groups"):
            if (values := getattr(self, name)) is not None:
                digest.update(name.encode() + values.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class TextData:
    """A task's examples: training, validation and, where there is one, test.

    Attributes:
        spec: what the data defines about the task.
        train: training examples.
        validation: examples that are scored after each epoch.
        test: examples that are scored once at the end.
        notes: lines for the run's record: what was inferred, and what is unusual in the examples.
        fold_rows: where ``test`` is a fold of the training examples, the position of each of its
            examples among all of them, int64 (examples,).
    """

    spec: TaskSpec
    train: Split
    validation: Split
    test: Split | None = None
    notes: tuple[str, ...] = ()
    fold_rows: np.ndarray | None = None

    @property
    def splits(self) -> dict[str, Split]:
        """The splits that exist, by name."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in every.items() if split is not None}


@dataclass(frozen=True)
class Encoding:
    """Token ids of a list of examples.

    Attributes:
        token_ids: one int32 array (length,) for each example, special tokens included.
        segment_ids: likewise; 0 for the first text of a pair, 1 for the second.
        word_ids: for token classification, the word of each token, -1 for special tokens.
        owners: the text of each row, int32 (rows,), where texts are read in windows.
    """

    token_ids: Sequence[np.ndarray]
    segment_ids: Sequence[np.ndarray]
    word_ids: Sequence[np.ndarray] | None = None
    owners: np.ndarray | None = None


class Tokenizer(Protocol):
    """Turns texts into token ids; ``fingerprint`` changes whenever its output could.

    For ``data.windows`` it also has ``windows(texts, max_length, overlap)``, which yields for each
    text a list of windows, each the token ids, segment ids and word ids of its tokens; of pairs it
    is given ``pairs``, the second texts, too.
    """

    fingerprint: str
    pad_id: int

    def encode(
        self, texts: Sequence[Any], pairs: Sequence[str] | None, max_length: int
    ) -> Encoding: ...


@dataclass(frozen=True)
class TextModel:
    """A network with its tokenizer, as a model plugin builds it.

    Attributes:
        network: uncompiled ``keras.Model``. Input: a dict with ``token_ids``, ``segment_ids`` and
            ``padding_mask``, each (batch, length) int32; it may ignore some. Output: float
            (batch, num_outputs), for token classification (batch, length, num_outputs).
        tokenizer: makes the token ids.
        blocks: layer names by block, in order from text to output; the last is ``head``, the
            freshly initialised part. Transfer strategies speak of blocks.
        output_kind: what the outputs mean.
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
class Phase:
    """A part of training during which the same blocks are trained.

    Attributes:
        epochs: length; the phases of a plan add up to the budget's epochs.
        frozen: names of blocks that are not trained; blocks that no phase names stay as they are.
    """

    epochs: int
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class VariableGroup:
    """Variables of a network with a learning rate or a weight decay of their own.

    Attributes:
        name: in the log.
        paths: of the variables (``variable.path``).
        rate: multiplier of the learning rate.
        decay: multiplier of the weight decay.
    """

    name: str
    paths: tuple[str, ...]
    rate: float = 1.0
    decay: float = 1.0


@dataclass(frozen=True)
class TransferPlan:
    """What a transfer strategy freezes and how fast it trains; plain data, testable without fit.

    Attributes:
        phases: parts of training, in order.
        rates: multiplier of the learning rate by block; a block not named has 1.
        groups: variables with multipliers of their own, beside that of their block.
        fixed: paths of variables that are trained in no phase; the framework adds those whose
            ``trainable`` the strategy sets to False.
        fresh: blocks whose weights the strategy has initialised, for the log.
    """

    phases: tuple[Phase, ...]
    rates: Mapping[str, float] = field(default_factory=dict)
    groups: tuple[VariableGroup, ...] = ()
    fixed: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()


class Data(Protocol):
    """Loads and splits text; it has no batches and no tokenizer.

    It may also have ``read(split, spec, seed) -> Split | None``, which an evaluation on new
    examples calls: the examples of one split, labelled by the class names of an earlier run's task,
    without reading the other splits; None where it has no such split.
    """

    def build(self, seed: int) -> TextData: ...


class Model(Protocol):
    """Builds an uncompiled network of ``spec.num_outputs`` outputs and its tokenizer.

    It may also have three methods that are called in this order before TensorFlow is imported:
    ``max_sequence_length()``, the tokens of the longest text that it can read;
    ``check(spec) -> tuple[str, ...]``, which refuses examples that it cannot read and returns the
    names of its blocks, () where it does not know them; and ``fetch()``, so that a missing
    checkpoint is reported within a second. The first two need no weights. After them
    ``variables(spec) -> tuple[str, ...]`` may return all paths that variables of the network can
    have, () where they are not known, so that a transfer strategy is refused that names others.
    ``tokenizer(spec)`` returns the tokenizer that ``build`` would, without TensorFlow and weights:
    the command ``data`` counts its tokens.
    And it may have ``restore(spec, folder) -> TextModel``: the same network and
    tokenizer from nothing but the ``files`` that its ``build`` named, which are in ``folder``;
    the trained weights are assigned afterwards. Without it a run is loaded through ``build``,
    which then has to work without network and checkpoint. ``has_layers = False`` declares that the
    network has no transformer layers, so that ``train.recompute`` is refused at once.
    ``accepts_head = True`` declares that a plugin of the group ``head`` can stand above its
    encoder: where one is chosen, ``check``, ``variables``, ``build`` and ``restore`` have it as
    their argument ``head``.
    """

    def build(self, spec: TaskSpec) -> TextModel: ...


class Transfer(Protocol):
    """Decides which blocks are trained, when and how fast; may change ``model.network``.

    Several are combined: rates multiply, frozen blocks unite, a phase ends where one of any does.
    A strategy may have ``check_plan(plan, blocks)``, which raises ValueError where it can do
    nothing under the plan of all, and ``chooses_weights = True``, which declares that it decides
    alone which weights inside the blocks are trained.
    """

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan: ...


class Schedule(Protocol):
    """Shapes the learning rate over ``budget.total_steps``; ``peak`` is the optimizer's ``lr``.

    One that reacts to the scores builds the first rate as a float and also has
    ``react(peak, values, mode) -> float``: the rate after the epochs whose monitored values are
    ``values``. It has no state, so that a resumed run gets the same rates.

    A plugin may have ``check(budget)``, called before TensorFlow is imported, which raises
    ValueError for a run that is too short for it.
    """

    def build(self, peak: float, budget: Budget) -> Any: ...


class Optimizer(Protocol):
    """Builds an optimizer around the rate or schedule it is given."""

    lr: float

    def build(self, learning_rate: Any) -> keras.optimizers.Optimizer: ...


class Loss(Protocol):
    """Builds a loss of labels and outputs, of the kinds in ``accepts``.

    It is a mean over examples (labelled tokens), so that their weights count. A plugin may declare
    ``accepts_soft_labels = True``: in place of class indices, or of 0 and 1 for each of several
    labels, which scores have, the loss then also takes the probability of each class, float32
    (batch, classes). And it may have ``check(spec)``, which raises ConfigError for a task that it
    has no loss of, before TensorFlow is imported.
    """

    accepts: ClassVar[Accepts]

    def build(self, spec: TaskSpec) -> keras.losses.Loss: ...


class Metric(Protocol):
    """Builds a score of labels and outputs, of the kinds in ``accepts``.

    ``build`` returns either a ``keras.metrics.Metric``, which is also computed on the training
    batches, or a function of a whole split's ``(labels, outputs)`` arrays to one float. ``mode`` is
    ``"max"`` or ``"min"``. What ``build`` returns may also have

    - ``resampled(labels, outputs)``: the score as a function of example weights (see
      :mod:`xferlab.functional.resampling`), which makes intervals and comparisons fast;
    - ``as_keras()``: the same score as a Keras metric, for the training batches;
    - ``rates_confidence = True``: the metric scores the model's confidence, so that words without a
      token, which count as predicted O, are left out.

    A plugin may also have ``bounds: ClassVar[tuple[float, float]]``, the least and the greatest
    score, and ``check(spec)``, which raises ConfigError for a task that it cannot score, before
    TensorFlow is imported.
    """

    accepts: ClassVar[Accepts]
    mode: ClassVar[str]

    def build(self, spec: TaskSpec) -> keras.metrics.Metric | Callable[[Any, Any], float]: ...


class Callback(Protocol):
    """Builds what follows a run, a :class:`xferlab.Callback`, from a :class:`xferlab.Run`.

    A plugin may also have ``check(logged)``, called before TensorFlow is imported with the names of
    the values that an epoch has: it raises ConfigError for a missing package, say. One that
    changes nothing that a run computes has ``identity()`` return None: then runs with and without
    it are the same run, and its file may change while a run is resumed.
    """

    def build(self, run: Any) -> Any: ...
