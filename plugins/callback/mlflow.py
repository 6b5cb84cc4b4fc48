"""MLflow."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from xferlab import (
    Callback,
    Point,
    Run,
    Tracker,
    TrackerSettings,
    register,
    shared_id,
    tracker_parts,
)

MOST_PARAMETERS = 100  # that MLflow takes in a request
MOST_METRICS = 1000
CURVES = ("batch_loss", "epoch")  # one of them is in each point: of a step, of an epoch
LONGEST_VALUE = 6000  # characters of a parameter
STATUS = {"finished": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


@register("callback", "mlflow")
@dataclass(frozen=True)
class MLflow(TrackerSettings):
    """Settings, curves, final scores and files of the run for MLflow.

    The server is that of the environment variable ``MLFLOW_TRACKING_URI``, or MLflow's own default.
    The jobs of a sweep are below one parent run. A resumed run continues its run there.

    Attributes:
        every: optimizer steps between two points of the curve of the loss.
        files: whether the files of the run's folder are stored at the end.
        weights: whether its weights are among them.
        experiment: name of the experiment; it is created if need be.
    """

    package: ClassVar[str] = "mlflow"

    experiment: str = "xferlab"

    def build(self, run: Run) -> Callback:
        """Return what sends the run to MLflow."""
        return _Tracker(run, self)


class _Tracker(Tracker):
    def __init__(self, run: Run, settings: MLflow) -> None:
        super().__init__(run, settings)
        self._experiment = settings.experiment
        self._last: dict[str, int] = {}

    def open(self, known: str | None) -> str:
        # MLflow's own default repeats a failed request for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = client = MlflowClient()
        if known is not None:
            client.update_run(known, status="RUNNING")
            for name in CURVES:
                history = client.get_metric_history(known, name)
                self._last[name] = max((point.step for point in history), default=0)
            self._id = known
            return known
        self._id = self._create_run(self._experiment_id())
        settings = [Param(name, str(v)[:LONGEST_VALUE]) for name, v in self.run.settings.items()]
        for part in tracker_parts(settings, MOST_PARAMETERS):
            client.log_batch(self._id, params=part)
        return self._id

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self._experiment
        with suppress(MlflowException):  # it exists, perhaps since a moment ago
            return str(self._client.create_experiment(name))
        return str(self._client.get_experiment_by_name(name).experiment_id)

    def _create_run(self, experiment: str) -> str:
        run = self.run
        tags = {"xferlab.run_id": run.run_id, "xferlab.folder": str(run.folder)}
        if run.sweep is not None:
            create = partial(self._create_parent, experiment, run.sweep.name)
            tags["mlflow.parentRunId"] = shared_id(run.sweep / "mlflow.json", create)
        return str(self._client.create_run(experiment, tags=tags, run_name=run.name).info.run_id)

    def _create_parent(self, experiment: str, name: str) -> str:
        parent: str = self._client.create_run(experiment, run_name=name).info.run_id
        self._client.set_terminated(parent)
        return parent

    def send(self, points: list[Point]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, step)
            for step, values in points
            if all(step > self._last.get(name, 0) for name in values)  # others were sent before
            for name, value in values.items()
        ]
        for part in tracker_parts(metrics, MOST_METRICS):
            self._client.log_batch(self._id, metrics=part)

    def close(
        self, status: str, scores: Mapping[str, float], files: Sequence[tuple[Path, str]]
    ) -> None:
        for name, value in scores.items():
            self._client.log_metric(self._id, name, value)
        for path, inner in files:
            self._client.log_artifact(self._id, str(path), inner.rpartition("/")[0] or None)
        self._client.set_terminated(self._id, STATUS[status])
