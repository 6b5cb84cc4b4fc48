"""Which checkpoints lie in the Hub's cache on this machine; nothing is fetched."""

from __future__ import annotations

import os
from pathlib import Path

from xferlab.models.checkpoint_files import CONFIG, read_table, weight_format
from xferlab.models.content import COMMIT


def cache_folder(repo_id: str) -> Path:
    """Return the folder of a checkpoint in the Hub's cache, whether or not it is there."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser() / f"models--{repo_id.replace('/', '--')}"


def is_on_this_machine(checkpoint: str) -> bool:
    """Return whether a checkpoint can be used without a network, its weights included.

    Args:
        checkpoint: as in ``model.checkpoint``.
    """
    if checkpoint.startswith("bundled:") or os.path.isdir(os.path.expanduser(checkpoint)):
        return True
    repo_id, _, revision = checkpoint.partition("@")
    folder = cache_folder(repo_id)
    commit = revision
    if not COMMIT.fullmatch(revision):
        try:
            commit = (folder / "refs" / (revision or "main")).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return False
    snapshot = folder / "snapshots" / commit
    return (snapshot / CONFIG).is_file() and _has_weights(snapshot)


def _has_weights(snapshot: Path) -> bool:
    """Return whether a folder has all weight files of its format."""
    found = weight_format(snapshot)
    if found is None or (snapshot / found.file).is_file():
        return found is not None
    try:
        names = set(read_table(snapshot / found.index, "")["weight_map"].values())
        return all((snapshot / str(name)).is_file() for name in names)
    except (AttributeError, KeyError, TypeError):
        return False
