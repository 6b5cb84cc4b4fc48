"""A new sweep engine is one file: settings, preset, allow-list and jobs; no other file changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import stub_job
from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.main import main
from xferlab.config import allowlist
from xferlab.config.schema import SweepConfig
from xferlab.runs.metadata import read_status
from xferlab.sweeps.engines import Engine, EngineSettings, registry

# --- the whole engine ----------------------------------------------------------------------------

WORKER = (stub_job.__file__, "job")  # a job that trains nothing; engines.base.WORKER trains


@dataclass(frozen=True)
class QueueSettings(EngineSettings):
    """Jobs wait as tickets in a folder, and run as processes.

    Attributes:
        at_once: processes at a time.
        queue: name of the folder inside the sweep's.
    """

    at_once: int = 1
    queue: str = "queue"

    name = "queue"
    launcher = "QueueLauncher"
    minimums = {"at_once": 1}
    in_files = {"queue": r"\w+"}

    def start(self, sweep: SweepConfig, folder: Path) -> Engine:
        return QueueEngine(self, folder / self.queue)


class QueueEngine:
    capacity = None
    delay = 0.0

    def __init__(self, settings: QueueSettings, queue: Path) -> None:
        queue.mkdir(parents=True, exist_ok=True)
        self._queue = queue
        self._at_once = settings.at_once
        self._running: dict[Path, subprocess.Popen] = {}

    def adopt(self, folders: Sequence[Path]) -> list[Path]:
        return []

    def submit(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            (self._queue / folder.name).write_text(str(folder))

    def released(self) -> dict[Path, str]:
        ended = {
            f: f"code {p.returncode}" for f, p in self._running.items() if p.poll() is not None
        }
        for folder in ended:
            del self._running[folder]
        for ticket in sorted(self._queue.iterdir())[: self._at_once - len(self._running)]:
            folder = Path(ticket.read_text())
            ticket.unlink()
            self._running[folder] = subprocess.Popen([sys.executable, *WORKER, str(folder)])
        return ended

    def cancel(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            (self._queue / folder.name).unlink(missing_ok=True)
            if folder in self._running:
                self._running[folder].terminate()


# --- what it is tested with ----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry.ENGINES, "_members", dict(registry.ENGINES))
    monkeypatch.setattr(allowlist, "_ENGINE_KEYS", dict(allowlist._ENGINE_KEYS))
    monkeypatch.setattr("xferlab.sweeps.remote_jobs.POLL_SECONDS", 0.05)
    registry.register(QueueSettings)
    with isolated_plugins():
        yield


def statuses() -> list[str]:
    jobs = Path("outputs").glob("sweeps/*/*/job.json")
    return sorted(read_status(job.parent)["status"] for job in jobs)


def test_a_made_up_engine_runs_a_sweep(capsys):
    assert main(["-m", "seed=1,2", "hydra/launcher=queue", "hydra.launcher.at_once=2"]) == 0
    assert statuses() == ["finished", "finished"]
    assert list(Path("outputs").glob("sweeps/*/queue/*")) == []
    assert main(["-m", "seed=1,2,3", "hydra/launcher=queue"]) == 0
    assert statuses() == ["finished"] * 3
    assert "2 finished, 1 to run" in capsys.readouterr().err


def test_a_job_that_its_process_loses_has_failed(capsys):
    assert main(["-m", f"seed=1,{stub_job.DIES}", "hydra/launcher=queue"]) == 1
    assert statuses() == ["failed", "finished"]
    assert "the job was lost: code -9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("at_once: 0", "at_once must be at least 1, got 0"),
        ("queue: ../elsewhere", "hydra.launcher.queue may not be '../elsewhere'"),
        ("shell: rm", "a config cannot set hydra.launcher.shell"),
    ],
)
def test_its_fields_are_what_a_file_may_set(line, what, capsys):
    Path("conf/hydra/launcher").mkdir(parents=True)
    Path("conf/hydra/launcher/mine.yaml").write_text(f"defaults: [queue]\n{line}\n")
    assert main(["check", "-m", "seed=1,2", "hydra/launcher=mine"]) == 2
    assert what in capsys.readouterr().err
