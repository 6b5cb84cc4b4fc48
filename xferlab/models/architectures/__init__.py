"""One file an encoder family: its config keys, graph, tensor names, head and licences."""

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.registry import (
    FAMILIES,
    read_architecture,
    refuse_unknown_family,
    register,
)

__all__ = ["FAMILIES", "Architecture", "read_architecture", "refuse_unknown_family", "register"]
