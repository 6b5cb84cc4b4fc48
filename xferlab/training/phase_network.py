"""What one phase of a run trains: the network, or its part above the blocks that are frozen."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xferlab.backend.graphs import compile_forward
from xferlab.backend.grouped_steps import group_steps
from xferlab.backend.objective_step import EXAMPLE
from xferlab.backend.train_step import Supervised, set_train_step
from xferlab.contracts import Phase, TextModel, TransferPlan
from xferlab.data.batching import Batch, batch_arrays
from xferlab.models.frozen_part import FEATURES, CutNetwork, cut_network, has_dropout
from xferlab.training.assemble import Experiment
from xferlab.training.average import RunAverage
from xferlab.training.evaluation import Forward
from xferlab.training.features import FeatureCache, Features
from xferlab.training.phases import always_frozen_blocks, frozen_blocks, was_trained_before

log = logging.getLogger("xferlab")
SMALL_STEP = 2**25
"""Parameters times examples of a batch."""


@dataclass(frozen=True)
class PhaseNetwork:
    """What ``fit`` is called on in one phase.

    Attributes:
        phase: its index.
        whole: the run's network.
        trained: what ``fit`` is called on; shares its weights.
        forward: computes the outputs of ``trained`` over a split.
        features: the frozen part's outputs by split, None where they cannot be kept; empty where
            ``trained`` is the whole.
        cache: gives the features of further splits; None where ``trained`` is the whole.
        average: the second set of weights, if the run has one.
    """

    phase: int
    whole: Any
    trained: Any
    forward: Forward
    features: MutableMapping[str, Features | None] = field(default_factory=dict)
    cache: FeatureCache | None = None
    average: RunAverage | None = None

    def compile(self, experiment: Experiment) -> None:
        """Compile it: Keras applies a phase's freezing only there."""
        step = experiment.step
        if step is not None and step.has_compiled(self.trained):
            return
        self.trained.compile(
            optimizer=experiment.optimizer,
            loss=experiment.loss,
            metrics=experiment.train_metrics,
            jit_compile=False,  # XLA compiles anew for every shape of batch
        )
        objective = experiment.objective
        if objective is None and experiment.example_arrays:
            set_train_step(self.trained, experiment.micro_batches, Supervised())
        else:
            set_train_step(self.trained, experiment.micro_batches, objective)
        if step is not None and self.cache is not None:  # the same model has one phase
            step.compiled.append(self.trained)

    def has_small_steps(self, experiment: Experiment) -> bool:
        """Return whether a training step computes so little that calling TensorFlow takes longer.

        That is a head on one vector for each example, computed already.
        """
        if self.cache is None or self.cache.per_token or self.forward.names != [FEATURES]:
            return False
        if experiment.objective is not None or experiment.micro_batches > 1:
            return False
        return int(self.trained.count_params()) * experiment.batches.batch_size <= SMALL_STEP

    def group_steps(self, experiment: Experiment) -> None:
        """Let a call of the training graph train a group of batches, if it does not yet."""
        if self.trained.train_function is None:
            self.create_metric_variables(experiment)
            group_steps(self.trained)

    def create_metric_variables(self, experiment: Experiment) -> None:
        """Create the variables of the running means, which Keras does at the first batch only."""
        inputs, labels = self.batch(experiment, experiment.batches.epoch(0)[0], 0)
        read = {name: inputs[name] for name in self.forward.names}
        self.trained._symbolic_build(data_batch=(read, labels))  # the loss scale of float16, too

    def variables(self) -> dict[str, Any]:
        """Return all variables by kind and position: weights, seeds, optimizer, metrics, ...."""
        return variables_by_kind(
            {
                "network": self.whole.variables,  # the seeds of dropout are among them
                "optimizer": self.trained.optimizer.variables,
                "metrics": self.trained.metrics_variables,
                "average": [] if self.average is None else self.average.slots.variables,
            }
        )

    def own_value(self, variable: Any) -> Any:
        """Return a variable's value in training, also while the average is in its place."""
        return variable if self.average is None else self.average.slots.own_value(variable)

    def batch(
        self, experiment: Experiment, batch: Batch, number: int
    ) -> tuple[dict[str, Any], Any]:
        """Return the inputs and the labels of training batch ``number``, counted from 0."""
        encoding = experiment.encodings["train"]
        labels = experiment.train.labels
        inputs, y = batch_arrays(encoding, labels, batch, self.forward.pad_id)
        if self.features:
            features = self.features["train"]
            assert features is not None
            inputs[FEATURES] = features.batch(batch)
        inputs = {name: inputs[name] for name in self.forward.names}
        for name, values in experiment.example_arrays.items():
            inputs[f"{EXAMPLE}{name}"] = values[batch.rows]
        if experiment.objective is not None:
            inputs |= experiment.objective.inputs(batch.rows, number)
        return inputs, y

    def outputs(self, experiment: Experiment, split: str) -> tuple[Any, Any]:
        """Return labels and float32 outputs of a whole split, in the order of its rows."""
        encoding = experiment.encodings[split]
        labels = experiment.data.splits[split].labels
        if self.cache is None:
            return self.forward(encoding, labels)
        if split not in self.features:
            self.features[split] = self.cache.of(split, encoding)
        features = self.features[split]
        if features is None:
            return experiment.outputs(split)
        return self.forward(encoding, labels, features)

    def latency(self, experiment: Experiment, split: str) -> tuple[float, float]:
        """Return examples and seconds of the split whose outputs were computed last.

        (0, 0) where the outputs of frozen blocks were there already.
        """
        if self.features.get(split) is not None:
            return 0.0, 0.0
        forward = self.forward if self.cache is None else experiment.forward
        rows, seconds = forward.timing
        owners = experiment.encodings[split].owners
        texts = len(experiment.data.splits[split])
        return (rows if owners is None else rows * texts / len(owners)), seconds


def variables_by_kind(kinds: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return variables by kind and position.

    Paths alone do not name a variable: Keras numbers unnamed layers differently in each process.
    """
    return {f"{kind} {i:04d}": v for kind, every in kinds.items() for i, v in enumerate(every)}


def build_phase(experiment: Experiment, index: int) -> PhaseNetwork:
    """Apply a phase's freezing and return its network, not compiled yet.

    Where blocks are frozen, their outputs are computed once for all epochs, without dropout;
    ``train.cache_frozen=false`` computes them in every step, with dropout.
    """
    freeze(experiment.model, experiment.plan, experiment.plan.phases[index])
    phases = {} if experiment.cached is None else experiment.cached.phases
    if index in phases:
        log.info("features   the frozen part's outputs are those of an earlier run of this process")
        return phases[index]
    upper = _upper_part(experiment, index)
    if upper is None:
        return whole_network(experiment, index)
    phases[index] = upper
    return upper


def whole_network(experiment: Experiment, index: int) -> PhaseNetwork:
    """Return the run's network, of which nothing is computed in advance."""
    network = experiment.model.network
    return PhaseNetwork(index, network, network, experiment.forward, average=experiment.average)


def _upper_part(experiment: Experiment, index: int) -> PhaseNetwork | None:
    """Return the network above the frozen blocks, or None where their outputs are not kept."""
    model = experiment.model
    phase = experiment.plan.phases[index]
    if not experiment.cache_frozen or not phase.frozen:
        return None
    blocks = ", ".join(phase.frozen)
    frozen = {layer for block in phase.frozen for layer in model.blocks[block]}
    cut = cut_network(model.network, frozen)
    if cut is None:
        log.info("features   the blocks %s are computed in every step", blocks)
        return None
    reason = _why_computed(experiment, index, cut)
    if reason is not None:
        log.info("features   the blocks %s are computed in every step: %s", blocks, reason)
        return None
    forward = experiment.forward.of(cut.upper)
    lower = compile_forward(cut.lower, list(cut.lower.input))
    cache = FeatureCache(cut, lower, forward.pad_id, forward.batch_size, experiment.noted)
    features: dict[str, Features | None] = {}
    for split in ("train", "validation"):
        found = cache.of(split, experiment.encodings[split])
        if found is None:
            return None
        features[split] = found
    if has_dropout(cut.lower):
        log.info(
            "features   the blocks %s are computed once, without dropout"
            " (train.cache_frozen=false: in every step, with dropout)",
            blocks,
        )
    return PhaseNetwork(
        index, model.network, cut.upper, forward, features, cache, experiment.average
    )


def _why_computed(experiment: Experiment, index: int, cut: CutNetwork) -> str | None:
    """Return why the frozen part is computed in every step, or None where it need not be."""
    if experiment.average is not None and was_trained_before(experiment.plan.phases, index):
        return "their averaged weights are others"
    if experiment.objective is None:
        return None
    return experiment.objective.why_frozen_part_is_computed(cut)


def freeze(model: TextModel, plan: TransferPlan, phase: Phase) -> None:
    """Set ``trainable`` on the blocks and variables that ``plan`` names, and on no other."""
    for block in frozen_blocks(plan.phases):
        for layer in model.blocks[block]:
            model.network.get_layer(layer).trainable = block not in phase.frozen
    fixed = set(plan.fixed)
    for variable in model.network.weights if fixed else ():
        if variable.path in fixed:  # a layer that is made trainable makes all its variables so
            variable.trainable = False


def unfreeze(experiment: Experiment) -> None:
    """Make every block trainable that is trainable in some phase."""
    plan = experiment.plan
    always = always_frozen_blocks(plan.phases)
    freeze(experiment.model, plan, Phase(epochs=0, frozen=tuple(always)))
