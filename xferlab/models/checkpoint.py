"""Resolves ``model.checkpoint`` to a checked local folder.

A checkpoint is a Hugging Face folder: ``config.json``, weights and the tokenizer's files. Weights
are ``*.safetensors``, or where there are none ``pytorch_model*.bin``, read as data. Nothing in it
is unpickled or run, and no other weights ever silently replace weights that cannot be loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from xferlab.errors import ConfigError, did_you_mean
from xferlab.io import pytorch_file, safetensors
from xferlab.io.atomic import digest_of
from xferlab.io.tensors import Tensor
from xferlab.models.architectures import read_architecture
from xferlab.models.checkpoint_files import (
    CONFIG,
    OTHER_WEIGHTS,
    SAFETENSORS,
    TOKENIZERS,
    WEIGHTS,
    read_table,
    weight_format,
)
from xferlab.models.untrusted_checkpoint import refuse_code, refuse_unsafe

BUNDLED = Path(__file__).parents[1] / "bundled"

_HUB_ID = re.compile(r"(?P<id>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
_CONVERT = (
    "save it once with transformers (AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)); "
    "many checkpoints of the Hub have a converted copy in a pull request: ORG/NAME@refs/pr/N"
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this machine.

    Attributes:
        source: as in ``model.checkpoint`` (``bundled:bert``, a path, ``ORG/NAME@revision``).
        folder: of its files.
        revision: the commit of a Hub checkpoint; None for the others.
        sha256: the digest of each weight file by its name; empty without weights.
        model_type: of its ``config.json``; says which family of encoders it is.
        parameters: the floating-point numbers in its weight files.
        config: the content of its ``config.json``.
        tensors: of its weight files, by name.
    """

    source: str
    folder: Path
    revision: str | None
    sha256: Mapping[str, str]
    model_type: str
    parameters: int
    config: Mapping[str, Any] = field(repr=False)
    tensors: Mapping[str, Tensor] = field(repr=False)

    def record(self) -> dict[str, Any]:
        """Return the part of ``run.json`` about the checkpoint."""
        return {
            "source": self.source,
            "revision": self.revision,
            "sha256": dict(self.sha256),
            "architecture": self.model_type,
            "parameters": self.parameters,
        }


def resolve(checkpoint: str, *, weights: bool = True) -> Checkpoint:
    """Return the checked local folder of a checkpoint, downloading it first where it is on the Hub.

    Args:
        checkpoint: ``bundled:NAME``, a path, or the Hub's ``ORG/NAME``, also ``ORG/NAME@REVISION``.
        weights: False resolves config and tokenizer alone (``model.pretrained=false``).

    Raises:
        ConfigError: it cannot be downloaded or must not be loaded.
    """
    source = checkpoint.strip()
    where = f"model.checkpoint={checkpoint}"
    folder, revision = _locate(source, where, weights)
    refuse_unsafe(folder, where)
    config = read_table(folder / CONFIG, where)
    check_config(config, where)
    _check_tokenizer(folder, where)
    files = _weight_files(folder, where) if weights or (folder / WEIGHTS).is_file() else ()
    tensors = {name: tensor for path in files for name, tensor in _header(path, where).items()}
    return Checkpoint(
        source=source,
        folder=folder,
        revision=revision,
        sha256={path.name: digest_of([path]) for path in files if weights},
        model_type=config["model_type"],
        parameters=sum(tensor.size for tensor in tensors.values() if tensor.is_float),
        config=config,
        tensors=tensors,
    )


def bundled_names() -> list[str]:
    """Return the names of the bundled checkpoints."""
    return sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))


def _locate(source: str, where: str, weights: bool) -> tuple[Path, str | None]:
    if source.startswith("bundled:"):
        return _bundled_folder(source.removeprefix("bundled:"), where), None
    path = Path(os.path.expanduser(source))  # Path's own raises for an unknown user
    if source and os.path.isdir(path):
        return path.resolve(), None
    if os.path.isfile(path):
        raise ConfigError(
            f"'{source}' is a file, a checkpoint is a folder",
            where=where,
            fix=f"give the folder that has config.json in it: model.checkpoint={path.parent}",
        )
    match = _HUB_ID.fullmatch(source)
    if source.startswith((".", "/", "~")) or match is None:
        raise ConfigError(
            f"there is no folder '{source}'",
            where=where,
            fix="give the path of a folder, ORG/NAME or ORG/NAME@REVISION of the Hub, or bundled:"
            + "|".join(bundled_names() or ["NAME"]),
        )
    return _hub_folder(match["id"], match["revision"], where, weights)


def _bundled_folder(name: str, where: str) -> Path:
    if name not in bundled_names():
        raise ConfigError(
            f"there is no bundled checkpoint '{name}'",
            where=where,
            fix=did_you_mean(name, bundled_names()),
        )
    return BUNDLED / name


def _hub_folder(repo_id: str, revision: str | None, where: str, weights: bool) -> tuple[Path, str]:
    from xferlab.models.hub import download

    if repo_id in bundled_names():
        raise ConfigError(
            f"'{repo_id}' alone may be the bundled checkpoint or one of the Hub",
            where=where,
            fix=f"type model.checkpoint=bundled:{repo_id}, or ORG/{repo_id} for one of the Hub",
        )

    def check(config: dict[str, Any]) -> None:
        check_config(config, where)

    def check_folder(folder: Path) -> None:
        refuse_unsafe(folder, where)
        _check_tokenizer(folder, where)

    return download(
        repo_id, revision, weights=weights, check_config=check, check_folder=check_folder
    )


def check_config(config: dict[str, Any], where: str) -> None:
    """Raise ConfigError for a ``config.json`` whose encoder is not built here.

    It is read before any weights are fetched.
    """
    refuse_code(config, CONFIG, where)
    read_architecture(config, where)


def _check_tokenizer(folder: Path, where: str) -> None:
    for names in TOKENIZERS:
        if all((folder / name).is_file() for name in names):
            return
    raise ConfigError(
        f"the checkpoint has no tokenizer: {folder}",
        where=where,
        fix="put its tokenizer.json beside config.json: tokenizer.save_pretrained(FOLDER)",
    )


def _weight_files(folder: Path, where: str) -> tuple[Path, ...]:
    """Return the files that make up the weights, in the order of their names."""
    format = weight_format(folder)
    if format is None:
        raise _no_weights(folder, where)
    if (folder / format.file).is_file():
        return (folder / format.file,)
    weight_map = read_table(folder / format.index, where).get("weight_map")
    names = sorted(set(map(str, weight_map.values()))) if isinstance(weight_map, dict) else []
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name or not name.endswith(format.suffix):
            raise ConfigError(
                f"{format.index} names a file outside the checkpoint: '{name}'",
                where=where,
                fix="do not use this checkpoint: its index is damaged or malicious",
            )
        if not os.path.isfile(folder / name):
            name = name[:60] if name.isprintable() else repr(name[:60])
            raise ConfigError(
                f"{format.index} names '{name}', which is not in {folder}",
                where=where,
                fix="copy the whole folder again",
            )
    if not names:
        raise ConfigError(
            f"{format.index} names no files", where=where, fix="copy the whole folder again"
        )
    return tuple(folder / name for name in names)


def _no_weights(folder: Path, where: str) -> ConfigError:
    others = sorted(path.name for pattern in OTHER_WEIGHTS for path in folder.glob(pattern))
    if others:
        return ConfigError(
            f"the checkpoint has no {WEIGHTS}, only files that are never unpickled: "
            + ", ".join(others),
            where=where,
            fix=_CONVERT,
        )
    return ConfigError(
        f"the checkpoint has no {WEIGHTS}",
        where=where,
        fix=f"{_CONVERT}; or start from random weights with model.pretrained=false",
    )


def _header(path: Path, where: str) -> dict[str, Tensor]:
    if path.suffix == SAFETENSORS.suffix:
        try:
            return safetensors.read_header(path)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the weights in {path.name} are torn or damaged: {error}",
                where=where,
                fix=f"copy or download it again: {path}",
            ) from error
    try:
        return pytorch_file.read_header(path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the weights in {path.name} cannot be read as data: {error}",
            where=where,
            fix=f"copy or download it again, or {_CONVERT}",
        ) from error
