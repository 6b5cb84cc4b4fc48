"""The objective of a run: its function, what it needs of the network, what it must return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xferlab.backend.objective_step import (
    NUMBER,
    PREFIX,
    BatchPart,
    NetworkParts,
    ObjectiveStep,
    batch_seed,
    loss_weights,
)
from xferlab.compatibility import contract_violation, name_and_origin, plugin_failure
from xferlab.config.recipe import Recipe
from xferlab.contracts import TaskSpec, TextData
from xferlab.errors import ConfigError, RunError, XferlabError
from xferlab.models.frozen_part import CutNetwork, has_dropout
from xferlab.models.network_parts import cut_at_embeddings, cut_below_last_layer
from xferlab.runs.os_errors import is_out_of_memory
from xferlab.step_contracts import Needs

if TYPE_CHECKING:
    import numpy as np

GROUP = "objective"


@dataclass(frozen=True)
class RunObjective:
    """An objective plugin, bound to a run's data.

    Attributes:
        plugin: the instance.
        function: what its ``build`` returned.
        arrays: its own arrays, a row for each training example.
        loss: of labels and outputs, for the check before training.
        seed: of the run.
        batches: of the run.
        networks: the networks that it was called with and their parts.
    """

    plugin: Any
    function: Callable[[Any], Any]
    arrays: Mapping[str, np.ndarray]
    loss: Any
    seed: int
    batches: int
    networks: list[tuple[Any, NetworkParts]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As it is chosen: ``objective=r_drop``."""
        return name_and_origin(GROUP, self.plugin)[0]

    @property
    def needs(self) -> Needs:
        """What it declares."""
        return needs_of(self.plugin)

    @property
    def parts(self) -> Sequence[str]:
        """Names of the scalars that it returns beside the loss."""
        return getattr(self.plugin, "parts", ())

    def inputs(self, rows: np.ndarray, number: int) -> dict[str, Any]:
        """Return what a batch holds for the objective beside the network's inputs."""
        import numpy as np

        own = {f"{PREFIX}{name}": values[rows] for name, values in self.arrays.items()}
        return {**own, NUMBER: np.asarray(number, "int64")}

    def why_frozen_part_is_computed(self, cut: CutNetwork) -> str | None:
        """Return why a frozen part cannot be computed in advance, or None."""
        if self.needs.embeddings:
            return f"{self.name} reads the token embeddings"
        if self.needs.dropout and has_dropout(cut.lower):
            return f"{self.name} compares passes with different dropout"
        return None

    def __call__(
        self, network: Any, tape: Any, batch: BatchPart
    ) -> tuple[Any, Any, Mapping[str, Any]]:
        """Return loss, outputs and parts, see ``backend.train_step.StepObjective``."""
        from keras import ops

        def loss(labels: Any, outputs: Any, weights: Any) -> Any:
            weights = loss_weights(weights)
            if optimizer is None:
                return self.loss(labels, outputs, weights)
            return network._compute_loss(
                x=batch.inputs, y=labels, y_pred=outputs, sample_weight=weights, training=True
            )

        optimizer = getattr(network, "optimizer", None)  # none in the check before training
        step = ObjectiveStep(
            network,
            self._parts_of(network),
            self.needs,
            tape,
            batch.inputs,
            batch.targets,
            batch.arrays,
            batch.weights,
            batch_seed(self.seed, batch.number, batch.index),
            ops.cast(batch.number, "float32") / self.batches,
            loss,
            _loss_scale_of(optimizer),
        )
        try:
            return self._checked(self.function(step), network)
        except XferlabError:
            raise
        except Exception as e:  # a plugin of others may raise anything
            if is_out_of_memory(e):
                raise
            raise plugin_failure(GROUP, self.plugin, e, "fails in the training step") from e

    def _parts_of(self, network: Any) -> NetworkParts:
        for known, parts in self.networks:
            if known is network:
                return parts
        self.networks.append((network, _cut(network, self.needs, self.name)))
        return self.networks[-1][1]

    def _checked(self, result: Any, network: Any) -> tuple[Any, Any, Mapping[str, Any]]:
        """Return loss, outputs and parts; raise PluginError for others than the contract's."""
        if not isinstance(result, tuple) or len(result) not in (2, 3):
            kind = type(result).__name__
            what = f"returns a {kind} instead of loss and outputs"
            raise self._violation(what, "return loss, outputs, {name: part}")
        loss, outputs = result[:2]
        parts = result[2] if len(result) == 3 else {}
        loss = self._scalar("loss", loss)
        if not isinstance(parts, Mapping) or set(parts) != set(self.parts):
            names = ", ".join(map(str, parts)) or "none"
            what = f"returns the parts {names}, and declares {', '.join(self.parts) or 'none'}"
            raise self._violation(what, "declare parts: ClassVar[tuple[str, ...]] = (...)")
        wanted = getattr(network, "output_shape", None)  # a subclassed model has none
        found = tuple(getattr(outputs, "shape", ()))
        if wanted is not None and (len(found) != len(wanted) or found[-1:] != wanted[-1:]):
            what = f"returns outputs of shape {found}; the network's have {tuple(wanted)}"
            raise self._violation(what, "return what step.forward() gave")
        return loss, outputs, {name: self._scalar(name, parts[name]) for name in self.parts}

    def _scalar(self, name: str, value: Any) -> Any:
        from keras import ops

        value = ops.convert_to_tensor(value)
        if value.shape.rank != 0:
            shape = "unknown" if value.shape.rank is None else tuple(value.shape)
            what = f"returns '{name}' of shape {shape} instead of one number"
            raise self._violation(what, "take its mean over the examples")
        return ops.cast(value, "float32")

    def _violation(self, what: str, fix: str) -> XferlabError:
        return contract_violation(GROUP, self.plugin, what, fix)


def _loss_scale_of(optimizer: Any) -> Callable[[Any], Any] | None:
    """Return what scales a loss for half precision; None where nothing does."""
    is_scaled = hasattr(optimizer, "inner_optimizer")  # a LossScaleOptimizer
    scale_loss: Callable[[Any], Any] | None = optimizer.scale_loss if is_scaled else None
    return scale_loss


def needs_of(plugin: Any) -> Needs:
    """Return what an objective plugin declares."""
    needs = getattr(plugin, "needs", Needs())
    assert isinstance(needs, Needs)
    return needs


def chosen_objective(recipe: Recipe) -> Any:
    """Return the recipe's objective, or that of its head; None for Keras's own training step."""
    if _chooses_objective(recipe):
        return recipe.objective
    return recipe.head.objective() if hasattr(recipe.head, "objective") else None


def _chooses_objective(recipe: Recipe) -> bool:
    plugin = recipe.objective
    return plugin is not None and not getattr(plugin, "is_default", False)


def bind_objective(
    recipe: Recipe, data: TextData, spec: TaskSpec, network: Any, loss: Any, batches: int
) -> RunObjective | None:
    """Return a run's objective, or None for the default.

    Raises:
        ConfigError: the network cannot give it what it needs.
        PluginError: it breaks its contract.
    """
    plugin = chosen_objective(recipe)
    if plugin is None:
        return None
    try:
        arrays = plugin.arrays(data, spec) if hasattr(plugin, "arrays") else {}
        function = plugin.build(spec)
    except XferlabError:
        raise
    except ValueError as e:
        raise ConfigError(str(e), where=GROUP, fix="change objective") from e
    except Exception as e:
        raise plugin_failure(GROUP, plugin, e, "cannot be built") from e
    bound = RunObjective(plugin, function, arrays, loss, recipe.seed, batches)
    for name, values in arrays.items():
        if len(values) != len(data.train):
            what = f"gives {len(values)} rows of '{name}'; there are {len(data.train)} examples"
            raise contract_violation(GROUP, plugin, what, "give one for each training example")
    bound._parts_of(network)
    return bound


def _cut(network: Any, needs: Needs, name: str) -> NetworkParts:
    embeddings = cut_at_embeddings(network) if needs.embeddings else (None, None)
    pooled = cut_below_last_layer(network) if needs.pooled else (None, None)
    for part, wanted in ((embeddings, "one layer of token embeddings"), (pooled, "a last layer")):
        if part is None:
            raise ConfigError(
                f"{name} needs a network with {wanted}, and this one cannot be cut there",
                where=GROUP,
                fix="model=encoder, or another objective",
            )
    assert embeddings is not None
    assert pooled is not None
    return NetworkParts(*embeddings, *pooled)


def refuse_objective(recipe: Recipe) -> None:
    """Raise ConfigError for a combination that is not built; before TensorFlow is imported."""
    plugin = chosen_objective(recipe)
    if plugin is None:
        return
    if hasattr(recipe.head, "objective") and _chooses_objective(recipe):
        head = name_and_origin("head", recipe.head)[0]
        raise ConfigError(
            f"{head} has a training loss of its own, and {name_and_origin(GROUP, plugin)[0]}"
            " another",
            where=GROUP,
            fix="choose one of the two: head=auto, or objective=supervised",
        )
    if hasattr(plugin, "check"):
        plugin.check()
    if recipe.train.recompute and needs_of(plugin).shifted_weights:
        raise ConfigError(
            f"{name_and_origin(GROUP, plugin)[0]} computes with shifted weights, and layers that"
            " are computed again would not have them",
            where="train.recompute",
            fix="train.recompute=false",
        )


def refuse_slices(recipe: Recipe, error: Exception) -> None:
    """Raise RunError if a batch that does not fit into memory is not to be computed in slices."""
    plugin = chosen_objective(recipe)
    if plugin is None and getattr(recipe.loss, "needs_whole_batch", False):
        plugin = recipe.loss
    elif plugin is not None and not needs_of(plugin).whole_batch:
        plugin = None
    if plugin is not None:
        group = GROUP if plugin is not recipe.loss else "loss"
        raise RunError(
            f"out of memory: {name_and_origin(group, plugin)[0]} computes with all examples of a"
            " batch at once, so a batch is not computed in slices",
            where="train.batch_size",
            fix=f"train.batch_size={max(2, recipe.train.batch_size // 2)}, or a smaller model",
        ) from error
