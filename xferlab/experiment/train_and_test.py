"""Trains an assembled experiment in its folder, scores the last split, and writes the scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xferlab.backend.process import intra_op_threads
from xferlab.backend.train_step import PART
from xferlab.callbacks import Callback, Evaluation, Result, Run
from xferlab.compatibility import is_built_in, name_and_origin
from xferlab.config.recipe import Recipe, compared
from xferlab.config.schema import Keep, TrainConfig, interval
from xferlab.errors import printable
from xferlab.evaluation.constant_baseline import baseline_notes
from xferlab.evaluation.final_notes import final_remarks
from xferlab.evaluation.run_baselines import baseline_record, baselines_of, describe_baselines
from xferlab.evaluation.verdict import verdict
from xferlab.experiment.postprocess import FittedPostprocess, fit_to_validation
from xferlab.formatting import format_duration, format_path, format_scores
from xferlab.io.atomic import atomic_link, sha256_of, write_json
from xferlab.postprocessing.record import FILE
from xferlab.runs.fold_examples import keep_fold_examples
from xferlab.runs.latency import write_latency
from xferlab.runs.metadata import PLAN, environment_fingerprint, swept_keys
from xferlab.runs.predictions import keep_predictions
from xferlab.runs.pruning import Pruned
from xferlab.runs.resume import PreviousRun
from xferlab.runs.score import score_of
from xferlab.runs.signals import Interrupted, StopRequest
from xferlab.training.assemble import Experiment, length_of_run
from xferlab.training.callback_list import CallbackList, Plugin
from xferlab.training.callbacks.best_weights import BestWeights
from xferlab.training.callbacks.history import HistoryFile
from xferlab.training.callbacks.progress import ProgressBar
from xferlab.training.callbacks.pruning import PruningRequest
from xferlab.training.callbacks.reactive_learning_rate import ReactiveLearningRate
from xferlab.training.callbacks.tensorboard import hyperparameters
from xferlab.training.checkpointing import FolderCheckpointer
from xferlab.training.events import TrainState
from xferlab.training.loop import fit, network_of_epoch
from xferlab.training.network_cache import NETWORK_CACHE
from xferlab.training.optimizer_extensions import current_rate
from xferlab.training.phase_network import PhaseNetwork
from xferlab.training.schedule_plot import block_rates, schedule_figure
from xferlab.training.summary import planned_rates
from xferlab.training.weights import reload_weights, weight_arrays

log = logging.getLogger("xferlab")
CONSTANT = "constant"
"""Key of what is judged and not written."""


@dataclass(frozen=True)
class _Callbacks:
    """The callbacks of a run, and those that its end reads."""

    list: CallbackList
    history: HistoryFile
    best: BestWeights
    bar: ProgressBar


def train_and_test(
    recipe: Recipe,
    experiment: Experiment,
    rates: Any,
    folder: Path,
    stop: StopRequest,
    previous: PreviousRun | None,
) -> float | None:
    """Fit, save the best and the last weights, score the test split; return the run's score."""
    schedule_figure(rates, experiment, recipe.config["schedule"]["name"], folder / "plan.png")
    callbacks, checkpointer = _create_callbacks(recipe, experiment, rates, folder, stop)
    start = checkpointer.start
    if previous and previous.changed:
        log.warning("note       %s", _longer_run_note(recipe, experiment, rates, start, previous))
    with _reporting_failures(callbacks):
        try:
            with stop.held():
                trained = fit(experiment, callbacks.list, checkpointer)
        except Pruned:
            callbacks.best.write()
            best = _validation_of(callbacks.history.rows, callbacks.best.best_epoch)
            metrics = _write_metrics(recipe, callbacks, folder, "best", validation=best)
            callbacks.list.end(_result("pruned", metrics))
            raise
        trained, weights = _final_weights(recipe, experiment, trained, callbacks, folder)
        update = int(callbacks.history.rows[-1]["step"])
        file = folder / "checkpoints" / f"{weights}.safetensors"
        fitted = fit_to_validation(recipe, experiment, trained, folder, file)
        test = _score_last_split(experiment, trained, folder, update, callbacks.list, fitted)
        judged = _judge(recipe, experiment, callbacks, test)
        metrics = _write_metrics(recipe, callbacks, folder, weights, fitted, **test, **judged)
        callbacks.list.end(_result("finished", metrics))
    _log_results(recipe, metrics, callbacks.history.rows, folder)
    NETWORK_CACHE.keep(experiment.cached, callbacks.best.weights.file)
    return score_of(metrics, callbacks.history.rows).value


@contextmanager
def _reporting_failures(callbacks: _Callbacks) -> Iterator[None]:
    """Keep the best weights and inform the callbacks where the body ends early."""
    try:
        yield
    except Pruned:
        raise
    except (Exception, Interrupted) as e:
        with suppress(OSError):  # the disk may be what failed
            callbacks.best.write()
        callbacks.list.failure(e)
        raise
    finally:
        callbacks.bar.close()


def _final_weights(
    recipe: Recipe,
    experiment: Experiment,
    trained: PhaseNetwork,
    callbacks: _Callbacks,
    folder: Path,
) -> tuple[PhaseNetwork, str]:
    """Save the last weights and restore the best; return what scores them and which they are."""
    network = experiment.model.network
    best = callbacks.best
    best.write()
    checkpoints = folder / "checkpoints"
    last_is_best = callbacks.history.rows[-1]["epoch"] == best.best_epoch
    restores = recipe.train.restores_best(len(experiment.data.validation))
    uses_last = not restores or best.best_epoch is None
    if last_is_best:
        atomic_link(checkpoints / "last.safetensors", checkpoints / "best.safetensors")
    elif uses_last or recipe.train.keep not in (Keep.best, Keep.none):
        best.weights.write(weight_arrays(network), checkpoints / "last.safetensors")
    if not restores or best.best_epoch is None:
        return trained, "last"
    if not last_is_best:
        trained = network_of_epoch(experiment, trained, best.best_epoch - 1)
        reload_weights(network, checkpoints / "best.safetensors", trained.trained.weights)
    return trained, "best"


def _create_callbacks(
    recipe: Recipe, experiment: Experiment, rates: Any, folder: Path, stop: StopRequest
) -> tuple[_Callbacks, FolderCheckpointer]:
    """Return the callbacks, and what saves and restores their state."""
    rate_of = partial(current_rate, experiment.optimizer, rates)
    history = HistoryFile(folder / "history.csv", rate_of)
    best = BestWeights(
        experiment.model.network,
        folder / "checkpoints" / "best.safetensors",
        recipe.monitor,
        recipe.mode,
        patience=recipe.train.patience,
        restores=recipe.train.restores_best(len(experiment.data.validation)),
        fixed=experiment.fixed_variables,
        known=NETWORK_CACHE.frozen_file,
    )
    plugins = _plugins(recipe, _run_of(recipe, experiment, rate_of, folder))
    kept: dict[str, Callback] = {name: plugin.build() for name, plugin in plugins.items()}
    kept |= {"HistoryFile": history, "BestWeights": best}
    if hasattr(recipe.schedule, "react"):
        kept["ReactiveLearningRate"] = ReactiveLearningRate(
            experiment.optimizer,
            recipe.schedule,
            recipe.optimizer.lr,
            recipe.monitor,
            recipe.mode,
        )
    network = experiment.model.network
    checkpointer = FolderCheckpointer(
        folder,
        CallbackList(kept, plugins, network),
        interval(recipe.train.checkpoint_every),
        recipe.train.gradient_accumulation_steps,
        environment_fingerprint(intra_op_threads()),
        stop,
    )
    done = checkpointer.start.batch
    bar = ProgressBar(experiment.total_batches, experiment.budget.epochs, done)
    every = kept | {"ProgressBar": bar, "PruningRequest": PruningRequest(folder)}
    return _Callbacks(CallbackList(every, plugins, network), history, best, bar), checkpointer


def _run_of(recipe: Recipe, experiment: Experiment, rate_of: Any, folder: Path) -> Run:
    return Run(
        folder=folder,
        run_id=recipe.run_id,
        config=recipe.config,
        settings=hyperparameters(compared(recipe.config)),
        spec=experiment.spec,
        splits=experiment.data.splits,
        budget=experiment.budget,
        monitor=recipe.monitor,
        mode=recipe.mode,
        network=experiment.model.network,
        learning_rate=rate_of,
        block_rates=block_rates(experiment, rate_of),
        sweep=folder.parent if (folder.parent / PLAN).exists() else None,
        swept=swept_keys(folder),
    )


def _plugins(recipe: Recipe, run: Run) -> dict[str, Plugin]:
    """Return what builds the chosen callbacks, by the names that their state is stored under."""
    plugins = {}
    for name, plugin in recipe.callback.items():
        choice, origin = name_and_origin("callback", plugin)
        is_trusted = is_built_in("callback", plugin)
        build = partial(plugin.build, run)
        plugins[f"callback.{name}"] = Plugin(choice, origin, build, is_trusted)
    return plugins


def _write_metrics(
    recipe: Recipe,
    callbacks: _Callbacks,
    folder: Path,
    weights: str,
    fitted: FittedPostprocess | None = None,
    **scores: Any,
) -> dict[str, Any]:
    """Write the final scores as ``metrics.json`` and return them."""
    best = callbacks.best
    seconds = sum(row["seconds"] for row in callbacks.history.rows)
    metrics: dict[str, Any] = {
        "best": {"monitor": recipe.monitor, "value": best.best, "epoch": best.best_epoch},
        "weights": weights,
        "sha256": _digests(folder / "checkpoints", best.weights.digests())
        | ({FILE: fitted.digest} if fitted else {}),
        "validation": dict(best.validation),
        **_loss_parts(callbacks.history.rows, best.best_epoch if weights == "best" else None),
        **scores,
        "seconds": round(seconds, 3),
    }
    write_json(folder / "metrics.json", metrics)
    return metrics


def _loss_parts(rows: Sequence[Mapping[str, float]], epoch: int | None) -> dict[str, Any]:
    """Return what an objective minimised in an epoch, None for the last; nothing by default."""
    row = next((row for row in rows if row["epoch"] == epoch), rows[-1])
    parts = {key: value for key, value in row.items() if key.startswith(PART)}
    return {"train": {"loss": row["loss"], **parts}} if parts else {}


def _validation_of(rows: Sequence[Mapping[str, float]], epoch: int | None) -> dict[str, float]:
    """Return the validation scores of an epoch."""
    row = next((row for row in rows if row["epoch"] == epoch), rows[-1])
    prefix = "val_"
    return {key.removeprefix(prefix): row[key] for key in row if key.startswith(prefix)}


def _result(status: str, metrics: dict[str, Any]) -> Result:
    scored = [split for split in ("validation", "test") if split in metrics]
    final = {f"{s}/{name}": value for s in scored for name, value in metrics[s].items()}
    return Result(status, final, metrics)


def _digests(checkpoints: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each file of weights by its name; two names of a file are read once."""
    paths = [path for path in sorted(checkpoints.glob("*.safetensors")) if path.name not in known]
    digests = {
        inode: sha256_of(path) for inode, path in {p.stat().st_ino: p for p in paths}.items()
    }
    return {path.name: digests[path.stat().st_ino] for path in paths} | dict(known)


def _score_last_split(
    experiment: Experiment,
    network: PhaseNetwork,
    folder: Path,
    update: int,
    callbacks: CallbackList,
    fitted: FittedPostprocess | None,
) -> dict[str, Any]:
    """Save the outputs of the test split, or else of the validation split.

    The test scores are those with the run's postprocess, the saved outputs are the network's.

    Returns:
        The test scores, where there is a test split, and the notes about the outputs.
    """
    split = "test" if "test" in experiment.encodings else "validation"
    if fitted is not None and split == "validation":
        labels, outputs = fitted.outputs
    else:
        labels, outputs = network.outputs(experiment, split)
        groups = experiment.data.splits[split].groups
        keep_predictions(folder, split, labels, outputs, groups)
    examples, seconds = network.latency(experiment, split)
    if examples:
        write_latency(folder, split, examples, seconds, experiment.forward.batch_size)
    data = experiment.data
    if data.test is not None and data.fold_rows is not None:
        keep_fold_examples(folder, data.test, data.fold_rows, experiment.spec, labels)
    scored = outputs
    decisive = None
    if fitted is not None:
        done = fitted.postprocessor(outputs)
        scored = done.outputs
        decisive = done.decisive
    test = {split: experiment.scores(labels, scored, decisive)} if split == "test" else {}
    if test:
        callbacks.evaluation(Evaluation(split, update, labels, outputs, test[split]))
    deciding = scored if decisive is None else decisive
    constant = baseline_notes(experiment.spec, split, labels, deciding)
    return {**test, **final_remarks(experiment, constant), CONSTANT: constant}


def _judge(
    recipe: Recipe, experiment: Experiment, callbacks: _Callbacks, scored: dict[str, Any]
) -> dict[str, Any]:
    """Return what ``metrics.json`` has to compare the scores with: baselines, and a verdict."""
    constant = scored.pop(CONSTANT)
    baselines = baseline_record(baselines_of(recipe, experiment.data))
    split = "test" if "test" in scored else "validation"
    scores = scored.get("test", callbacks.best.validation)
    rows = callbacks.history.rows
    lines = verdict(recipe, experiment, split, scores, rows, baselines, constant)
    return {
        **({"baselines": baselines} if baselines else {}),
        **({"verdict": lines} if lines else {}),
    }


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


def _log_results(
    recipe: Recipe, metrics: dict[str, Any], rows: Sequence[Mapping[str, float]], folder: Path
) -> None:
    best = metrics["best"]
    if best["epoch"] is not None:
        log.info("best       %s %.4f at epoch %d", best["monitor"], best["value"], best["epoch"])
    score = score_of(metrics, rows)
    if score.weights == "last" and score.value is not None and score.epoch != best["epoch"]:
        used = (score.epoch, score.monitor, score.value)
        log.info("weights    of the last epoch, %d: %s %.4f (train.restore_best)", *used)
    for split in ("validation", "test"):
        if split in metrics:
            log.info("%-10s %s", split, format_scores(metrics[split]))
    scored = "test" if "test" in metrics else "validation"
    metric = next(iter(recipe.metrics), "")
    simple = describe_baselines(metrics.get("baselines", {}), scored, metric)
    if simple:
        log.info("baselines  %s", printable(simple))
    judged = metrics.get("verdict", ())
    for note in (note for note in metrics.get("notes", ()) if note not in judged):
        log.warning("note       %s", note)
    for line in judged:
        log.warning("verdict    %s", printable(line))
    log.info("time       %s", format_duration(metrics["seconds"]))
    log.info("saved to   %s", format_path(folder))
    if "tensorboard" in recipe.callback:
        log.info("view       tensorboard --logdir %s", format_path(folder))
