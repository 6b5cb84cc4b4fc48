"""The batches of a run: of examples, or of the pairs that its objective chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xferlab.compatibility import contract_violation, name_and_origin, plugin_failure
from xferlab.config.recipe import Recipe
from xferlab.contracts import TaskSpec, TextData
from xferlab.data.batching import BatchPlan
from xferlab.data.pair_batches import PairPlan
from xferlab.errors import ConfigError, XferlabError
from xferlab.training.fitted_head import fits_head
from xferlab.training.objective import GROUP, chosen_objective

if TYPE_CHECKING:
    import numpy as np


def has_pairs(recipe: Recipe) -> bool:
    """Return whether a run's batches are of pairs."""
    return hasattr(chosen_objective(recipe), "pairs")


def pairs_of_epoch(recipe: Recipe, labels: Any, spec: TaskSpec, epoch: int) -> np.ndarray:
    """Return the pairs of examples that an epoch has, int64 (pairs, 2).

    Raises:
        ConfigError: the examples make none.
        PluginError: the objective gives something else.
    """
    import numpy as np

    plugin = chosen_objective(recipe)
    try:
        pairs = plugin.pairs(labels, spec, recipe.seed, epoch)
    except XferlabError:
        raise
    except Exception as e:  # a plugin of others may raise anything
        raise plugin_failure(GROUP, plugin, e, "gives no pairs") from e
    pairs = np.asarray(pairs)
    is_whole = pairs.dtype.kind in "iu" and pairs.ndim == 2 and pairs.shape[1] == 2
    if is_whole and len(pairs) and pairs.min() >= 0 and pairs.max() < len(labels):
        return pairs
    what = f"gives pairs of shape {pairs.shape} and {pairs.dtype} for {len(labels)} examples"
    fix = "return numbers of examples, int64 (pairs, 2), with one pair or more"
    raise contract_violation(GROUP, plugin, what, fix)


def batch_plan(
    recipe: Recipe, lengths: np.ndarray, labels: np.ndarray, spec: TaskSpec
) -> BatchPlan:
    """Return the order of a run's training batches.

    Args:
        recipe: of the run.
        lengths: tokens of each example.
        labels: of each example.
        spec: the task.
    """
    train = recipe.train
    if not has_pairs(recipe):
        strata = None if train.sampling is None else labels
        return BatchPlan(lengths, train.batch_size, recipe.seed, strata)
    first = pairs_of_epoch(recipe, labels, spec, 0)

    def sample(epoch: int) -> np.ndarray:
        pairs = pairs_of_epoch(recipe, labels, spec, epoch)
        if len(pairs) == len(first):
            return pairs
        what = f"gives {len(first)} pairs in epoch 0, and {len(pairs)} in epoch {epoch}"
        plugin = chosen_objective(recipe)
        raise contract_violation(GROUP, plugin, what, "give as many in each epoch")

    return PairPlan(lengths, train.batch_size, recipe.seed, sample=sample, pairs=len(first))


def refuse_idle_settings(recipe: Recipe) -> None:
    """Raise ConfigError for a setting that an objective with pairs or a fitted head ignores."""
    plugin = chosen_objective(recipe)
    name = name_and_origin(GROUP, plugin)[0]
    if has_pairs(recipe) and recipe.train.sampling is not None:
        raise ConfigError(
            f"train.sampling chooses examples, and {name} chooses pairs of them",
            where="train.sampling",
            fix="train.sampling=null",
        )
    loss = name_and_origin("loss", recipe.loss)[0]
    if fits_head(plugin) and (loss != "loss=auto" or recipe.loss != type(recipe.loss)()):
        raise ConfigError(
            f"{name} trains by a loss of its own, and the head is fitted",
            where="loss",
            fix="loss=auto with its defaults",
        )


def size_of_epoch(recipe: Recipe, data: TextData) -> int:
    """Return how many examples an epoch has, or pairs where the objective has those.

    Raises:
        ConfigError: the training examples make no pairs, or too many.
    """
    if not has_pairs(recipe):
        return data.spec.train_size
    return len(pairs_of_epoch(recipe, data.train.labels, data.spec, 0))
