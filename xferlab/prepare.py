"""What every run needs before its network: rows that were looked at, weights on disk, a backend."""

from __future__ import annotations

from xferlab.config.recipe import Recipe, fitted_to
from xferlab.contracts import TextData
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
    if hasattr(recipe.model, "fetch"):
        recipe.model.fetch()
    prepare_backend(recipe.train, recipe.seed)
    return recipe, data
