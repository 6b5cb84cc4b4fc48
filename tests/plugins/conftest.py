"""The built-in plugins, registered."""

from pathlib import Path

from xferlab.discovery import load_plugins

load_plugins(Path("/nonexistent"))
