"""No average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Moment, register


@register("average", "none")
@dataclass(frozen=True)
class NONE:
    """The weights themselves: no second set of weights."""

    is_default: ClassVar[bool] = True

    def take(self, moment: Moment) -> None:
        return None
