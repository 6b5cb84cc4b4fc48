"""Puts a plugin through the contract checks: ``check_plugin("loss", "mine")``.

In pytest the fixture ``check_plugin`` does the same; it needs no import and no configuration.
"""

from __future__ import annotations

from xferlab.testing.finding import Finding
from xferlab.testing.plugin_checks import check_plugin, find_problems

__all__ = ["Finding", "check_plugin", "find_problems"]
