"""One export: written aside, read back, compared with the run, and only then put in its place."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from xferlab.export.formats import formats, refuse_missing_modules
from xferlab.export.output_folder import RECORD, atomic_folder, refuse_taken, write_plain
from xferlab.export.parity import Comparison, compare, made_up_texts, texts_of_file
from xferlab.export.tokenizer import write_tokenizer
from xferlab.inference.run import Run
from xferlab.training.backend import quiet_stderr

VERSION = 1
"""Of ``export.json``."""


def export_run(
    run: Run, name: str, folder: Path, *, texts: Path | None = None, force: bool = False
) -> Comparison:
    """Write a run in a format and return how far its answers are from the run's own.

    Args:
        run: a finished run.
        name: of a format.
        folder: where the export shall be; there is nothing yet, or an earlier export and ``force``.
        texts: a file with one text a line to compare on; None makes texts up from the vocabulary.
        force: replace an earlier export.

    Raises:
        ConfigError: the format cannot hold this run, a package is missing, or the folder is taken.
        RunError: the export's answers are not the run's; nothing is kept then.
    """
    chosen = formats()[name]
    refuse_missing_modules(chosen)
    refuse_taken(folder, force=force)
    chosen.refuse(run)
    rows = None if texts is None else texts_of_file(texts, run.spec)
    source = f"made-up texts of {run.spec.max_length} tokens or less"
    if texts is not None:
        source = f"texts of {texts.name}"
    rows = rows or made_up_texts(run)
    exact = in_full_precision(run)
    with atomic_folder(folder) as new:
        with quiet_stderr():  # converters talk a lot; what they say of a failure is shown
            chosen.write(exact, new)
        write_tokenizer(exact.model, run.spec, new)
        with quiet_stderr():
            answer = chosen.read(new, run.spec)
        comparison = compare(run, answer, new, rows, source)
        write_plain(new, RECORD, _record(run, name, comparison))
    return comparison


def in_full_precision(run: Run) -> Run:
    """Return the run with its network in float32; other software has no mixed precision of Keras's.

    The weights are float32 in either, so nothing is rounded.
    """
    train = run.config.get("train")
    if not isinstance(train, dict) or train.get("precision", "float32") == "float32":
        return run
    config = {**run.config, "train": {**train, "precision": "float32"}}
    return Run(dataclasses.replace(run.content, config=config))


def _record(run: Run, name: str, comparison: Comparison) -> dict[str, Any]:
    packages = ["xferlab", "tensorflow", "keras", "keras-hub", "transformers", "numpy"]
    packages += formats()[name].modules
    spec = run.spec
    return {
        "version": VERSION,
        "format": name,
        "run_id": run.record.get("run_id"),
        "weights_sha256": run.content.digest,
        "task": spec.task.name,
        "class_names": list(spec.class_names),
        "max_length": spec.max_length,
        "pairs": spec.has_pairs,
        "compared": comparison.record(),
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in packages},
        },
    }
