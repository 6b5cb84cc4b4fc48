"""Writes an evaluation: a folder of files, and a run of its own in TensorBoard."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xferlab.backend.event_files import EventWriter, indented
from xferlab.evaluation.split_evaluation import Evaluation
from xferlab.io.atomic import atomic_write
from xferlab.io.folders import atomic_folder
from xferlab.runs.folder_access import own_place

FOLDER = "evaluations"


def write_evaluation(evaluation: Evaluation, run_folder: Path, record: Mapping[str, Any]) -> Path:
    """Write an evaluation below a run's folder, in place of an earlier one of that name.

    A reader sees the old folder or the new one.

    Args:
        evaluation: what to write.
        run_folder: of the run.
        record: the content of ``metrics.json``.

    Returns:
        The evaluation's folder.
    """
    folder, board = places_of(run_folder, evaluation.name)
    figures = evaluation.figures(f"{run_folder.resolve().name}  {evaluation.name}")
    files: dict[str, str | bytes] = {**evaluation.files(record), **figures}
    with atomic_folder(folder) as new:
        for name, content in files.items():
            atomic_write(new / name, content)
    _log(evaluation, board, figures)
    return folder


def places_of(run_folder: Path, name: str) -> tuple[Path, Path]:
    """Return the folders of an evaluation and of its TensorBoard log.

    Raises:
        ConfigError: one of them is behind a link.
    """
    board = own_place(run_folder, "tensorboard", f"evaluation-{name}")
    return own_place(run_folder, FOLDER, name), board


def _log(evaluation: Evaluation, folder: Path, figures: Mapping[str, bytes]) -> None:
    """Write scores, figures, report and errors as a run of TensorBoard."""
    shutil.rmtree(folder, ignore_errors=True)
    writer = EventWriter(folder)
    for name, score in evaluation.scores.items():
        writer.scalar(name, score.value)
        if score.low is not None and score.high is not None:
            writer.scalar(f"{name}/low", score.low)
            writer.scalar(f"{name}/high", score.high)
    for name, png in figures.items():
        writer.image(name.partition(".")[0], png)
    if evaluation.report is not None:
        writer.text("report", indented(evaluation.report.text()))
    writer.text("errors", evaluation.errors.markdown())
    writer.close()
