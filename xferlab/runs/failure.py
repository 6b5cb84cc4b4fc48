"""Failures are logged and recorded, whatever their message: invalid, huge or empty."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from pathlib import Path

from xferlab.errors import XferlabError, encodable, text_of, what_of
from xferlab.runs.metadata import write_error, write_status

REPORTED = "_xferlab_reported"
log = logging.getLogger("xferlab")


def write_failure(folder: Path, error: BaseException, status: str) -> None:
    """Keep a failure beside the run, if there is still a folder and room in it.

    Args:
        folder: the run's.
        error: what ended it.
        status: how the run stands now: ``failed`` or ``nan``.
    """
    if not (folder / "status.json").exists():
        return
    what = what_of(error).partition("\n")[0]
    for write in (
        lambda: write_status(folder, status, error=what or type(error).__name__),
        lambda: write_error(folder, error),
    ):
        try:
            write()
        except Exception as e:  # noqa: BLE001 - the failure itself is what has to be reported
            log.error("the failure could not be written down: %s", text_of(e) or type(e).__name__)


def report_failure(error: BaseException) -> None:
    """Log a failure once: three lines, or its message and traceback."""
    if getattr(error, REPORTED, False):
        return
    with suppress(Exception):  # a class may refuse attributes
        setattr(error, REPORTED, True)
    if isinstance(error, XferlabError):
        log.error("%s", error)
        return
    try:
        text = "".join(traceback.format_exception(error)).rstrip()
    except Exception:  # noqa: BLE001 - an exception whose message fails
        text = type(error).__name__
    log.error(encodable(f"{text_of(error)}\n{text}"))
