"""Weights & Biases."""

from __future__ import annotations

import netrc
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlparse

from xferlab import Callback, Point, Run, Tracker, TrackerSettings, register


@register("callback", "wandb")
@dataclass(frozen=True)
class Wandb(TrackerSettings):
    """Settings, curves, final scores and files of the run for Weights & Biases.

    The server and the key are those of ``wandb login`` or of wandb's environment variables. Without
    a key the run is written to wandb's own folder here, for ``wandb sync``. The jobs of a sweep are
    one group. A resumed run continues its run there.

    Attributes:
        every: optimizer steps between two points of the curve of the loss.
        files: whether the files of the run's folder are stored as an artifact at the end.
        weights: whether its weights are among them.
        project: name of the project.
        mode: ``online`` or ``offline``; null is ``WANDB_MODE``, or online where there is a key.
    """

    package: ClassVar[str] = "wandb"

    project: str = "xferlab"
    mode: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("online", "offline", None):
            raise ValueError(f"mode must be online, offline or null, got {self.mode!r}")

    def build(self, run: Run) -> Callback:
        """Return what sends the run to Weights & Biases."""
        return _Tracker(run, self)


class _Tracker(Tracker):
    def __init__(self, run: Run, settings: Wandb) -> None:
        super().__init__(run, settings)
        self._chosen = settings

    def open(self, known: str | None) -> str:
        import wandb

        run = self.run
        self._live = wandb.init(
            project=self._chosen.project,
            id=known or uuid.uuid4().hex[:12],
            resume="allow",
            name=run.name,
            group=run.sweep.name if run.sweep else None,
            config=dict(run.settings),
            mode=self._chosen.mode or _usual_mode(),
            settings=wandb.Settings(console="off", init_timeout=20, silent=True),
        )
        self._live.define_metric("step")
        self._live.define_metric("*", step_metric="step")
        return str(self._live.id)

    def send(self, points: list[Point]) -> None:
        for step, values in points:
            self._live.log({"step": step, **values})

    def close(
        self, status: str, scores: Mapping[str, float], files: Sequence[tuple[Path, str]]
    ) -> None:
        import wandb

        self._live.summary.update({**scores, "status": status})
        if files:
            artifact = wandb.Artifact(f"run-{self._live.id}", type="run")
            for path, inner in files:
                artifact.add_file(str(path), inner)
            self._live.log_artifact(artifact)
        self._live.finish(exit_code=0 if status in ("finished", "pruned") else 1)


def _usual_mode() -> str:
    """Return ``online`` where there is a key, so that wandb does not ask for one."""
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        has_login = netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        has_login = False
    return "online" if os.environ.get("WANDB_API_KEY") or has_login else "offline"
