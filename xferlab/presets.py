"""Files of choices: what ``conf/<group>/*.yaml`` offers beside the plugins."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def presets(group: str, workspace: Path) -> dict[str, str]:
    """Return the presets of a group by name, each with its file's first comment line."""
    found: dict[str, str] = {}
    for root in (_packaged(), workspace / "conf"):
        for path in sorted((root / group).glob("*.y*ml")):
            found[path.stem] = _first_comment(path)
    return found


def _packaged() -> Path:
    spec = importlib.util.find_spec("xferlab.conf")
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) if folders else Path("/nonexistent")


def _first_comment(path: Path) -> str:
    """Return the first comment that is no ``@package`` line, without its mark."""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if line.startswith("#") and text and not text.startswith("@"):
            return text
    return ""
