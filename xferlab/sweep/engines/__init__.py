"""One file an engine: where the jobs of a sweep run."""

from xferlab.sweep.engines.base import Engine, EngineSettings
from xferlab.sweep.engines.registry import ENGINES, publish_engines, register

__all__ = ["ENGINES", "Engine", "EngineSettings", "publish_engines", "register"]
