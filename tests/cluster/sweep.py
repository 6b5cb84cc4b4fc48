"""``python -m xferlab -m WORDS`` with stand-in jobs, on whatever ``hydra/launcher`` names.

The launcher, its engine and the command line are the real ones; a job trains nothing but behaves as
one: it holds its lock, is heard of, and ends when its standard input closes.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support import stub_job
from xferlab.cli.main import main
from xferlab.runs.heartbeat import beating
from xferlab.runs.lock import locked
from xferlab.sweeps import worker
from xferlab.sweeps.engines import ray, submitit_local, submitit_slurm

if __name__ == "__main__":
    if sys.argv[1] == "--job":
        folder = Path(sys.argv[2])
        threading.Thread(target=worker._stop_when_input_closes, daemon=True).start()
        with locked(folder), beating(folder):
            stub_job.job(folder)
    else:
        for engine in (ray, submitit_local, submitit_slurm):
            engine.WORKER = (str(Path(__file__).resolve()), "--job")
        sys.exit(main(["-m", *sys.argv[1:]]))
