"""A training leaves the Python process that it ran in as it was."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from xferlab.backend.process import kept_generators, kept_settings


@contextmanager
def kept_process(command: Sequence[str]) -> Iterator[None]:
    """Restore after the body what a run sets for the whole process, and free its memory.

    That is logging, ``sys.argv``, the random generators of Python and NumPy, Keras's precision and
    TensorFlow's determinism. Hydra restores its own state.

    Args:
        command: the arguments of the command line that does the same, which the run records.
    """
    with ExitStack() as stack:
        for kept in (_kept_logging, kept_generators, kept_settings):
            stack.enter_context(kept())
        before = sys.argv
        sys.argv = [before[0] if before else "xferlab", *command]
        try:
            yield
        finally:
            sys.argv = before
            gc.collect()


@contextmanager
def _kept_logging() -> Iterator[None]:
    """Restore handlers and levels; close the handlers that came, such as a run's log file."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    level = root.level
    named = {name: logging.getLogger(name) for name in list(root.manager.loggerDict)}
    states = {
        name: (each.level, each.propagate, each.disabled, list(each.handlers))
        for name, each in named.items()
    }
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers = handlers
        root.setLevel(level)
        for name, (own_level, propagate, disabled, own_handlers) in states.items():
            logger = named[name]
            logger.setLevel(own_level)
            logger.propagate = propagate
            logger.disabled = disabled
            logger.handlers = own_handlers
