"""Live objects that runs of one process have in common: the first run builds them.

A process that trains one run keeps nothing. One that trains several jobs of a sweep, one after
another, keeps network, tokens and features of a run whose lower part is frozen all the time. The
next run with the same data, model, transfer strategy and seed finds them as they were when they
were new.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from xferlab.backend.process import generator_states, set_generator_states
from xferlab.config.recipe import Recipe
from xferlab.contracts import Budget, Encoding, TaskSpec, TextModel, TransferPlan
from xferlab.data.batching import BatchPlan
from xferlab.runs.inputs import inputs_of
from xferlab.training.average import chosen_average
from xferlab.training.evaluation import Forward
from xferlab.training.frozen_weights import FrozenFile
from xferlab.training.objective import chosen_objective
from xferlab.training.phases import always_frozen_blocks, frozen_blocks
from xferlab.training.shared_step import SharedStep

if TYPE_CHECKING:
    import numpy as np

LARGEST = 2**30
"""Bytes of the networks that a process keeps; those that were used longest ago are dropped."""


@dataclass(frozen=True)
class TrainingSetup:
    """What data, model and transfer strategy give a run, whatever its rate, loss and metrics.

    Attributes:
        model: network, tokenizer and blocks.
        spec: the task, with the model's ``emits``.
        encodings: token ids by split.
        batches: the order of the training batches.
        total_batches: training batches of the whole run.
        budget: the same in optimizer steps.
        plan: phases and rates of the transfer strategy.
        forward: the network without dropout.
    """

    model: TextModel
    spec: TaskSpec
    encodings: Mapping[str, Encoding]
    batches: BatchPlan
    total_batches: int
    budget: Budget
    plan: TransferPlan
    forward: Forward


@dataclass
class CachedNetwork:
    """A setup that a process may use again.

    Attributes:
        parts: what it was made of.
        setup: holds live Keras objects.
        values: of the variables before training, without those that no phase trains.
        fixed: the variables that no phase trains.
        generators: state of the random generators before training, see ``generator_states``.
        phases: the networks of its phases by index, see ``phase_network.PhaseNetwork``.
        outputs: the network's outputs for the first batch before training.
        checked: losses and metrics, plugins, that have passed their checks with this data.
        step: what the run before this one was trained with, where it can be shared.
    """

    parts: Sequence[Any]
    setup: TrainingSetup
    values: Sequence[tuple[Any, np.ndarray]]
    fixed: Sequence[Any]
    generators: Mapping[str, Any]
    phases: MutableMapping[int, Any] = field(default_factory=dict)
    outputs: Any = None
    checked: list[Any] = field(default_factory=list)
    step: SharedStep | None = None

    def restore(self) -> None:
        """Give the network and the random generators the state before training."""
        model = self.setup.model
        for block in frozen_blocks(self.setup.plan.phases):
            for layer in model.blocks[block]:
                model.network.get_layer(layer).trainable = True
        for variable, value in self.values:
            variable.assign(value)
        set_generator_states(self.generators)

    def can_be_restored(self) -> bool:
        """Return whether training has left everything else as it was."""
        if len(self.phases) < len(self.setup.plan.phases):
            return False  # a phase trained the whole network
        trained = {id(v) for phase in self.phases.values() for v in phase.trained.variables}
        return not any(id(variable) in trained for variable in self.fixed)

    @property
    def size(self) -> int:
        """Bytes of the network."""
        weights = self.setup.model.network.weights
        return sum(prod(weight.shape) * weight.value.dtype.size for weight in weights)


class NetworkCache:
    """The setups of a process, each of a run that has ended well.

    Attributes:
        is_enabled: whether the process trains several runs; else it keeps nothing.
        frozen_file: of the run that was kept last.
    """

    def __init__(self) -> None:
        self.is_enabled = False
        self.frozen_file: FrozenFile | None = None
        self._networks: list[CachedNetwork] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return not self._networks

    def find(self, recipe: Recipe, micro_batches: int) -> CachedNetwork | None:
        """Return the setup of such a run as it was before training."""
        if not self.is_enabled or _keeps_more(recipe):
            return None
        parts = _parts_of(recipe, micro_batches)
        found = next((each for each in self._networks if each.parts == parts), None)
        if found is not None:
            self._networks.remove(found)  # it is back once the run has ended well
            found.restore()
        return found

    def begin(
        self, recipe: Recipe, micro_batches: int, setup: TrainingSetup
    ) -> CachedNetwork | None:
        """Note the state of a new setup before training."""
        network = setup.model.network
        layers = network._flatten_layers(include_self=False)
        blocks = always_frozen_blocks(setup.plan.phases)
        if not (self.is_enabled and blocks and all(layer.trainable for layer in layers)):
            return None
        if _keeps_more(recipe):
            return None
        names = [name for block in blocks for name in setup.model.blocks[block]]
        fixed = [weight for name in names for weight in network.get_layer(name).weights]
        known = {id(variable) for variable in fixed}
        changing = [variable for variable in network.variables if id(variable) not in known]
        return CachedNetwork(
            _parts_of(recipe, micro_batches),
            setup,
            [(variable, variable.numpy().copy()) for variable in changing],
            fixed,
            generator_states(),
        )

    def keep(self, cached: CachedNetwork | None, frozen_file: FrozenFile | None) -> None:
        """Keep the setup of a run that has ended well, if it can be used again, and that file."""
        if cached is None or not cached.can_be_restored():
            return
        self.frozen_file = frozen_file
        self._networks.append(cached)
        while len(self._networks) > 1 and sum(each.size for each in self._networks) > LARGEST:
            self._networks.pop(0)


NETWORK_CACHE = NetworkCache()
"""Of this process."""


def _keeps_more(recipe: Recipe) -> bool:
    """Return whether a run leaves more on its network than the weights that are restored.

    The parts of an objective's loss have running means there, and an average its own weights.
    """
    return chosen_objective(recipe) is not None or chosen_average(recipe) is not None


def _parts_of(recipe: Recipe, micro_batches: int) -> list[Any]:
    """Return what a setup is made of, its files by digests."""
    plugins = (recipe.data, recipe.model, recipe.head, recipe.transfer)
    content = dict(inputs_of(recipe.config).content)
    return [*plugins, recipe.train, recipe.seed, micro_batches, content]
