"""An evaluation on disk: a folder of files, whole, and a run of its own in TensorBoard."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xferlab.evaluation.split_evaluation import Evaluation
from xferlab.io.atomic import TMP_PREFIX, atomic_write
from xferlab.runs.folder_access import own_place
from xferlab.training.backend import EventWriter, indented

FOLDER = "evaluations"


def keep(evaluation: Evaluation, run_folder: Path, record: Mapping[str, Any]) -> Path:
    """Write an evaluation below a run's folder, in place of an earlier one of that name.

    Every file is written aside first: a reader sees the old folder or the new one.

    Args:
        evaluation: what to write.
        run_folder: the run's.
        record: the content of ``metrics.json``.

    Returns:
        The evaluation's folder.
    """
    folder, board = places_of(run_folder, evaluation.name)
    figures = evaluation.figures(f"{run_folder.resolve().name}  {evaluation.name}")
    files: dict[str, str | bytes] = {**evaluation.files(record), **figures}
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=TMP_PREFIX, dir=folder.parent))
    try:
        aside.chmod(0o777 & ~_umask())
        for name, content in files.items():
            atomic_write(aside / name, content)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=TMP_PREFIX, dir=folder.parent))
            folder.rename(old / folder.name)
            aside.rename(folder)
            shutil.rmtree(old)
        else:
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _log(evaluation, board, figures)
    return folder


def places_of(run_folder: Path, name: str) -> tuple[Path, Path]:
    """Return where an evaluation is written, and where its TensorBoard log is.

    Raises:
        ConfigError: one of them is behind a link.
    """
    board = own_place(run_folder, "tensorboard", f"evaluation-{name}")
    return own_place(run_folder, FOLDER, name), board


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
