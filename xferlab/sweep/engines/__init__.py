"""One file an engine: where the jobs of a sweep run."""

from xferlab.sweep.engines.base import Engine, EngineSettings
from xferlab.sweep.engines.registry import engines, publish_engines, register

__all__ = ["Engine", "EngineSettings", "engines", "publish_engines", "register"]
