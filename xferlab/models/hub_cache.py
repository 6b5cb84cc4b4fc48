"""Which checkpoints the Hub's cache on this machine has; nothing is fetched."""

from __future__ import annotations

import os
import re
from pathlib import Path

from xferlab.models.checkpoint_files import CONFIG, WEIGHT_FORMATS, has_weights

COMMIT = re.compile("[0-9a-f]{40}")


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
    is_whole = any(has_weights(snapshot, format) for format in WEIGHT_FORMATS)
    return is_whole and (snapshot / CONFIG).is_file()
