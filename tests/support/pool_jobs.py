"""Planned jobs for a pool, and an observer that records what the pool reports."""

from __future__ import annotations

from pathlib import Path

from xferlab.sweeps.manifest import write_manifest
from xferlab.sweeps.planner import plan_sweep


class Seen:
    """Records which jobs started, how they ended, and how many ran at once."""

    def __init__(self):
        self.starts = []
        self.ends = {}
        self.most = 0

    def started(self, folder):
        self.starts.append(folder.name)

    def ended(self, folder, state, seconds):
        self.ends[folder.name] = state.status

    def waiting(self, folder, state):
        self.ends[folder.name] = "waited for"

    def refresh(self, running):
        self.most = max(self.most, len(running))


def jobs_of(*overrides):
    """Plan a sweep in ``sweep`` below the working directory; return the folders of its jobs."""
    plan = plan_sweep(overrides)
    write_manifest(plan, Path("sweep"), [])
    return [Path("sweep") / job.run_id for job in plan.jobs]
