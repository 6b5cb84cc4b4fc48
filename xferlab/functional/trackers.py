"""What the callbacks of tracking services share: curves, final scores, one run over all resumes."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from xferlab.callbacks import Callback, Epoch, Result, Run, Step
from xferlab.errors import ConfigError, text_of
from xferlab.io.atomic import write_json
from xferlab.io.records import read_record

log = logging.getLogger("xferlab")
MOST_POINTS = 500
"""Points of curves that are held back; a request for each step would cost more than the step."""
T = TypeVar("T")
Point = tuple[int, dict[str, float]]


@dataclass(frozen=True)
class TrackerSettings:
    """The fields of a tracking service's plugin.

    Attributes:
        every: optimizer steps between two points of the curve of the loss.
        files: whether the files of the run's folder are stored at the end.
        weights: whether its weights are among them.
    """

    package: ClassVar[str]

    every: int = 1
    files: bool = True
    weights: bool = False

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}")

    def check(self, logged: Collection[str]) -> None:
        """Raise ConfigError if the service's package is not installed; it is not imported."""
        if importlib.util.find_spec(self.package) is None:
            raise ConfigError(
                f"callback={self.package} needs the package {self.package}, which is not installed",
                where=f"callback.{self.package}",
                fix=f"pip install 'xferlab[{self.package}]'",
            )

    def identity(self) -> None:
        """Return None: a tracker is no part of what a run computes."""


class Tracker(Callback):
    """Sends what a run reports to a service, which knows it by one id over all resumes.

    A service that fails costs a line of the log and never the run. The id is in the run's folder.

    Args:
        run: the run.
        settings: the service's plugin.
    """

    transient: ClassVar[tuple[str, ...]] = ("_points", "_is_on", "_update", "_last", "_id")

    def __init__(self, run: Run, settings: TrackerSettings) -> None:
        self.run = run
        self._settings = settings
        self._name = settings.package
        self._every = settings.every
        self._points: list[Point] = []
        self._is_on = False
        self._update = 0

    @abstractmethod
    def open(self, known: str | None) -> str:
        """Begin a run of the service, or continue the one with a known id; return its id."""

    @abstractmethod
    def send(self, points: list[Point]) -> None:
        """Send points of curves: optimizer step and values by name."""

    @abstractmethod
    def close(
        self, status: str, scores: Mapping[str, float], files: Sequence[tuple[Path, str]]
    ) -> None:
        """End the run of the service.

        Args:
            status: ``finished``, ``pruned``, ``failed`` or ``interrupted``.
            scores: the final ones.
            files: to be stored, with their paths below the run's folder.
        """

    def on_begin(self, update: int) -> None:
        """Begin or continue the run of the service."""
        with self._surviving():
            path = self.run.folder / f"{self._name}.json"
            known = read_id(path)
            found = self.open(known)
            if found != known:
                write_json(path, {"id": found})
            self._is_on = True

    def on_step(self, step: Step) -> None:
        """Note the loss and the learning rate."""
        if self._is_on and step.update != self._update and step.update % self._every == 0:
            self._update = step.update
            rate = self.run.learning_rate(step.update)
            self._points.append((step.update, {"batch_loss": step.loss, "learning_rate": rate}))
            if len(self._points) >= MOST_POINTS:
                self._flush()

    def on_epoch(self, epoch: Epoch) -> None:
        """Send the scores, by the names that ``history.csv`` has."""
        values = dict(epoch.train)
        values |= {f"val_{name}": value for name, value in epoch.validation.items()}
        values["epoch"] = epoch.epoch
        self._points.append((epoch.update, values))
        self._flush()

    def on_checkpoint(self, folder: Path) -> None:
        """Send what a resumed run would not report again."""
        self._flush()

    def on_end(self, result: Result) -> None:
        """Send the final scores and the run's folder."""
        self._end(result.status, result.scores)

    def on_failure(self, error: BaseException) -> None:
        """Report how the run ended."""
        is_failure = isinstance(error, Exception)
        self._end("failed" if is_failure else "interrupted", {})

    def _end(self, status: str, scores: Mapping[str, float]) -> None:
        self._flush()
        if self._is_on:
            with self._surviving():
                is_stored = self._settings.files and bool(scores)
                self.close(status, scores, self._run_files() if is_stored else ())
        self._is_on = False

    def _flush(self) -> None:
        points = self._points
        self._points = []
        if points and self._is_on:
            with self._surviving():
                self.send(points)

    def _run_files(self) -> list[tuple[Path, str]]:
        """Return the files of the run's folder with their paths below it.

        Links, hidden files and unwanted weights are left out.
        """
        folder = self.run.folder
        skipped = "" if self._settings.weights else "checkpoints"
        return [
            (path, path.relative_to(folder).as_posix())
            for path in sorted(folder.rglob("*"))
            if path.is_file()
            and not path.is_symlink()
            and not path.name.startswith(".")
            and path.relative_to(folder).parts[0] != skipped
        ]

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Turn an exception into a line of the log; nothing more is sent then."""
        try:
            yield
        except Exception as e:  # noqa: BLE001 - a service may fail in any way; the run continues
            self._is_on = False
            why = (text_of(e).strip() or type(e).__name__).splitlines()[0][:200]
            log.warning("note       callback.%s sends nothing from here on: %s", self._name, why)


def read_id(path: Path) -> str | None:
    """Return the id in a file, or None if there is no such file."""
    if not path.exists():
        return None
    found: str = read_record(path, {"id": str})["id"]
    return found


def shared_id(path: Path, create: Callable[[], str]) -> str:
    """Return the id in a file that the jobs of a sweep share; the first of them creates it."""
    with (path.parent / f".{path.name}.lock").open("a") as lock:
        with suppress(OSError):  # a file system without locks: two jobs may create one each
            fcntl.flock(lock, fcntl.LOCK_EX)
        known = read_id(path)
        if known is None:
            known = create()
            write_json(path, {"id": known})
        return known


def parts(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield a sequence in parts, as many items in each as a request may have.

    >>> list(parts("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
