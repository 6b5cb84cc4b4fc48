"""Runs one experiment: seed, assemble, compile, fit, write down what happened."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from xferlab.assemble import Experiment, assemble
from xferlab.backend import prepare_backend
from xferlab.data_rules import inspect_data
from xferlab.errors import XferlabError
from xferlab.files import read_json, write_json
from xferlab.inspection import inspect
from xferlab.plan_picture import plan_picture
from xferlab.progress import ProgressBar, as_time, as_words
from xferlab.rates import current_rate
from xferlab.recipe import Recipe, fitted_to
from xferlab.record import (
    fingerprint,
    provenance,
    read_status,
    write_config,
    write_error,
    write_status,
)
from xferlab.summary import parameter_rows, planned_rates, schedule_plan, summary_lines
from xferlab.tracking import (
    BestKeeper,
    HistoryFile,
    RateFollower,
    TensorBoardLog,
    hyperparameters,
)
from xferlab.training import fit
from xferlab.weights import load_weights, save_weights

log = logging.getLogger("xferlab")


def run(recipe: Recipe, folder: Path) -> float | None:
    """Train ``recipe`` in ``folder`` and return the best monitored value.

    A finished run of the same config in this folder is not done again.
    """
    if read_status(folder)["status"] == "finished":
        log.info("%s is finished already", _shown(folder))
        return read_json(folder / "metrics.json")["best"]["value"]
    write_status(folder, "running")
    write_config(folder, recipe.config)
    try:
        best = _run(recipe, folder)
    except KeyboardInterrupt:
        write_status(folder, "interrupted")
        raise
    except Exception as e:
        write_error(folder, e)
        write_status(folder, "failed", error=str(e).partition("\n")[0] or type(e).__name__)
        log.error("%s", e, exc_info=None if isinstance(e, XferlabError) else e)
        raise
    write_status(folder, "finished")
    return best


def _run(recipe: Recipe, folder: Path) -> float | None:
    log.info("run        %s  %s", recipe.run_id, _shown(folder))
    data = recipe.data.build(recipe.seed)  # before TensorFlow is imported: mistakes show at once
    inspect_data(recipe.data, data)
    recipe = fitted_to(recipe, data.spec.task)
    if hasattr(recipe.model, "fetch"):
        recipe.model.fetch()
    prepare_backend(recipe.train, recipe.seed)
    experiment = assemble(recipe, data)
    rates = planned_rates(experiment.learning_rate, experiment.budget.total_steps)
    notes = inspect(experiment, recipe, rates)
    for line in [*summary_lines(experiment, rates), *(f"note       {note}" for note in notes)]:
        log.info("%s", line)
    write_json(
        folder / "run.json",
        {
            "run_id": recipe.run_id,
            **provenance(recipe.config),
            "task": _task(experiment),
            "data": fingerprint(data),
            "checkpoint": dict(experiment.model.origin),
            "plan": schedule_plan(experiment, rates),
            "blocks": parameter_rows(experiment),
        },
    )
    schedule = recipe.config["schedule"]["name"]
    picture = plan_picture(rates, experiment, schedule, folder / "plan.png")
    return train_and_test(recipe, experiment, rates, picture, folder)


def train_and_test(
    recipe: Recipe, experiment: Experiment, rates: Any, plan: bytes, folder: Path
) -> float | None:
    """Fit, keep the best and the last weights, score the test split; return the best value."""
    network, checkpoints = experiment.model.network, folder / "checkpoints"
    best_file = checkpoints / "best.safetensors"
    best = BestKeeper(network, best_file, recipe.monitor, recipe.better, recipe.train)
    rate_of = partial(current_rate, experiment.optimizer, rates)
    board = TensorBoardLog(folder / "tensorboard", rate_of, recipe.config)
    board.show("plan", plan)
    history = HistoryFile(folder / "history.csv", rate_of)
    bar = ProgressBar(experiment.total_batches, experiment.budget.epochs)
    try:
        fit(experiment, [board, history, best, *_follower(recipe, experiment), bar])
    finally:
        bar.close()
    save_weights(network, checkpoints / "last.safetensors")
    restored = recipe.train.restore_best and best.best_epoch is not None
    if restored:
        load_weights(network, best_file)
    metrics: dict[str, Any] = {
        "best": {"monitor": recipe.monitor, "value": best.best, "epoch": best.best_epoch},
        "weights": "best" if restored else "last",
        "validation": dict(best.validation),
        **({"test": experiment.evaluate("test")} if "test" in experiment.encodings else {}),
        "seconds": round(sum(row["seconds"] for row in history.rows), 3),
    }
    write_json(folder / "metrics.json", metrics)
    scored = [split for split in ("validation", "test") if split in metrics]
    final = {f"{s}/{name}": value for s in scored for name, value in metrics[s].items()}
    board.close(hyperparameters(recipe.config), final)
    _tell(metrics, folder)
    return best.best


def _follower(recipe: Recipe, experiment: Experiment) -> list[RateFollower]:
    if not hasattr(recipe.schedule, "react"):
        return []
    return [
        RateFollower(
            experiment.optimizer,
            recipe.schedule,
            recipe.optimizer.lr,
            recipe.monitor,
            recipe.better,
        )
    ]


def _tell(metrics: dict[str, Any], folder: Path) -> None:
    best = metrics["best"]
    if best["epoch"] is not None:
        log.info("best       %s %.4f at epoch %d", best["monitor"], best["value"], best["epoch"])
    for split in ("validation", "test"):
        if split in metrics:
            log.info("%-10s %s", split, as_words(metrics[split]))
    log.info("trained in %s", as_time(metrics["seconds"]))
    log.info("kept in    %s", _shown(folder))
    log.info("look at it tensorboard --logdir %s", _shown(folder))


def _task(experiment: Experiment) -> dict[str, Any]:
    spec = experiment.spec
    return {
        "task": spec.task.value,
        "class_names": list(spec.class_names),
        "class_counts": list(spec.class_counts),
        "rows": {name: len(split) for name, split in experiment.data.splits.items()},
        "max_length": spec.max_length,
        "pairs": spec.has_pairs,
        "emits": spec.emits.value,
    }


def _shown(folder: Path) -> str:
    """Return a path as short as it can be typed."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
