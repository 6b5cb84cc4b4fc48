"""The log of a run that Hydra does not start."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xferlab.escaping import guard_logs


@contextmanager
def logging_to(path: Path, *, echo: bool) -> Iterator[None]:
    """Write the log of the body with times to ``path``.

    Args:
        path: of the file, which is appended to.
        echo: write it to standard error too, without times.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    timed = logging.FileHandler(path, encoding="utf-8")
    timed.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handlers: list[logging.Handler] = [timed]
    if echo:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    guard_logs()
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
