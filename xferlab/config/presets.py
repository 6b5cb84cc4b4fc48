"""Files of choices: what ``conf/<group>/*.yaml`` offers beside the plugins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from xferlab import discovery
from xferlab.origin import own_folder

KINDS = {
    "tiny": "tiny, for a processor",
    "english": "English encoders",
    "multilingual": "encoders of other languages",
    "sentences": "sentence encoders",
    "decoders": "decoders, read as encoders",
}
"""The groups that presets of checkpoints are listed in, and their titles."""


@dataclass(frozen=True)
class CheckpointFacts:
    """What a preset's file says of its checkpoint, in the comment that is a YAML mapping.

    They describe the checkpoint, not the experiment, so they are no part of the config.

    Attributes:
        checkpoint: as in ``model.checkpoint``.
        group: one of :data:`KINDS`.
        parameters: of the encoder, like ``184M``.
        download: size of the files that are fetched, like ``371MB``; empty where it is not known.
        licence: as on the Hub's page.
        languages: one by its name, several by their number.
    """

    checkpoint: str
    group: str
    parameters: str = ""
    download: str = ""
    licence: str = ""
    languages: str = ""


def presets(group: str, workspace: Path) -> dict[str, str]:
    """Return the presets of a group by name, each with its file's first comment line."""
    return {
        name: next(_comments(path), "") for name, path in preset_files(group, workspace).items()
    }


def preset_files(group: str, workspace: Path) -> dict[str, Path]:
    """Return the file of each preset of a group; one of the workspace hides a packaged one."""
    roots = (*reversed(discovery.presets), own_folder("conf"), workspace / "conf")
    return {path.stem: path for root in roots for path in sorted((root / group).glob("*.y*ml"))}


def name_of_plugin(path: Path) -> str:
    """Return the plugin that a preset of its group starts from: its first default."""
    defaults = OmegaConf.select(OmegaConf.load(path), "defaults", default=None) or [""]
    return str(defaults[0]).partition("@")[0]


def checkpoint_presets(workspace: Path) -> dict[str, CheckpointFacts]:
    """Return the presets of models whose files state facts about a checkpoint, by name."""
    found = {name: _facts(path) for name, path in preset_files("model", workspace).items()}
    return {name: facts for name, facts in found.items() if facts}


def _facts(path: Path) -> CheckpointFacts | None:
    """Return the facts of a preset's file, None where it has none that can be read."""
    for text in _comments(path):
        if text.startswith("{"):
            try:
                stated: dict[str, Any] = yaml.safe_load(text)
                checkpoint = str(yaml.safe_load(_text_of(path))["checkpoint"])
                return CheckpointFacts(checkpoint, **{key: str(x) for key, x in stated.items()})
            except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
                return None  # a comment of the user's own
    return None


def _comments(path: Path) -> Iterator[str]:
    """Yield the comment lines of a file that are no ``@package`` line, without their mark."""
    for line in _text_of(path).splitlines():
        text = line.removeprefix("#").strip()
        if line.startswith("#") and text and not text.startswith("@"):
            yield text


def _text_of(path: Path) -> str:
    """Return a file's text, whatever it is: a file that is only listed is no reason to fail."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
