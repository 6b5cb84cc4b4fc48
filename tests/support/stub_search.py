"""A search with jobs of no length: ``python stub_search.py WORDS``."""

from __future__ import annotations

import sys
from pathlib import Path

JOB = Path(__file__).with_name("search_job.py")


def command(folder: Path) -> list[str]:
    """Return the command of a stand-in job."""
    return [sys.executable, "-I", "-S", str(JOB), str(folder)]


def search(words: list[str], workers: int = 1) -> int:
    """Run a search as the command line would, without Hydra's launcher."""
    from xferlab.cli.report import report_on
    from xferlab.cli.sweep import run_sweep
    from xferlab.config.compose import publish
    from xferlab.discovery import load_plugins
    from xferlab.sweep.console import console_for
    from xferlab.sweep.hydra_plugins import ManifestSweeper
    from xferlab.sweep.local_pool import Pool
    from xferlab.sweep.search.runner import run_here

    def launch(hydra_words: list[str]) -> None:
        found = ManifestSweeper.search
        with console_for([found.folder / "sweep.json"], workers, total=found.left) as watch:
            run_here(found, lambda each: Pool(command, [{}] * workers, each), workers, watch)

    load_plugins(Path.cwd())
    publish(Path.cwd())
    return run_sweep(words, launch, lambda folder: report_on([folder]))


if __name__ == "__main__":
    sys.exit(search(sys.argv[1:]))
