"""One file an encoder family: its config keys, graph, tensor names and head."""

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.registry import (
    FAMILIES,
    read_architecture,
    register,
)

__all__ = ["FAMILIES", "Architecture", "read_architecture", "register"]
