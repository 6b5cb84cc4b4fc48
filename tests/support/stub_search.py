"""A search with jobs of no length: ``python stub_search.py WORDS``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # as a command it has this folder alone

from tests.support import stub_job

JOB = Path(__file__).with_name("search_job.py")


def command(folder: Path) -> list[str]:
    """Return the command of a stand-in job."""
    return [sys.executable, "-I", "-S", str(JOB), str(folder)]


def search(overrides: list[str], workers: int = 1) -> int:
    """Run a search as the command line does, with jobs of no length as worker processes."""
    return stub_job.sweep(overrides, workers, command)


if __name__ == "__main__":
    sys.exit(search(sys.argv[1:]))
