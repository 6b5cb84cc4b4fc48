"""Runs one experiment: seed, assemble, compile, fit, write down what happened."""

from __future__ import annotations

import gc
import logging
from functools import partial
from pathlib import Path
from typing import Any

from xferlab.checks.experiment import inspect
from xferlab.config.recipe import Recipe
from xferlab.config.schema import TrainConfig, interval
from xferlab.escaping import guard_logs
from xferlab.evaluation.final_notes import final_remarks, unseen_word_notes
from xferlab.experiment.prepare import prepare
from xferlab.io.atomic import delete_temporary, sha256_of, write_json
from xferlab.runs.checkpoints import delete_checkpoints
from xferlab.runs.failure import report_failure, write_failure
from xferlab.runs.heartbeat import beating
from xferlab.runs.inputs import inputs_of, refuse_in_between, write_inputs
from xferlab.runs.lock import locked
from xferlab.runs.metadata import (
    FORMAT,
    environment_fingerprint,
    fingerprint,
    keep_files,
    provenance,
    read_metrics,
    recorded_micro_batches,
    refuse_other_data,
    write_config,
    write_status,
)
from xferlab.runs.os_errors import allocator_failed, as_run_error
from xferlab.runs.predictions import keep_predictions
from xferlab.runs.pruning import Pruned, forget_pruning
from xferlab.runs.resume import PreviousRun, refuse_changed
from xferlab.runs.signals import Interrupted, StopRequest
from xferlab.training.assemble import Experiment, assemble, length_of_run
from xferlab.training.callbacks.progress import ProgressBar, as_time, as_words
from xferlab.training.callbacks.pruning import PruningRequest
from xferlab.training.callbacks.tracking import (
    BestWeights,
    HistoryFile,
    ReactiveLearningRate,
    TensorBoardLog,
    hyperparameters,
)
from xferlab.training.checkpointing import FolderCheckpointer
from xferlab.training.events import Callback, Diverged, TrainState
from xferlab.training.loop import fit
from xferlab.training.optimizer_extensions import current_rate
from xferlab.training.schedule_plot import schedule_figure
from xferlab.training.summary import (
    class_weights,
    parameter_rows,
    planned_rates,
    schedule_plan,
    small_data_notes,
    summary_lines,
    task_record,
)
from xferlab.training.weights import load_weights, save_weights

log = logging.getLogger("xferlab")
RESERVE = 64 * 2**20
"""Bytes of address space that a failure is written down with where memory has run out."""


def run(recipe: Recipe, folder: Path) -> float | None:
    """Train ``recipe`` in ``folder`` and return the best monitored value.

    What is there already is gone on with: a finished run of this config is not done again, an
    interrupted one continues from its newest checkpoint.

    A run that a search has asked to end keeps its best weights and history, and no test scores.

    Raises:
        ConfigError: the folder holds another config's run, or a process that is at work.
        Interrupted: a signal asked to stop; the state is saved.
    """
    guard_logs()
    with locked(folder), beating(folder), StopRequest() as stop:
        before = refuse_changed(folder, recipe)
        if before and before.status == "finished" and not before.changed:
            log.info("%s is finished already", _shown(folder))
            delete_checkpoints(folder / "checkpoints")
            return read_metrics(folder)["best"]["value"]
        delete_temporary(folder)
        if before and before.status == "pruned":
            forget_pruning(folder)
        write_config(folder, recipe.config)
        write_inputs(folder, inputs_of(recipe.config))
        write_status(folder, "running")
        (folder / "error.txt").unlink(missing_ok=True)
        status, best, reserve = "finished", None, bytearray(RESERVE)
        try:
            best = _run(recipe, folder, stop, before)
        except Pruned as e:
            status = "pruned"
            log.info("pruned     %s", e)
        except Interrupted as e:
            write_status(folder, e.status, error=str(e))
            log.warning("%s; the same command with --recover goes on from here", e)
            raise
        except (Exception, SystemExit) as e:
            del reserve
            known = as_run_error(e) or e
            write_failure(folder, known, "nan" if isinstance(known, Diverged) else "failed")
            report_failure(known)
            if known is e:
                raise
            raise known from e
        write_status(folder, status)
        delete_checkpoints(folder / "checkpoints")
        return best


def _run(
    recipe: Recipe, folder: Path, stop: StopRequest, before: PreviousRun | None
) -> float | None:
    """Train; where memory runs out, again from the newest checkpoint with smaller slices."""
    log.info("run        %s  %s", recipe.run_id, _shown(folder))
    micro_batches = recorded_micro_batches(folder)
    while True:
        try:
            return _attempt(recipe, folder, stop, before, micro_batches)
        except Exception as e:
            smaller = 2 * micro_batches <= recipe.train.batch_size
            if not (recipe.train.split_on_oom and smaller and allocator_failed(e)):
                raise
        gc.collect()  # the network that did not fit
        micro_batches *= 2
        log.warning(
            "note       out of memory: each batch of %d rows is computed in %d slices from here on,"
            " for the same optimizer steps (train.split_on_oom=false ends the run instead)",
            recipe.train.batch_size,
            micro_batches,
        )


def _attempt(
    recipe: Recipe, folder: Path, stop: StopRequest, before: PreviousRun | None, micro_batches: int
) -> float | None:
    recipe, data = prepare(recipe)
    refuse_in_between(folder, recipe.config)
    digests = fingerprint(data)
    refuse_other_data(folder, digests)
    experiment = assemble(recipe, data, micro_batches)
    rates = planned_rates(experiment.learning_rate, experiment.budget.total_steps)
    notes = [
        *inspect(experiment, recipe, rates),
        *small_data_notes(experiment, recipe.train),
        *unseen_word_notes(experiment),
    ]
    for line in [*summary_lines(experiment, rates), *(f"note       {note}" for note in notes)]:
        log.info("%s", line)
    write_json(
        folder / "run.json",
        {
            "format": FORMAT,
            "run_id": recipe.run_id,
            **provenance(recipe.config),
            "task": task_record(experiment),
            "data": digests,
            "checkpoint": dict(experiment.model.origin),
            "model": keep_files(folder / "model", experiment.model.files),
            "monitor": recipe.monitor,
            "plan": schedule_plan(experiment, rates),
            "blocks": parameter_rows(experiment),
            "class_weights": class_weights(experiment),
            "notes": [*data.notes, *notes],
            "micro_batches": micro_batches,
        },
    )
    schedule = recipe.config["schedule"]["name"]
    picture = schedule_figure(rates, experiment, schedule, folder / "plan.png")
    return train_and_test(recipe, experiment, rates, picture, folder, stop, before)


def train_and_test(
    recipe: Recipe,
    experiment: Experiment,
    rates: Any,
    plan: bytes,
    folder: Path,
    stop: StopRequest,
    before: PreviousRun | None,
) -> float | None:
    """Fit, keep the best and the last weights, score the test split; return the best value."""
    network, checkpoints = experiment.model.network, folder / "checkpoints"
    best_file = checkpoints / "best.safetensors"
    restores = recipe.train.restores_best(len(experiment.data.validation))
    best = BestWeights(
        network,
        best_file,
        recipe.monitor,
        recipe.mode,
        patience=recipe.train.patience,
        restores=restores,
    )
    rate_of = partial(current_rate, experiment.optimizer, rates)
    board = TensorBoardLog(folder / "tensorboard", rate_of)
    history = HistoryFile(folder / "history.csv", rate_of)
    callbacks = [board, history, best, *_follower(recipe, experiment)]
    every = interval(recipe.train.checkpoint_every)
    checkpointer = FolderCheckpointer(
        folder,
        callbacks,
        every,
        recipe.train.gradient_accumulation_steps,
        environment_fingerprint(),
        stop,
    )
    if checkpointer.start.batch == 0:
        board.begin(recipe.config, plan)
    if before and before.changed:
        log.warning("note       %s", _longer(recipe, experiment, rates, checkpointer.start, before))
    bar = ProgressBar(experiment.total_batches, experiment.budget.epochs, checkpointer.start.batch)
    try:
        with stop.held():
            fit(experiment, [*callbacks, bar, PruningRequest(folder)], checkpointer)
    except Pruned:
        best.write()
        _write_metrics(recipe, best, history, board, folder, weights="best")
        raise
    finally:
        bar.close()
    best.write()
    save_weights(network, checkpoints / "last.safetensors")
    restored = restores and best.best_epoch is not None
    if restored:
        load_weights(network, best_file)
    test, weights = _last_split(experiment, folder), "best" if restored else "last"
    metrics = _write_metrics(recipe, best, history, board, folder, weights=weights, **test)
    _tell(metrics, folder)
    return best.best


def _write_metrics(
    recipe: Recipe,
    best: BestWeights,
    history: HistoryFile,
    board: TensorBoardLog,
    folder: Path,
    *,
    weights: str,
    **scores: Any,
) -> dict[str, Any]:
    """Write the final scores as ``metrics.json`` and to TensorBoard, and return them."""
    metrics: dict[str, Any] = {
        "best": {"monitor": recipe.monitor, "value": best.best, "epoch": best.best_epoch},
        "weights": weights,
        "sha256": {
            path.name: sha256_of(path)
            for path in sorted((folder / "checkpoints").glob("*.safetensors"))
        },
        "validation": dict(best.validation),
        **scores,
        "seconds": round(sum(row["seconds"] for row in history.rows), 3),
    }
    write_json(folder / "metrics.json", metrics)
    scored = [split for split in ("validation", "test") if split in metrics]
    final = {f"{s}/{name}": value for s in scored for name, value in metrics[s].items()}
    board.close(hyperparameters(recipe.config), final)
    return metrics


def _last_split(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Keep the outputs of the test rows, or else of the validation rows.

    Returns test's scores, and what is to be said about them.
    """
    split = "test" if "test" in experiment.encodings else "validation"
    labels, outputs = experiment.outputs(split)
    keep_predictions(folder, split, labels, outputs)
    test = {split: experiment.scores(labels, outputs)} if split == "test" else {}
    return {**test, **final_remarks(experiment, split, labels, outputs)}


def _longer(
    recipe: Recipe, experiment: Experiment, rates: Any, start: TrainState, before: PreviousRun
) -> str:
    """Say what going on for longer than planned does to the schedule, or that it begins anew."""
    if start.batch == 0:
        why = "that run had finished" if before.status == "finished" else "no checkpoint is left"
        return f"{', '.join(before.changed)} changed since, and {why}: all is trained anew"
    lengths = {key.removeprefix("train."): pair[0] for key, pair in before.changed.items()}
    planned = TrainConfig(**{"accumulate": recipe.train.gradient_accumulation_steps, **lengths})
    _, budget = length_of_run(planned, experiment.batches.steps_per_epoch)
    old = planned_rates(recipe.schedule.build(recipe.optimizer.lr, budget), budget.total_steps)
    done = start.batch // recipe.train.gradient_accumulation_steps
    was = f"{old[done]:.3g}" if done < len(old) else "its end"
    now = f"{rates[done]:.3g}" if done < len(rates) else "its end"
    return (
        f"{', '.join(before.changed)} changed since: the schedule is planned anew over"
        f" {len(rates)} steps instead of {len(old)}; step {done + 1} has the rate {now}, not {was}"
    )


def _follower(recipe: Recipe, experiment: Experiment) -> list[Callback]:
    if not hasattr(recipe.schedule, "react"):
        return []
    return [
        ReactiveLearningRate(
            experiment.optimizer,
            recipe.schedule,
            recipe.optimizer.lr,
            recipe.monitor,
            recipe.mode,
        )
    ]


def _tell(metrics: dict[str, Any], folder: Path) -> None:
    best = metrics["best"]
    if best["epoch"] is not None:
        log.info("best       %s %.4f at epoch %d", best["monitor"], best["value"], best["epoch"])
    for split in ("validation", "test"):
        if split in metrics:
            log.info("%-10s %s", split, as_words(metrics[split]))
    for note in metrics.get("notes", ()):
        log.warning("note       %s", note)
    log.info("trained in %s", as_time(metrics["seconds"]))
    log.info("kept in    %s", _shown(folder))
    log.info("look at it tensorboard --logdir %s", _shown(folder))


def _shown(folder: Path) -> str:
    """Return a path as short as it can be typed."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
