"""What every run needs before its network: rows that were looked at, weights on disk, a backend."""

from __future__ import annotations

from xferlab.compatibility import refuse_other_labels
from xferlab.config.recipe import Recipe, fitted_to
from xferlab.contracts import TaskSpec, TextData
from xferlab.errors import ConfigError
from xferlab.exams.data_rules import inspect_data
from xferlab.training.backend import prepare_backend


def prepare(recipe: Recipe) -> tuple[Recipe, TextData]:
    """Build and examine the data, fetch the weights, make the backend ready and seeded.

    TensorFlow is imported last, so mistakes in the data show at once.

    Returns:
        The recipe with the task's own metrics where none was chosen, and the data.
    """
    data = recipe.data.build(recipe.seed)
    inspect_data(recipe.data, data)
    recipe = fitted_to(recipe, data.spec.task)
    _refuse_other_labels(recipe, data.spec)
    if hasattr(recipe.model, "fetch"):
        recipe.model.fetch()
    if hasattr(recipe.model, "longest"):
        _refuse_long(data.spec.max_length, recipe.model.longest())
    prepare_backend(recipe.train, recipe.seed)
    return recipe, data


def _refuse_other_labels(recipe: Recipe, spec: TaskSpec) -> None:
    refuse_other_labels("loss", "loss", recipe.loss, spec)
    for name, metric in recipe.metrics.items():
        refuse_other_labels(f"metric.{name}", "metric", metric, spec)
        if hasattr(metric, "check"):
            metric.check(spec)


def _refuse_long(asked: int, longest: int) -> None:
    if asked > longest:
        raise ConfigError(
            f"data.max_length={asked} is more than this model's {longest} positions",
            where="data.max_length",
            fix=f"data.max_length={longest} or less",
        )
