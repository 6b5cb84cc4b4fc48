"""Errors of the system around a run, in three lines: disk, folder, memory."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator

from xferlab.errors import RunError, text_of

GO_ON = "then the same command with --recover resumes the run"
DISK = {
    errno.ENOSPC: ("the disk is full", f"make room, {GO_ON}"),
    errno.EDQUOT: ("the disk quota is used up", f"make room, {GO_ON}"),
    errno.EFBIG: ("a file may not grow that large here", f"raise the limit, {GO_ON}"),
    errno.EROFS: ("the folder can only be read", "choose another one: hydra.run.dir=FOLDER"),
    errno.EACCES: ("permission denied", "choose another folder: hydra.run.dir=FOLDER"),
    errno.EPERM: ("permission denied", "choose another folder: hydra.run.dir=FOLDER"),
    errno.ENOENT: ("a file or folder of the run has vanished", "start the run again"),
    errno.EISDIR: ("there is a folder where a file is to be", "rename the folder"),
    errno.ENOTDIR: ("there is a file where a folder is to be", "rename the file"),
    errno.EEXIST: ("there is a file where a folder is to be", "rename the file"),
    errno.ENOTEMPTY: ("there is a folder where a file is to be", "rename the folder"),
    errno.ENAMETOOLONG: ("this name is longer than the file system allows", "use a shorter one"),
    errno.ELOOP: ("a link leads back to itself", "take the link out"),
    errno.EMFILE: ("too many files are open", "raise the limit: ulimit -n 4096"),
    errno.EIO: ("the disk cannot be read or written", f"check the disk, {GO_ON}"),
}


def as_run_error(error: BaseException, batch: tuple[int, int] | None = None) -> RunError | None:
    """Return what a person should read instead of ``error``, or None for an unknown one.

    TensorFlow's errors are recognised by name and message, so that it need not be imported.

    Args:
        error: any.
        batch: ``train.batch_size`` and ``train.gradient_accumulation_steps`` of the run, if known.
    """
    if isinstance(error, RunError):
        return error
    if isinstance(error, OSError) and error.errno in DISK:
        what, fix = DISK[error.errno]
        where = str(error.filename2 or error.filename or "the run's folder")
        return RunError(what, where=where if len(where) <= 200 else f"{where[:200]}...", fix=fix)
    if isinstance(error, SystemExit):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return RunError(
            f"sys.exit({error.code!r}) was called within the run",
            where=f"{last.filename}:{last.lineno}",
            fix="raise an error there, or return",
        )
    text = text_of(error)
    if "No space left on device" in text:
        what, fix = DISK[errno.ENOSPC]
        return RunError(what, where="the run's folder", fix=fix)
    if is_out_of_memory(error):
        return RunError(
            f"out of memory: {_allocation_of(text)}",
            where="train.batch_size",
            fix=f"{_half_of(batch)}a smaller data.max_length or model also helps",
        )
    return None


def _half_of(batch: tuple[int, int] | None) -> str:
    """Return the settings of the same optimizer steps in half the memory, "" for one example."""
    if batch is None:
        return "half of train.batch_size, with twice the train.gradient_accumulation_steps; "
    size, steps = batch
    if size < 2:
        return ""
    half = f"train.batch_size={size // 2} train.gradient_accumulation_steps={2 * steps}"
    return f"{half} takes half; "


def _allocation_of(text: str) -> str:
    """Return the line about the tensor that there was no memory for, or else the first one."""
    lines = text.splitlines() or [""]
    tensors = [line.partition(" on /job:")[0] for line in lines if line.startswith("OOM when ")]
    return (tensors or lines)[0] or "no more to be had"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or one of its causes, is out of memory."""
    return allocator_failed(error) or any(isinstance(e, MemoryError) for e in _chain(error))


def allocator_failed(error: BaseException) -> bool:
    """Return whether TensorFlow's allocator had no room for a tensor, on a GPU or here.

    Then the process is sound and smaller tensors can be tried; after a ``MemoryError`` it is not.
    """
    return any(type(e).__name__ == "ResourceExhaustedError" for e in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it came from; an error may be its own cause."""
    seen: list[BaseException] = []
    while error is not None and not any(error is other for other in seen):
        seen.append(error)
        yield error
        error = error.__cause__
