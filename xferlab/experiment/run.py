"""Runs one experiment: prepare, assemble, check, train, evaluate, record."""

from __future__ import annotations

import gc
import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xferlab.backend.process import intra_op_threads
from xferlab.checks.experiment import inspect
from xferlab.config.recipe import Recipe
from xferlab.config.schema import TrainConfig, interval
from xferlab.errors import XferlabError
from xferlab.escaping import guard_logs
from xferlab.evaluation.final_notes import final_remarks, unseen_word_notes
from xferlab.experiment.prepare import prepare
from xferlab.formatting import format_duration, format_path, format_scores
from xferlab.io.atomic import atomic_link, delete_temporary, sha256_of, write_json
from xferlab.runs.checkpoints import delete_checkpoints
from xferlab.runs.failure import report_failure, write_failure
from xferlab.runs.heartbeat import beating
from xferlab.runs.inputs import inputs_of, refuse_in_between, write_inputs
from xferlab.runs.lock import locked
from xferlab.runs.metadata import (
    FORMAT,
    environment_fingerprint,
    keep_files,
    provenance,
    read_metrics,
    recorded_micro_batches,
    recorded_precision,
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
from xferlab.training.callbacks.best_weights import BestWeights
from xferlab.training.callbacks.history import HistoryFile
from xferlab.training.callbacks.progress import ProgressBar
from xferlab.training.callbacks.pruning import PruningRequest
from xferlab.training.callbacks.reactive_learning_rate import ReactiveLearningRate
from xferlab.training.callbacks.tensorboard import TensorBoardLog, hyperparameters
from xferlab.training.checkpointing import FolderCheckpointer
from xferlab.training.events import Callback, Diverged, TrainState
from xferlab.training.loop import fit, network_of_epoch
from xferlab.training.network_cache import NETWORK_CACHE
from xferlab.training.optimizer_extensions import current_rate
from xferlab.training.phase_network import PhaseNetwork
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
from xferlab.training.weights import reload_weights, save_weights

log = logging.getLogger("xferlab")
RESERVE = 64 * 2**20
"""Bytes of address space, released to record a failure where memory has run out."""


def run(recipe: Recipe, folder: Path) -> float | None:
    """Train ``recipe`` in ``folder`` and return the best monitored value.

    A finished run of this config is not trained again; an interrupted one resumes from its latest
    checkpoint. A run that a search prunes keeps its best weights and history, without test scores.

    Raises:
        ConfigError: the folder holds another config's run, or another process works in it.
        Interrupted: a signal requested to stop; the state is saved.
    """
    guard_logs()
    with locked(folder), beating(folder), StopRequest() as stop:
        previous = refuse_changed(folder, recipe)
        if previous and previous.status == "finished" and not previous.changed:
            log.info("%s is finished already", format_path(folder))
            delete_checkpoints(folder / "checkpoints")
            return read_metrics(folder)["best"]["value"]
        _begin(recipe, folder, previous)
        status, best = _run_recording_failures(recipe, folder, stop, previous)
        write_status(folder, status)
        delete_checkpoints(folder / "checkpoints")
        return best


def _begin(recipe: Recipe, folder: Path, previous: PreviousRun | None) -> None:
    """Record what is about to run."""
    delete_temporary(folder)
    if previous and previous.status == "pruned":
        forget_pruning(folder)
    write_config(folder, recipe.config)
    write_inputs(folder, inputs_of(recipe.config))
    write_status(folder, "running")
    (folder / "error.txt").unlink(missing_ok=True)


def _run_recording_failures(
    recipe: Recipe, folder: Path, stop: StopRequest, previous: PreviousRun | None
) -> tuple[str, float | None]:
    """Train; return the status and the best value. What ends the run early is recorded."""
    reserve = bytearray(RESERVE)
    try:
        return "finished", _run_with_smaller_batches(recipe, folder, stop, previous)
    except Pruned as e:
        log.info("pruned     %s", e)
        return "pruned", None
    except Interrupted as e:
        write_status(folder, e.status, error=str(e))
        log.warning("%s; the same command with --recover resumes the run", e)
        raise
    except (Exception, SystemExit) as e:
        del reserve
        known: BaseException | XferlabError = as_run_error(e) or e
        write_failure(folder, known, "nan" if isinstance(known, Diverged) else "failed")
        report_failure(known)
        if known is e:
            raise
        raise known from e


def _run_with_smaller_batches(
    recipe: Recipe, folder: Path, stop: StopRequest, previous: PreviousRun | None
) -> float | None:
    """Train; after an out-of-memory error, train again from the latest checkpoint in slices."""
    log.info("run        %s  %s", recipe.run_id, format_path(folder))
    log.info("seed       %d", recipe.seed)
    micro_batches = recorded_micro_batches(folder)
    while True:
        try:
            return _run_once(recipe, folder, stop, previous, micro_batches)
        except Exception as e:
            smaller = 2 * micro_batches <= recipe.train.batch_size
            if not (recipe.train.split_on_oom and smaller and allocator_failed(e)):
                raise
        gc.collect()  # frees the network that did not fit
        micro_batches *= 2
        log.warning(
            "note       out of memory: from here on each batch of %d examples is computed in %d"
            " slices, for the same optimizer steps (train.split_on_oom=false ends the run instead)",
            recipe.train.batch_size,
            micro_batches,
        )


def _run_once(
    recipe: Recipe,
    folder: Path,
    stop: StopRequest,
    previous: PreviousRun | None,
    micro_batches: int,
) -> float | None:
    """Prepare, assemble, check and record the experiment, then train it."""
    recipe, data = prepare(recipe, recorded_precision(folder))
    refuse_in_between(folder, recipe.config)
    digests = {name: split.digest for name, split in data.splits.items()}
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
            "precision": recipe.train.precision.value,
        },
    )
    return train_and_test(recipe, experiment, rates, folder, stop, previous)


@dataclass(frozen=True)
class _Callbacks:
    """The callbacks whose state belongs to the run's checkpoints."""

    board: TensorBoardLog
    history: HistoryFile
    best: BestWeights
    others: tuple[Callback, ...]

    @property
    def all(self) -> list[Callback]:
        return [self.board, self.history, self.best, *self.others]


def train_and_test(
    recipe: Recipe,
    experiment: Experiment,
    rates: Any,
    folder: Path,
    stop: StopRequest,
    previous: PreviousRun | None,
) -> float | None:
    """Fit, save the best and the last weights, score the test split; return the best value."""
    network = experiment.model.network
    checkpoints = folder / "checkpoints"
    callbacks = _create_callbacks(recipe, experiment, rates, folder)
    best = callbacks.best
    checkpointer = FolderCheckpointer(
        folder,
        callbacks.all,
        interval(recipe.train.checkpoint_every),
        recipe.train.gradient_accumulation_steps,
        environment_fingerprint(intra_op_threads()),
        stop,
    )
    start = checkpointer.start
    plan = schedule_figure(
        rates, experiment, recipe.config["schedule"]["name"], folder / "plan.png"
    )
    if start.batch == 0:
        callbacks.board.begin(recipe.config, plan)
    if previous and previous.changed:
        log.warning("note       %s", _longer_run_note(recipe, experiment, rates, start, previous))
    bar = ProgressBar(experiment.total_batches, experiment.budget.epochs, start.batch)
    try:
        with stop.held():
            trained = fit(experiment, [*callbacks.all, bar, PruningRequest(folder)], checkpointer)
    except Pruned:
        best.write()
        _write_metrics(recipe, callbacks, folder, weights="best")
        raise
    except Exception:
        with suppress(OSError):  # the disk may be what failed
            best.write()
        raise
    finally:
        bar.close()
    best.write()
    last_is_best = callbacks.history.rows[-1]["epoch"] == best.best_epoch
    if last_is_best:
        atomic_link(checkpoints / "last.safetensors", checkpoints / "best.safetensors")
    else:
        save_weights(network, checkpoints / "last.safetensors")
    restores = recipe.train.restores_best(len(experiment.data.validation))
    weights = "best" if restores and best.best_epoch is not None else "last"
    if weights == "best" and not last_is_best:
        assert best.best_epoch is not None
        trained = network_of_epoch(experiment, trained, best.best_epoch - 1)
        reload_weights(network, checkpoints / "best.safetensors", trained.trained.weights)
    test = _score_last_split(experiment, trained, folder)
    metrics = _write_metrics(recipe, callbacks, folder, weights=weights, **test)
    _log_results(metrics, folder)
    NETWORK_CACHE.keep(experiment.cached)
    return best.best


def _create_callbacks(
    recipe: Recipe, experiment: Experiment, rates: Any, folder: Path
) -> _Callbacks:
    best = BestWeights(
        experiment.model.network,
        folder / "checkpoints" / "best.safetensors",
        recipe.monitor,
        recipe.mode,
        patience=recipe.train.patience,
        restores=recipe.train.restores_best(len(experiment.data.validation)),
    )
    rate_of = partial(current_rate, experiment.optimizer, rates)
    others: tuple[Callback, ...] = ()
    if hasattr(recipe.schedule, "react"):
        reactive = ReactiveLearningRate(
            experiment.optimizer,
            recipe.schedule,
            recipe.optimizer.lr,
            recipe.monitor,
            recipe.mode,
        )
        others = (reactive,)
    return _Callbacks(
        TensorBoardLog(folder / "tensorboard", rate_of),
        HistoryFile(folder / "history.csv", rate_of),
        best,
        others,
    )


def _write_metrics(
    recipe: Recipe, callbacks: _Callbacks, folder: Path, *, weights: str, **scores: Any
) -> dict[str, Any]:
    """Write the final scores as ``metrics.json`` and to TensorBoard, and return them."""
    best = callbacks.best
    seconds = sum(row["seconds"] for row in callbacks.history.rows)
    metrics: dict[str, Any] = {
        "best": {"monitor": recipe.monitor, "value": best.best, "epoch": best.best_epoch},
        "weights": weights,
        "sha256": _digests(folder / "checkpoints"),
        "validation": dict(best.validation),
        **scores,
        "seconds": round(seconds, 3),
    }
    write_json(folder / "metrics.json", metrics)
    scored = [split for split in ("validation", "test") if split in metrics]
    final = {f"{s}/{name}": value for s in scored for name, value in metrics[s].items()}
    callbacks.board.close(hyperparameters(recipe.config), final)
    return metrics


def _digests(checkpoints: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of weights by its name; two names of a file are read once."""
    paths = sorted(checkpoints.glob("*.safetensors"))
    digests = {
        inode: sha256_of(path) for inode, path in {p.stat().st_ino: p for p in paths}.items()
    }
    return {path.name: digests[path.stat().st_ino] for path in paths}


def _score_last_split(
    experiment: Experiment, network: PhaseNetwork, folder: Path
) -> dict[str, Any]:
    """Save the outputs of the test split, or else of the validation split.

    Returns:
        The test scores, where there is a test split, and the notes about the outputs.
    """
    split = "test" if "test" in experiment.encodings else "validation"
    labels, outputs = network.outputs(experiment, split)
    keep_predictions(folder, split, labels, outputs)
    test = {split: experiment.scores(labels, outputs)} if split == "test" else {}
    return {**test, **final_remarks(experiment, split, labels, outputs)}


def _longer_run_note(
    recipe: Recipe, experiment: Experiment, rates: Any, start: TrainState, previous: PreviousRun
) -> str:
    """Return what a longer run than planned means for the schedule, or that it starts again."""
    changed = ", ".join(previous.changed)
    if start.batch == 0:
        finished = previous.status == "finished"
        why = "that run had finished" if finished else "no checkpoint is left"
        return f"{changed} changed since, and {why}: training starts again from the beginning"
    accumulation = recipe.train.gradient_accumulation_steps
    lengths = {key.removeprefix("train."): pair[0] for key, pair in previous.changed.items()}
    planned = TrainConfig(gradient_accumulation_steps=accumulation, **lengths)
    _, budget = length_of_run(planned, experiment.batches.steps_per_epoch)
    old = planned_rates(recipe.schedule.build(recipe.optimizer.lr, budget), budget.total_steps)
    done = start.batch // accumulation
    was = f"{old[done]:.3g}" if done < len(old) else "its end"
    now = f"{rates[done]:.3g}" if done < len(rates) else "its end"
    return (
        f"{changed} changed since: the schedule now spans {len(rates)} steps instead of"
        f" {len(old)}; the learning rate of step {done + 1} is {now}, not {was}"
    )


def _log_results(metrics: dict[str, Any], folder: Path) -> None:
    best = metrics["best"]
    if best["epoch"] is not None:
        log.info("best       %s %.4f at epoch %d", best["monitor"], best["value"], best["epoch"])
    for split in ("validation", "test"):
        if split in metrics:
            log.info("%-10s %s", split, format_scores(metrics[split]))
    for note in metrics.get("notes", ()):
        log.warning("note       %s", note)
    log.info("time       %s", format_duration(metrics["seconds"]))
    log.info("saved to   %s", format_path(folder))
    log.info("view       tensorboard --logdir %s", format_path(folder))
