"""Files of choices: what ``conf/<group>/*.yaml`` offers beside the plugins."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from xferlab.origin import own_folder


def presets(group: str, workspace: Path) -> dict[str, str]:
    """Return the presets of a group by name, each with its file's first comment line."""
    return {name: _first_comment(path) for name, path in preset_files(group, workspace).items()}


def preset_files(group: str, workspace: Path) -> dict[str, Path]:
    """Return the file of each preset of a group; one of the workspace hides a packaged one."""
    roots = (own_folder("conf"), workspace / "conf")
    return {path.stem: path for root in roots for path in sorted((root / group).glob("*.y*ml"))}


def name_of_plugin(path: Path) -> str:
    """Return the plugin that a preset of its group starts from: its first default."""
    defaults = OmegaConf.select(OmegaConf.load(path), "defaults", default=None) or [""]
    return str(defaults[0]).partition("@")[0]


def _first_comment(path: Path) -> str:
    """Return the first comment that is no ``@package`` line, without its mark."""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if line.startswith("#") and text and not text.startswith("@"):
            return text
    return ""
