"""The contracts of what happens in a training step: objective and average; nothing heavy here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from xferlab.tasks.base import Accepts, TaskSpec


@dataclass(frozen=True)
class Needs:
    """What an objective needs beside forward passes and the loss.

    Attributes:
        embeddings: the token embeddings (``step.embed``): no frozen part is computed in advance.
        pooled: the vectors that the last layer reads (``step.pool``).
        dropout: passes that differ by dropout in every layer: a frozen part that has dropout is
            computed in every step.
        shifted_weights: passes with other weights (``step.shifted``).
        whole_batch: the loss is no mean over examples, so a batch is not computed in slices.
    """

    embeddings: bool = False
    pooled: bool = False
    dropout: bool = False
    shifted_weights: bool = False
    whole_batch: bool = False


class TrainingStep(Protocol):
    """One batch, or a slice of it, inside the framework's gradient tape.

    Attributes:
        inputs: tensors of the network by name.
        labels: as the task's label kind says; the probability of each class, float32 (batch,
            classes), where the examples have soft labels.
        example_weights: how much each example counts, float32 (batch,), of mean 1 over the training
            examples; None where all count the same. ``loss`` uses them.
        arrays: what the plugin's ``arrays`` returned, the rows of these examples.
        seed: of ``keras.random``'s functions; it depends on the run's seed and the batch alone.
        weights: the Keras variables that are trained.
        progress: fraction of the run's batches before this one, a scalar from 0 to below 1.
    """

    inputs: Mapping[str, Any]
    labels: Any
    example_weights: Any
    arrays: Mapping[str, Any]
    seed: Any
    weights: Sequence[Any]
    progress: Any

    def forward(self, *, embedded: Any = None, pooled: Any = None) -> Any:
        """Return the outputs, with new dropout masks.

        Args:
            embedded: token embeddings instead of those of the inputs.
            pooled: the vectors that the last layer reads, instead of those of the inputs.
        """

    def embed(self) -> Any:
        """Return the token embeddings (batch, length, width)."""

    def pool(self) -> Any:
        """Return the vectors that the last layer reads, after dropout; mostly (batch, width)."""

    def loss(self, outputs: Any, labels: Any = None, example_weights: Any = None) -> Any:
        """Return the run's loss of outputs and of the batch's labels, or of others: a scalar.

        Args:
            outputs: of the network.
            labels: instead of the batch's.
            example_weights: instead of the batch's, for labels in another order.
        """

    def gradient(self, loss: Any, sources: Sequence[Any]) -> list[Any]:
        """Return the gradient of a scalar by tensors or weights: float32, a constant."""

    def shifted(self, shifts: Sequence[tuple[Any, Any]]) -> AbstractContextManager[None]:
        """Compute the block with ``weight + shift``; the loss's gradient is that at the sum."""


class Objective(Protocol):
    """Computes what a training step minimises; the default is the loss of one forward pass.

    ``build`` returns a function of a :class:`TrainingStep`, called in a TensorFlow graph, that
    returns ``(loss, outputs)`` or ``(loss, outputs, parts)``: the scalar that is minimised, the
    outputs that the training metrics score, and scalars by the names in ``parts``, which are
    logged as ``loss_<name>``. Gradients, clipping, accumulation, loss scale, rates and resuming are
    the framework's.

    A plugin may declare ``needs`` and ``parts``; ``uses_weights = True`` if all that it adds to
    ``step.loss`` uses ``step.example_weights``; and ``accepts_soft_labels = True`` if
    ``step.labels`` may be those. Runs that have them refuse it otherwise. It may have

    - ``arrays(data: TextData, spec: TaskSpec) -> Mapping[str, np.ndarray]``: arrays with a row for
      each training example, whose rows of the batch are in ``step.arrays``;
    - ``pairs(labels, spec: TaskSpec, seed: int, epoch: int) -> np.ndarray``: the pairs of training
      examples that an epoch has, int64 (pairs, 2), as many in each; a batch then has
      ``train.batch_size`` pairs, the two examples of one after the other. Called before TensorFlow
      is imported too, where it may raise ConfigError;
    - ``fit_head(vectors, labels, spec: TaskSpec, bias: bool)``: returns kernel (width, classes) and
      bias (classes,), None where ``bias`` is False, of the last layer, from what it reads of the
      training examples, float32 (examples, width). Called at the end of each epoch, before
      the validation split is scored; the layer is not trained then;
    - ``check()``: raises ConfigError before TensorFlow is imported.
    """

    accepts: ClassVar[Accepts]
    needs: ClassVar[Needs] = Needs()
    parts: ClassVar[tuple[str, ...]] = ()

    def build(self, spec: TaskSpec) -> Callable[[TrainingStep], tuple[Any, ...]]: ...


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
        """Return ``warmup`` in steps: it is a fraction of the run if below 1, else steps."""
        return round(warmup * self.total_steps) if warmup < 1 else int(warmup)


@dataclass(frozen=True)
class Moment:
    """The end of an optimizer step.

    Attributes:
        step: optimizer steps done, from 1.
        epoch: the present epoch, from 1.
        ends_epoch: whether it is the epoch's last optimizer step.
        taken: how often the average has taken weights so far.
        budget: how long training lasts.
    """

    step: int
    epoch: int
    ends_epoch: bool
    taken: int
    budget: Budget


@dataclass(frozen=True)
class Take:
    """How an average takes the weights: ``slot += fraction * (weights - slot)``.

    Attributes:
        fraction: above 0, at most 1.
        slot: which of the average's sets of weights, from 0.
    """

    fraction: float
    slot: int = 0


class Average(Protocol):
    """A second set of weights, of those during training: it is scored, kept and exported.

    ``take`` is called after each optimizer step, and decides from the moment alone; None takes
    nothing. A plugin may have ``slots``, how many sets of weights it keeps (default 1): each begins
    as the weights before training, and the average is the mean of those that have taken any. Until
    the first is taken, the weights themselves are scored.
    """

    def take(self, moment: Moment) -> Take | None: ...
