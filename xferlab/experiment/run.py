"""Runs one experiment: prepare, assemble, check, train, evaluate, record."""

from __future__ import annotations

import gc
import logging
import mmap
from pathlib import Path

from xferlab.backend.device import find_devices, unused_gpu_note
from xferlab.backend.process import intra_op_threads
from xferlab.checks.experiment import inspect
from xferlab.config.recipe import Recipe
from xferlab.discovery import remember
from xferlab.errors import XferlabError, printable
from xferlab.escaping import guard_logs
from xferlab.evaluation.final_notes import unseen_word_notes
from xferlab.experiment.prepare import prepare
from xferlab.experiment.train_and_test import train_and_test
from xferlab.formatting import format_path
from xferlab.io.atomic import delete_temporary, write_json
from xferlab.runs.failure import report_failure, write_failure
from xferlab.runs.heartbeat import beating
from xferlab.runs.inputs import inputs_of, refuse_in_between, write_inputs
from xferlab.runs.kept_weights import tidy_finished
from xferlab.runs.lock import locked
from xferlab.runs.metadata import (
    FORMAT,
    environment_fingerprint,
    keep_files,
    provenance,
    recorded_micro_batches,
    recorded_precision,
    refuse_other_data,
    write_config,
    write_status,
)
from xferlab.runs.os_errors import allocator_failed, as_run_error
from xferlab.runs.pruning import Pruned, forget_pruning
from xferlab.runs.resume import PreviousRun, refuse_changed
from xferlab.runs.score import read_score
from xferlab.runs.signals import Interrupted, StopRequest
from xferlab.training.assemble import assemble
from xferlab.training.events import Diverged
from xferlab.training.objective import refuse_slices
from xferlab.training.summary import (
    class_weights,
    parameter_rows,
    planned_rates,
    schedule_plan,
    small_data_notes,
    summary_lines,
    task_record,
)

log = logging.getLogger("xferlab")
RESERVE = 64 * 2**20
"""Bytes of address space, released to record a failure where memory has run out."""


def run(recipe: Recipe, folder: Path) -> float | None:
    """Train ``recipe`` in ``folder`` and return the monitored value of the weights that it uses.

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
            tidy_finished(folder, recipe.train.keep)
            return read_score(folder).value
        _begin(recipe, folder, previous)
        status, best = _run_recording_failures(recipe, folder, stop, previous)
        write_status(folder, status)
        tidy_finished(folder, recipe.train.keep if status == "finished" else None)
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
    reserve = mmap.mmap(-1, RESERVE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # no memory yet
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
        reserve.close()
        train = recipe.train
        batch = (train.batch_size, train.gradient_accumulation_steps)
        known: BaseException | XferlabError = as_run_error(e, batch) or e
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
            refuse_slices(recipe, e)
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
    device = _report_device()
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
    made_by = provenance(recipe.config)
    remember(made_by["plugins"])
    write_json(
        folder / "run.json",
        {
            "format": FORMAT,
            "run_id": recipe.run_id,
            **made_by,
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
            "device": device,
            "environment": environment_fingerprint(intra_op_threads()),
        },
    )
    return train_and_test(recipe, experiment, rates, folder, stop, previous)


def _report_device() -> str:
    """Log the device and a GPU that is there and not used; return the device."""
    devices = find_devices()
    device = devices.describe()
    log.info("device     %s", printable(device))
    unused = unused_gpu_note(devices)
    if unused:
        log.warning("note       %s", printable(unused))
    return device
