"""One file an engine: where the jobs of a sweep run."""

from xferlab.sweeps.engines.base import Engine, EngineSettings
from xferlab.sweeps.engines.registry import ENGINES, publish_engines, register

__all__ = ["ENGINES", "Engine", "EngineSettings", "publish_engines", "register"]
