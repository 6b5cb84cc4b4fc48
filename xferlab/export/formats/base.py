"""What an export format is, and the formats that a run can be exported to, by ``--to NAME``."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.export.serving_function import Predictor

if TYPE_CHECKING:
    from xferlab.inference.run import Run


class Format(ABC):
    """A format of other software.

    Attributes:
        name: on the command line.
        summary: what it is, one line.
        modules: Python modules that :meth:`write` and :meth:`read` import beyond xferlab's own
            needs; the extra ``xferlab[NAME]`` installs them.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    modules: ClassVar[tuple[str, ...]] = ()

    def refuse(self, run: Run) -> None:  # noqa: B027 - most formats hold every run
        """Raise ConfigError for a run that the format cannot hold; called before anything slow."""

    @abstractmethod
    def write(self, run: Run, folder: Path) -> None:
        """Write the run's network into an empty folder, without the tokenizer."""

    @abstractmethod
    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the written files compute, by the format's own reader."""


F = TypeVar("F", bound=type[Format])
_FORMATS: dict[str, Format] = {}


def register(kind: F) -> F:
    """Add a format; used as a decorator.

    Raises:
        ValueError: another class has its name.
    """
    taken = _FORMATS.setdefault(kind.name, kind())
    if type(taken) is not kind:
        raise ValueError(f"--to {kind.name} is {type(taken).__name__}'s already")
    return kind


def formats() -> Mapping[str, Format]:
    """Return every format by name, those of this folder included."""
    _import_folder()
    return dict(sorted(_FORMATS.items()))


def refuse_missing_modules(chosen: Format) -> None:
    """Raise ConfigError if a package that a format needs is not installed."""
    missing = [name for name in chosen.modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--to {chosen.name} needs {', '.join(missing)}, which is not installed",
            where=f"--to {chosen.name}",
            fix=f"pip install 'xferlab[{chosen.name}]'",
        )


@cache
def _import_folder() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
