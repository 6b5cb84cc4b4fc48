"""A last layer that is fitted to the vectors of the training examples instead of trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xferlab.compatibility import contract_violation, name_and_origin
from xferlab.contracts import Encoding, Split, TaskSpec, TextModel, TransferPlan
from xferlab.errors import ConfigError
from xferlab.models.head import SCALE
from xferlab.models.network_parts import cut_below_last_layer, last_layer
from xferlab.training.evaluation import Forward

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

GROUP = "objective"


def fits_head(objective: Any) -> bool:
    """Return whether an objective plugin fits the last layer; None is one that does not."""
    return hasattr(objective, "fit_head")


@dataclass(frozen=True)
class FittedHead:
    """The last layer, and what it is fitted to.

    Attributes:
        objective: plugin that fits it.
        layer: Keras dense layer of the logits.
        vectors: what the layer reads, of a whole split.
        scale: of the vectors in the network, 1 where they are as the encoder gives them.
    """

    objective: Any
    layer: Any
    vectors: Forward
    scale: float

    def fit(self, encoding: Encoding, split: Split, spec: TaskSpec) -> None:
        """Fit the layer to the training examples as the encoder is now."""
        labels, vectors = self.vectors(encoding, split.labels)
        has_bias = self.layer.use_bias
        kernel, bias = self.objective.fit_head(vectors / self.scale, labels, spec, has_bias)
        values = [kernel / self.scale, *([bias] if has_bias else [])]
        for variable, value in zip(self.layer.weights, values, strict=True):
            self._check(variable, value)
            variable.assign(value.astype("float32"))

    def _check(self, variable: Any, value: np.ndarray) -> None:
        import numpy as np

        if np.shape(value) == tuple(variable.shape) and np.isfinite(value).all():
            return
        what = f"fits a {variable.name} of shape {np.shape(value)}, or not finite"
        fix = f"return finite numbers of shape {tuple(variable.shape)}"
        raise contract_violation(GROUP, self.objective, what, fix)


def bind_head(objective: Any, model: TextModel, forward: Forward) -> FittedHead | None:
    """Return the head that an objective fits, None for one that does not.

    Raises:
        ConfigError: the network's last layer is no dense layer of vectors.
    """
    if not fits_head(objective):
        return None
    layer = _dense_layer(objective, model)
    parts = cut_below_last_layer(model.network)
    assert parts is not None
    names = {each.name for each in model.network.layers}
    scale = model.network.get_layer(SCALE).scale if SCALE in names else 1.0
    return FittedHead(objective, layer, forward.of(parts[0]), scale)


def fix_head(objective: Any, model: TextModel, plan: TransferPlan) -> TransferPlan:
    """Return a plan that trains no weight of the head, if the objective fits it.

    Raises:
        ConfigError: nothing is left to train.
    """
    if not fits_head(objective):
        return plan
    refuse_frozen_encoder(objective, plan, tuple(model.blocks))
    variables = _dense_layer(objective, model).weights
    for variable in variables:
        variable.trainable = False
    return replace(plan, fixed=(*plan.fixed, *(variable.path for variable in variables)))


def refuse_frozen_encoder(objective: Any, plan: TransferPlan, blocks: Sequence[str]) -> None:
    """Raise ConfigError if a phase trains the head alone, which the objective fits."""
    *body, _head = blocks
    if not fits_head(objective) or not any(set(body) <= set(p.frozen) for p in plan.phases):
        return
    raise ConfigError(
        f"{name_and_origin(GROUP, objective)[0]} trains the encoder, and transfer freezes it",
        where="transfer",
        fix="transfer=full, top_layers or lora",
    )


def _dense_layer(objective: Any, model: TextModel) -> Any:
    import keras

    layer = last_layer(model.network)
    if isinstance(layer, keras.layers.Dense) and len(layer.input.shape) == 2:
        return layer
    raise ConfigError(
        f"{name_and_origin(GROUP, objective)[0]} fits a dense layer of one vector a text, and the"
        " network does not end with one",
        where="model",
        fix="model=encoder, or another objective",
    )
