"""What an export format is, and the formats that a run can be exported to, by ``--to NAME``."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.export.serving_function import Predictor
from xferlab.member_registry import MemberRegistry

if TYPE_CHECKING:
    from xferlab.inference.run import Run


class Format(ABC):
    """A format of other software.

    Attributes:
        name: on the command line.
        summary: what it is, one line.
        modules: Python modules that :meth:`write` and :meth:`read` import beyond xferlab's own
            needs.
        extra: the extra of xferlab that installs them, if it is not named as the format.
        is_graph: whether it writes the graph of ``serving_function``, which applies the run's
            postprocess and may be of several networks. Otherwise weights are written; they have a
            temperature in them, but no other postprocess, whose ``postprocess.json`` is beside.
        is_rounded: whether weights are rounded, so that outputs are not the run's: then what that
            changes is measured (``export.rounding``), not refused.
        reads_texts: whether what is read back takes ``text`` and ``text_pair``, strings (batch,),
            instead of a tokenizer's arrays, and returns the ``input_ids`` that it made of them.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    modules: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    is_graph: ClassVar[bool] = False
    is_rounded: ClassVar[bool] = False
    reads_texts: ClassVar[bool] = False

    def refuse(self, run: Run) -> None:  # noqa: B027 - most formats hold every run
        """Raise ConfigError for a run that the format cannot hold; called before anything slow."""

    @abstractmethod
    def write(self, run: Run, folder: Path) -> None:
        """Write the run's network into an empty folder, without the tokenizer."""

    @abstractmethod
    def read(self, folder: Path, spec: TaskSpec) -> Predictor:
        """Return what the written files compute, by the format's own reader."""


F = TypeVar("F", bound=type[Format])
FORMATS = MemberRegistry[Format]("--to ", __package__)


def register(kind: F) -> F:
    """Class decorator that adds a format.

    Raises:
        ValueError: another class has its name.
    """
    FORMATS.add(kind.name, kind())
    return kind


def refuse_missing_modules(chosen: Format) -> None:
    """Raise ConfigError if a package that a format needs is not installed."""
    missing = [name for name in chosen.modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--to {chosen.name} needs {', '.join(missing)}, which is not installed",
            where=f"--to {chosen.name}",
            fix=f"pip install 'xferlab[{chosen.extra or chosen.name}]'",
        )
