"""Identifies the content of a checkpoint: digests of its files, or its commit."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from xferlab.errors import ConfigError
from xferlab.io.atomic import digest_of
from xferlab.models.checkpoint import BUNDLED, Checkpoint, resolve
from xferlab.models.checkpoint_files import (
    CONFIG,
    SAFETENSORS,
    SENTENCE_FILES,
    TOKENIZER_FILES,
    WeightFormat,
    weight_format,
)
from xferlab.models.hub import limit_waits
from xferlab.models.hub_cache import COMMIT


class ReadsCheckpoint:
    """A model plugin with a field ``checkpoint``; one without ``pretrained`` reads no weights."""

    checkpoint: str

    def fetch(self) -> Checkpoint:
        """Return the checkpoint as a checked folder of this machine."""
        return resolve(self.checkpoint, weights=getattr(self, "pretrained", False))

    def fetch_small(self) -> Checkpoint:
        """Return the checkpoint without its weights: what says how it reads texts."""
        return resolve(self.checkpoint, weights=False)

    def inputs(self) -> dict[str, str]:
        """Return digests of the checkpoint's files."""
        return content_of_checkpoint(self.checkpoint, weights=getattr(self, "pretrained", False))


def content_of_checkpoint(checkpoint: str, *, weights: bool = True) -> dict[str, str]:
    """Return the digest of each file that would be read, or the commit of a checkpoint of the Hub.

    Args:
        checkpoint: as in ``model.checkpoint``.
        weights: False leaves the weights out.

    Raises:
        ConfigError: the Hub cannot be reached, and its cache does not have it.
    """
    source = checkpoint.strip()
    bundled = source.startswith("bundled:")
    folder = (
        BUNDLED / source.removeprefix("bundled:") if bundled else Path(os.path.expanduser(source))
    )
    if bundled or os.path.isdir(folder):
        format = weight_format(folder) or SAFETENSORS
        small = (CONFIG, *TOKENIZER_FILES, *SENTENCE_FILES)
        patterns = (*small, *(_weight_patterns(format) if weights else ()))
        files = sorted({path for pattern in patterns for path in folder.glob(pattern)})
        names = {f"checkpoint: {f.relative_to(folder).as_posix()}": f for f in files}
        return {name: digest_of([f]) for name, f in names.items() if f.is_file()}
    name, _, revision = source.partition("@")
    return commit_of(name, revision or None, key="checkpoint", kind="model")


def _weight_patterns(format: WeightFormat) -> tuple[str, ...]:
    return f"*{format.suffix}", format.index


def commit_of(name: str, revision: str | None, *, key: str, kind: str) -> dict[str, str]:
    """Return the current commit of a Hub repository, by ``key``; nothing for a given commit.

    Args:
        name: ``ORG/NAME``.
        revision: a branch, a tag or a commit; None is the default branch.
        key: the plugin's field.
        kind: ``dataset`` or ``model``.
    """
    if revision and COMMIT.fullmatch(revision):
        return {}
    commit, reason = _commit(name, revision, kind)
    if reason:
        raise ConfigError(
            f"the commit of '{name}' cannot be looked up: {reason}",
            where=name,
            fix="go online, or name a commit",
        )
    return {key: commit}


@cache
def _commit(name: str, revision: str | None, kind: str) -> tuple[str, str]:
    """Return the commit, or the reason why there is none; cached for the process."""
    from huggingface_hub import HfApi

    limit_waits()
    try:
        found = HfApi(library_name="xferlab").resolve_revision(
            name, repo_type=kind, revision=revision
        )
    except Exception as e:  # noqa: BLE001 - httpx2 has its own tree of errors, the client one more
        return "", type(e).__name__
    return str(found.resolved), ""
