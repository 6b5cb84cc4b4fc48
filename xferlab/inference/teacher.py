"""A teacher's outputs for the training examples: of an earlier run, or from a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import OutputKind, TaskSpec, TextData
from xferlab.errors import ConfigError
from xferlab.inference.load import load_run
from xferlab.inference.run import Run
from xferlab.inference.warm_start import identity_of
from xferlab.io.atomic import digest_of

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
WHERE = "objective.teacher"


def identity_of_teacher(teacher: str) -> str:
    """Return the SHA-256 of a teacher's weights or file, which identifies it in any folder."""
    path = Path(teacher).expanduser()
    if path.is_dir():
        return identity_of(teacher)
    return digest_of([path]) if path.is_file() else teacher


def content_of_teacher(teacher: str) -> dict[str, str]:
    """Return the digest of each file of a teacher that its outputs depend on."""
    path = Path(teacher).expanduser()
    if not path.is_dir():
        return {"teacher": digest_of([path])}
    run = _run(teacher)
    files = {f"teacher: {name}": run.folder / "model" / name for name in run.record["model"]}
    files["teacher: weights"] = run.content.weights
    return {name: digest_of([file]) for name, file in files.items()}


def check_teacher(teacher: str) -> None:
    """Raise ConfigError unless a teacher is a finished run or a file of outputs."""
    path = Path(teacher).expanduser()
    if path.is_dir():
        _run(teacher)
    elif path.suffix != ".npy" or not path.is_file():
        what = "is not there" if not path.exists() else "is neither a run's folder nor a .npy file"
        raise ConfigError(
            f"the teacher {teacher} {what}",
            where=WHERE,
            fix="name the folder of a finished run, or a .npy file of outputs, a row an example",
        )


def teacher_outputs(teacher: str, data: TextData, spec: TaskSpec) -> np.ndarray:
    """Return a teacher's outputs for the training examples, float32 (examples, num_outputs).

    They mean what the outputs of the network mean, in the order of its classes.

    Raises:
        ConfigError: the run is of another task, or the file has another shape.
    """
    import numpy as np

    if not Path(teacher).expanduser().is_dir():
        return _from_file(Path(teacher).expanduser(), len(data.train), spec)
    run = _run(teacher)
    _refuse_other_task(run, spec)
    log.info("teacher    computes its outputs for %d examples", len(data.train))
    outputs = np.asarray(run.outputs(data.train.texts, data.train.pairs), "float32")
    names = run.spec.class_names
    order = [names.index(name) for name in spec.class_names]
    return outputs[:, order] if order else outputs


def _from_file(path: Path, examples: int, spec: TaskSpec) -> np.ndarray:
    import numpy as np

    try:
        outputs: Any = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as e:
        raise ConfigError(f"{path.name} cannot be read: {e}", where=WHERE, fix="np.save") from e
    wanted = (examples, spec.num_outputs)
    if outputs.shape != wanted or outputs.dtype.kind != "f" or not np.isfinite(outputs).all():
        raise ConfigError(
            f"{path.name} has {outputs.dtype} {outputs.shape}; needed are finite float {wanted}",
            where=WHERE,
            fix=f"give {spec.output_kind.value} of the training examples in their order",
        )
    return outputs.astype("float32")


def _refuse_other_task(run: Run, spec: TaskSpec) -> None:
    teacher = run.spec
    is_same = teacher.task == spec.task and sorted(teacher.class_names) == sorted(spec.class_names)
    if is_same and teacher.output_kind == spec.output_kind:
        return
    kinds = [_describe(each) for each in (teacher, spec)]
    raise ConfigError(
        f"the teacher gives {kinds[0]}, and the network gives {kinds[1]}",
        where=WHERE,
        fix="name a run of the same classes, with a model of the same kind of outputs",
    )


def _describe(spec: TaskSpec) -> str:
    kind = spec.output_kind if isinstance(spec.output_kind, OutputKind) else None
    names = ", ".join(spec.class_names[:8]) or "a number"
    return f"{kind.value if kind else 'outputs'} of {names} ({spec.task.name})"


def _run(teacher: str) -> Run:
    try:
        return load_run(Path(teacher).expanduser())
    except ConfigError as e:
        raise ConfigError(e.what, where=f"{WHERE}={teacher} ({e.where})", fix=e.fix) from e
