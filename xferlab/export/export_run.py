"""Exports a run: writes to a temporary folder, reads back, compares, and renames the folder."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import platform
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from xferlab.backend.process import quiet_stderr
from xferlab.data.tokenizer import HubTokenizer
from xferlab.errors import ConfigError
from xferlab.export.folded_head import factor_of, folded_head
from xferlab.export.formats import FORMATS, Format, refuse_missing_modules
from xferlab.export.model_card import append_section
from xferlab.export.output_folder import RECORD, refuse_taken, write_plain
from xferlab.export.parity import (
    Comparison,
    compare,
    generated_texts,
    read_texts,
    with_random_characters,
)
from xferlab.export.rounding import TOLERANCE, Examples, Rounding, examples_to_compare, measure
from xferlab.export.tokenizer import write_tokenizer
from xferlab.inference.ensemble import Ensemble
from xferlab.inference.run import Run
from xferlab.io.folders import atomic_folder
from xferlab.models.prompts import prompts_of
from xferlab.postprocessing.record import FILE as POSTPROCESS

VERSION = 1
"""Of ``export.json``."""


def export_run(
    run: Run,
    name: str,
    folder: Path,
    *,
    texts: Path | None = None,
    force: bool = False,
    tolerance: float | None = None,
) -> Comparison | Rounding:
    """Write a run in a format and return how far its outputs are from the run's own.

    Args:
        run: a finished run.
        name: of a format.
        folder: of the export; it must not exist, or be an earlier export with ``force``.
        texts: a file with one text on each line to compare on; None generates texts, or takes the
            run's validation split where weights are rounded.
        force: replace an earlier export.
        tolerance: fraction of decisions that rounded weights may change; None for
            :data:`xferlab.export.rounding.TOLERANCE`.

    Raises:
        ConfigError: the format cannot hold this run, a package is missing, or the folder is taken.
        RunError: the export's outputs differ from the run's; then nothing is kept.
    """
    chosen = FORMATS[name]
    refuse_missing_modules(chosen)
    formats = run.spec.task.export_formats
    if formats is not None and name not in formats:
        fix = f"train model=from_run model.run={run.folder} on labels, and export that run"
        raise ConfigError(
            f"a run of {run.spec.task.name} is not exported to {name}",
            where=f"{run.folder}: data.task",
            fix=f"--to {' or '.join(formats)}" if formats else fix,
        )
    refuse_taken(folder, force=force)
    _refuse_ensemble(run, name)
    chosen.refuse(run)
    examples = _examples(run, texts, chosen)
    exact = in_full_precision(run)
    comparison: Any
    with atomic_folder(folder) as new:
        head = nullcontext() if chosen.is_graph else folded_head(exact)
        with quiet_stderr(), head:  # converters print a lot; the output of a failure is shown
            chosen.write(exact, new)
        size, exact_bytes = _sizes(exact, new)
        write_tokenizer(exact.model, run.spec, new)
        if chosen.is_rounded:
            limit = TOLERANCE if tolerance is None else tolerance
            comparison = _measured(run, name, new, examples, limit)
            comparison = dataclasses.replace(comparison, size=size, exact_bytes=exact_bytes)
            append_section(new, comparison.card())
        else:
            comparison = _compared(run, name, new, examples)
        if run.postprocessor is not None:
            shutil.copyfile(run.folder / POSTPROCESS, new / POSTPROCESS)
        write_plain(new, RECORD, _record(run, name, comparison))
    return comparison


def _examples(run: Run, texts: Path | None, chosen: Format) -> Examples:
    if chosen.is_rounded:
        return examples_to_compare(run, texts)
    if texts is not None:
        return Examples(read_texts(texts, run.spec), f"texts of {texts.name}")
    source = f"generated texts of {run.spec.max_length} tokens or less"
    rows = generated_texts(run)
    tokenizer = run.model.tokenizer
    if chosen.reads_texts and isinstance(tokenizer, HubTokenizer):
        rows = with_random_characters(rows, tokenizer)
        source += " and texts of random characters"
    return Examples(rows, source)


def _read_back(run: Run, name: str, folder: Path) -> tuple[Any, Any]:
    """Return what the files compute, and the postprocess that is in them."""
    with quiet_stderr():
        predict = FORMATS[name].read(folder, run.spec)
    return predict, run.postprocessor if applies_postprocess(run, name) else None


def _compared(run: Run, name: str, folder: Path, examples: Examples) -> Comparison:
    predict, applied = _read_back(run, name, folder)
    given = (examples.rows, examples.source, applied)
    return compare(run, predict, folder, *given, reads_texts=FORMATS[name].reads_texts)


def _measured(run: Run, name: str, folder: Path, examples: Examples, tolerance: float) -> Rounding:
    predict, applied = _read_back(run, name, folder)
    return measure(run, predict, folder, examples, applied, tolerance)


def _sizes(run: Run, folder: Path) -> tuple[int, int]:
    """Return the bytes of what was written, and of the network's weights in float32."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "README.md"]
    numbers = sum(math.prod(weight.shape) for weight in run.model.network.weights)
    return sum(path.stat().st_size for path in files), 4 * numbers


def is_export_of(run: Run, name: str, folder: Path) -> bool:
    """Return whether a folder holds the export of this run's weights in a format."""
    path = folder / RECORD
    if not path.is_file():
        return False
    record = json.loads(path.read_text(encoding="utf-8"))
    keys = ("format", "run_id", "weights_sha256")
    wanted = (name, run.record.get("run_id"), run.content.digest)
    return isinstance(record, dict) and tuple(map(record.get, keys)) == wanted


def in_full_precision(run: Run) -> Run:
    """Return the run with its network in float32: other software lacks Keras's mixed precision.

    The weights are float32 in both, so nothing is rounded.
    """
    if isinstance(run, Ensemble):
        return dataclasses.replace(run, members=tuple(map(in_full_precision, run.members)))
    train = run.config.get("train")
    if not isinstance(train, dict) or train.get("precision", "float32") == "float32":
        return run
    config = {**run.config, "train": {**train, "precision": "float32"}}
    return Run(dataclasses.replace(run.content, config=config))


def _refuse_ensemble(run: Run, name: str) -> None:
    """Raise ConfigError for a format of one network where a run is of several."""
    if isinstance(run, Ensemble) and not FORMATS[name].is_graph:
        graphs = "|".join(other for other, each in FORMATS.items() if each.is_graph)
        raise ConfigError(
            f"{name} holds one network, and this run is of {len(run.members)}",
            where=str(run.folder),
            fix=f"--to {graphs}, or combine the runs with --how soup, which is one network",
        )


def applies_postprocess(run: Run, name: str) -> bool:
    """Return whether what a format computes is after the run's postprocess."""
    return FORMATS[name].is_graph or factor_of(run) is not None


def postprocess_note(run: Run, name: str) -> str:
    """Return whether a format applies the run's postprocess; "" for a run without one."""
    if run.postprocessor is None:
        return ""
    described = run.postprocessor.describe()
    if applies_postprocess(run, name):
        return f"its outputs are those after the postprocess ({described})"
    return (
        f"--to {name} does not apply the run's postprocess ({described}): its outputs are the"
        f" network's own, and {POSTPROCESS} beside them has the numbers"
    )


def _postprocess_record(run: Run, name: str) -> dict[str, Any]:
    if run.postprocessor is None:
        return {}
    return {"applies_postprocess": applies_postprocess(run, name)}


def _record(run: Run, name: str, comparison: Comparison | Rounding) -> dict[str, Any]:
    packages = ["xferlab", "tensorflow", "keras", "transformers", "numpy"]
    packages += FORMATS[name].modules
    spec = run.spec
    return {
        "version": VERSION,
        "format": name,
        "run_id": run.record.get("run_id"),
        "weights_sha256": run.content.digest,
        "task": spec.task.name,
        "class_names": list(spec.class_names),
        "max_length": spec.max_length,
        **({} if spec.windows is None else {"windows": spec.windows}),
        "pairs": spec.has_pairs,
        "prompts": dataclasses.asdict(prompts_of(run.model.tokenizer)),
        **_postprocess_record(run, name),
        "compared": comparison.record(),
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in packages},
        },
    }
