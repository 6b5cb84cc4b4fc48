"""Fixtures that many tests share."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import absl.logging
import pytest

from tests.support.finished_runs import rows, runs  # noqa: F401 - fixtures: several finished runs
from tests.support.plugin_isolation import isolated_plugins
from xferlab.discovery import load_plugins

# Hydra closes all log handlers when it sets its own up, and absl's closes what it writes to
# unless that is Python's own: pytest's capture would be closed in the midst of a test.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

if "SLIPCOVER_ENABLED" in os.environ:
    from slipcover.slipcover import Slipcover

    # It looks for functions in namespaces that other threads may change, and fails where they do.
    find_functions = Slipcover.find_functions
    Slipcover.find_functions = staticmethod(lambda items, seen: find_functions(list(items), seen))


@pytest.fixture(autouse=True, scope="module")
def only_built_in_plugins() -> Iterator[None]:
    """Let no file of tests see another's plugins."""
    load_plugins(Path("/nonexistent"))
    with isolated_plugins():
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the lines that the tests executed; those of subprocesses are not counted."""
    folder = os.environ.get("SLIPCOVER_COVERAGE_DIR")
    if folder is None:
        return
    found = json.loads(Path(folder, "merged.json").read_text())["summary"]
    shutil.rmtree(folder)
    lines = found["covered_lines"] + found["missing_lines"]
    terminalreporter.write_line(
        f"coverage: {found['percent_covered']:.1f} % of {lines:,} lines, subprocesses left out"
    )
