"""What every run needs before its network: checked examples, weights on disk, a backend."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from xferlab.backend.precision import measure_matrix_rates
from xferlab.backend.process import import_backend, prepare_backend
from xferlab.checks.data import check_data
from xferlab.compatibility import name_and_origin, refuse_ignored, refuse_other_labels
from xferlab.config.recipe import Recipe, fitted_to
from xferlab.config.schema import Precision
from xferlab.contracts import TaskSpec, TextData, TextModel
from xferlab.data.sampling import refuse_sampling
from xferlab.data.windows import encode_windows
from xferlab.errors import ConfigError, XferlabError, collect_errors, raise_together
from xferlab.experiment.shared_data import build_data
from xferlab.models.limits import refuse_length
from xferlab.models.plugin_head import head_argument, refuse_masks
from xferlab.models.recomputed_layers import nothing_to_recompute
from xferlab.models.text_pairs import refuse_pairs
from xferlab.postprocessing.fit import refuse_postprocess
from xferlab.postprocessing.steps import chosen_steps
from xferlab.training.assemble import call_checked, length_of_run
from xferlab.training.fitted_head import refuse_frozen_encoder
from xferlab.training.objective import chosen_objective, refuse_objective
from xferlab.training.pairs import refuse_idle_settings, size_of_epoch
from xferlab.training.transfer_stack import NamedVariables, check_transfer

log = logging.getLogger("xferlab")
INPUTS = (
    *("data", "model", "head", "transfer", "loss", "metric", "objective", "postprocess"),
    *("schedule", "callback", "train"),
)
"""Parts of a config that decide whether its data, checkpoint and blocks fit together."""


def prepare(recipe: Recipe, precision: str | None = None) -> tuple[Recipe, TextData]:
    """Check what :func:`prepare_inputs` checks, then make the backend ready and seeded.

    TensorFlow is imported last, so errors in the data and in the checkpoint show at once.

    Args:
        recipe: checked plugins.
        precision: for ``train.precision=auto``, what an interrupted run has measured.

    Returns:
        The recipe with the task's own metrics where none was chosen and the precision that is
        computed in, and the data.
    """
    recipe, data = prepare_inputs(recipe)
    recipe = _with_precision(recipe, precision)
    prepare_backend(recipe.seed, recipe.train.precision.value, recipe.train.deterministic)
    return recipe, data


def _with_precision(recipe: Recipe, recorded: str | None) -> Recipe:
    """Return the recipe with a precision in place of ``auto``."""
    if recipe.train.precision is not Precision.auto:
        return recipe
    if recorded is None:
        import_backend()
        rates = measure_matrix_rates()
        log.info("precision  %s", rates)
        recorded = rates.precision
    return replace(recipe, train=replace(recipe.train, precision=Precision(recorded)))


def prepare_inputs(recipe: Recipe) -> tuple[Recipe, TextData]:
    """Build and check the data, fetch the weights, and refuse what does not fit together.

    Nothing here imports TensorFlow. It is all that ``check`` does beyond the config.

    Raises:
        ConfigError: what training would refuse before its first step.
    """
    if recipe.train.recompute and not getattr(recipe.model, "has_layers", True):
        raise nothing_to_recompute()
    refuse_objective(recipe)
    refuse_idle_settings(recipe)
    head = head_argument(recipe.model, recipe.head)
    data = build_data(recipe)
    check_data(recipe.data, data)
    recipe = fitted_to(recipe, data.spec.task)
    _check_callbacks(recipe)
    _refuse_other_labels(recipe, data.spec)
    _refuse_unused(recipe, data)
    size = size_of_epoch(recipe, data)
    _check_schedule(recipe, data, size)
    refuse_postprocess(chosen_steps(recipe.postprocess), data.spec, data.validation.labels)
    _refuse_other_frequencies(recipe, data)
    refuse_masks(recipe.model, data.spec)
    refuse_pairs(recipe.model, data.spec)
    _refuse_large_labels(recipe, data)
    if hasattr(recipe.model, "max_sequence_length"):
        data = _fitted_length(recipe, data, recipe.model.max_sequence_length())
    blocks = recipe.model.check(data.spec, **head) if hasattr(recipe.model, "check") else ()
    _refuse_transfer(recipe, size, blocks)
    if hasattr(recipe.model, "fetch"):
        recipe.model.fetch()
    variables = (
        recipe.model.variables(data.spec, **head) if hasattr(recipe.model, "variables") else ()
    )
    if variables:
        _refuse_transfer(recipe, size, blocks, variables)
    if data.spec.windows is not None and hasattr(recipe.model, "tokenizer"):
        # of one example: special tokens may leave no room in a window
        tokenizer = recipe.model.tokenizer(data.spec, **head)
        pairs = data.train.pairs and data.train.pairs[:1]
        encode_windows(tokenizer, data.train.texts[:1], pairs, data.spec)
    return recipe, data


def check_data_alone(recipe: Recipe) -> tuple[Recipe, TextData]:
    """Build and check the data; nothing of the model is needed but how long a text it reads.

    Returns:
        The recipe with the task's own metrics where none was chosen, and the data.
    """
    data = recipe.data.build(recipe.seed)
    check_data(recipe.data, data)
    recipe = fitted_to(recipe, data.spec.task)
    if hasattr(recipe.model, "max_sequence_length"):
        data = _fitted_length(recipe, data, recipe.model.max_sequence_length())
    return recipe, data


def check_inputs(recipes: Iterable[Recipe]) -> None:
    """Check what every run needs of its inputs, once for recipes that differ in other settings.

    Raises:
        ConfigError: what training would refuse before its first step; all recipes' together.
    """
    seen: set[str] = set()
    errors: list[XferlabError] = []
    for recipe in recipes:
        inputs = json.dumps([recipe.config.get(key) for key in INPUTS], default=str)
        if inputs not in seen:
            seen.add(inputs)
            with collect_errors(errors):
                prepare_inputs(recipe)
    raise_together(errors)


def _check_callbacks(recipe: Recipe) -> None:
    """Raise ConfigError for a callback whose package is missing, or whose score is not logged."""
    errors: list[XferlabError] = []
    logged = ["loss", "val_loss", *recipe.metrics, *(f"val_{name}" for name in recipe.metrics)]
    for plugin in recipe.callback.values():
        if hasattr(plugin, "check"):
            with collect_errors(errors):
                plugin.check(logged)
    raise_together(errors)


def _refuse_other_labels(recipe: Recipe, spec: TaskSpec) -> None:
    refuse_other_labels("loss", "loss", recipe.loss, spec)
    _check("loss", recipe.loss, spec)
    if recipe.objective is not None:
        refuse_other_labels("objective", "objective", recipe.objective, spec)
    is_usual = spec.task.has_labels and not spec.task.encodes_texts_apart
    plugin = None if is_usual else chosen_objective(recipe)
    if plugin is not None:
        raise ConfigError(
            f"{name_and_origin('objective', plugin)[0]} trains on a label of each text, and"
            f" {spec.task.name} has none",
            where="objective",
            fix="objective=supervised",
        )
    for name, metric in recipe.metrics.items():
        refuse_other_labels(f"metric.{name}", "metric", metric, spec)
        _check(f"metric.{name}", metric, spec)


def _check(key: str, plugin: Any, argument: Any) -> None:
    if hasattr(plugin, "check"):
        call_checked(key, plugin.check, argument)


def _check_schedule(recipe: Recipe, data: TextData, size: int) -> None:
    """Check the schedule by the length of the run, which is not known yet with windows."""
    if data.spec.windows is None:
        _, budget = length_of_run(recipe.train, -(-size // recipe.train.batch_size))
        _check("schedule", recipe.schedule, budget)


def _refuse_unused(recipe: Recipe, data: TextData) -> None:
    """Raise ConfigError if loss or objective would ignore soft labels or weights."""
    spec = data.spec
    objective = chosen_objective(recipe)
    if data.train.weights is not None and not spec.task.has_labels:
        raise ConfigError(
            f"the loss of {spec.task.name} is no mean over examples, which weights are of",
            where="data.weight",
            fix="data.weight=null",
        )
    if spec.soft_labels:
        refuse_ignored("data.soft_labels", "loss", recipe.loss, spec)
    if spec.soft_labels and objective is not None:
        refuse_ignored("data.soft_labels", "objective", objective, spec)
    if data.train.weights is not None and objective is not None:
        refuse_ignored("data.weight", "objective", objective, spec)
    if recipe.train.sampling is not None:
        refuse_sampling(data)


def _refuse_other_frequencies(recipe: Recipe, data: TextData) -> None:
    """Raise ConfigError for a postprocess that divides by class frequencies training changes."""
    plugins = chosen_steps(recipe.postprocess).items()
    name = next((name for name, plugin in plugins if getattr(plugin, "by_frequency", False)), None)
    loss = recipe.loss
    changes = {
        "train.sampling": recipe.train.sampling is not None,
        "data.weight": data.train.weights is not None,
        "loss.class_weight": getattr(loss, "class_weight", None) is not None,
        "loss.alpha": getattr(loss, "alpha", None) is not None,
        "loss.beta": bool(getattr(loss, "beta", 0)),
    }
    changed = next((key for key, is_set in changes.items() if is_set), None)
    if name and changed:
        raise ConfigError(
            f"{name} takes the frequencies of the training classes for those that the network"
            f" learns, and {changed} changes those",
            where=f"postprocess.{name}",
            fix=f"{changed}={0 if changed == 'loss.beta' else 'null'}, or leave {name} out",
        )


def _refuse_large_labels(recipe: Recipe, data: TextData) -> None:
    """Raise ConfigError for labels that no cosine can be near."""
    if not (data.spec.task.encodes_texts_apart and data.spec.task.has_labels):
        return
    largest = getattr(recipe.loss, "largest", 1.0)
    labels = data.train.labels
    if labels.max() > largest or labels.min() < -largest:
        raise ConfigError(
            f"labels go from {labels.min():g} to {labels.max():g}, and the loss takes them as"
            f" cosines from {-largest:g} to {largest:g}",
            where="data.label",
            fix=f"loss=cosine loss.largest={max(abs(labels.max()), abs(labels.min())):g}",
        )


def _fitted_length(recipe: Recipe, data: TextData, positions: int) -> TextData:
    """Return the data with a ``max_length`` that the model has positions for.

    A default of ours is adjusted, and that is reported; a length that somebody chose is refused.
    """
    requested = data.spec.max_length
    default = next((f.default for f in fields(recipe.data) if f.name == "max_length"), None)
    if requested <= positions or requested != default:
        refuse_length(requested, positions)
        return data
    log.warning(
        "note       data.max_length is %d, not its default of %d: this model has no more positions",
        positions,
        requested,
    )
    return replace(data, spec=replace(data.spec, max_length=positions))


def _refuse_transfer(
    recipe: Recipe, size: int, blocks: tuple[str, ...], variables: tuple[str, ...] = ()
) -> None:
    """Raise ConfigError if the transfer strategies refuse a model of these blocks and variables.

    Args:
        recipe: of the run.
        size: what an epoch has, examples or pairs.
        blocks: names; none where they are not known.
        variables: paths; none where they are not known.
    """
    if not blocks:
        return
    network: Any = NamedVariables(variables) if variables else None
    model = TextModel(network=network, tokenizer=None, blocks=dict.fromkeys(blocks, ("",)))  # type: ignore[arg-type]
    _, budget = length_of_run(recipe.train, -(-size // recipe.train.batch_size))
    plan = check_transfer(recipe.transfer, model, budget)
    refuse_frozen_encoder(chosen_objective(recipe), plan, blocks)
