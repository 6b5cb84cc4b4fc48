"""One resolver from what ``model.checkpoint`` says to a local folder that was checked.

A checkpoint is a Hugging Face folder: ``config.json``, ``*.safetensors`` and the tokenizer's
files. Nothing in it is unpickled or run, and nothing ever stands in silently for weights that
cannot be had.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from xferlab.errors import ConfigError, did_you_mean
from xferlab.io.atomic import digest_of
from xferlab.io.safetensors import Tensor, read_header
from xferlab.models.architectures import families, refuse_unknown_family

BUNDLED = Path(__file__).parents[1] / "bundled"

TOKENIZERS = frozenset(
    f"{name}Tokenizer"
    for name in (
        "Albert", "Bart", "Barthez", "Bert", "BigBird", "Camembert", "Cohere", "Deberta",
        "DebertaV2", "DistilBert", "Electra", "FNet", "Funnel", "GPT2", "GPTNeoX", "Gemma",
        "Herbert", "LED", "Llama", "Longformer", "MBart", "MPNet", "MobileBert", "Nllb", "Qwen2",
        "RemBert", "RoFormer", "Roberta", "Splinter", "SqueezeBert", "T5", "XLMRoberta", "XLNet",
        "PreTrained",
    )
) | {"TokenizersBackend"}  # fmt: skip
"""Classes of transformers that are tokenizers and nothing else, without their ending ``Fast``."""

_HUB_ID = re.compile(r"(?P<id>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_TOKENIZERS = (
    ("tokenizer.json",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
)
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.keras", "*.msgpack")
_CONVERT = (
    "save it once with transformers (AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)); "
    "many checkpoints of the Hub have a converted copy in a pull request: ORG/NAME@refs/pr/N"
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this machine.

    Attributes:
        source: what was typed (``bundled:bert``, a path, ``ORG/NAME@revision``).
        folder: where its files lie.
        revision: the commit of a Hub checkpoint; None for the others.
        sha256: the digest of each weight file by its name; empty where weights were not asked for.
        model_type: of its ``config.json``; says which family of encoders it is.
        parameters: the floating-point numbers in its weight files.
        config: the content of its ``config.json``.
        tensors: where each tensor of its weight files lies.
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
        """Return what a run writes down about its checkpoint."""
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
        weights: False asks for architecture and tokenizer alone (``model.pretrained=false``).

    Raises:
        ConfigError: it cannot be had or must not be loaded; the text says what to type instead.
    """
    source, where = checkpoint.strip(), f"model.checkpoint={checkpoint}"
    folder, revision = _locate(source, where, weights)
    refuse_tricks(folder, where)
    config = _read_table(folder / "config.json", where)
    _check_config(config, where)
    _check_tokenizer(folder, where)
    files = _weight_files(folder, where) if weights or (folder / _WEIGHTS).is_file() else ()
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


def refuse_tricks(folder: Path, where: str) -> None:
    """Raise ConfigError for what other libraries must not meet in a checkpoint's folder.

    That is code for its tokenizer, a link that leads out of it (what it leads to would be copied
    into the run), and what is neither file nor folder (reading a pipe waits for ever).
    """
    inside = folder.resolve()
    blobs = inside.parent.parent / "blobs"  # the Hub's cache keeps there what its own links mean
    for path in (*folder.glob("*"), *folder.glob("additional_chat_templates/*")):
        real = path.resolve()
        if not (real.is_relative_to(inside) or real.parent == blobs):
            raise ConfigError(
                f"'{path.name}' is a link that leads out of the checkpoint",
                where=where,
                fix="replace it by the file itself, if you know what it leads to",
            )
        if real.exists() and not (real.is_file() or real.is_dir()):
            raise ConfigError(
                f"'{path.name}' is no ordinary file", where=where, fix="take it out of the folder"
            )
    for name in ("tokenizer_config.json", "config.json"):
        if (folder / name).is_file():
            table = _read_table(folder / name, where)
            _refuse_code(table, name, where)
            _refuse_class(table, name, where)
    _refuse_large_ids(folder, where)


def bundled_names() -> list[str]:
    """Return the names of the checkpoints in the box."""
    return sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))


def _locate(source: str, where: str, weights: bool) -> tuple[Path, str | None]:
    if source.startswith("bundled:"):
        return _bundled_folder(source.removeprefix("bundled:"), where), None
    path = Path(os.path.expanduser(source))  # unlike Path's own it leaves an unknown user alone
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
            f"the box has no checkpoint '{name}'",
            where=where,
            fix=did_you_mean(name, bundled_names()),
        )
    return BUNDLED / name


def _hub_folder(repo_id: str, revision: str | None, where: str, weights: bool) -> tuple[Path, str]:
    from xferlab.models.hub import download

    if repo_id in bundled_names():
        raise ConfigError(
            f"'{repo_id}' alone may be the checkpoint in the box or one of the Hub",
            where=where,
            fix=f"type model.checkpoint=bundled:{repo_id}, or ORG/{repo_id} for one of the Hub",
        )

    def check_config(config: dict[str, Any]) -> None:
        _check_config(config, where)

    return download(repo_id, revision, weights=weights, check_config=check_config)


def _read_table(path: Path, where: str) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"the folder has no {path.name}: {path.parent}",
            where=where,
            fix="give a folder that transformers' save_pretrained wrote",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path.name} cannot be read: {error}", where=where, fix=f"mend or replace {path}"
        ) from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path.name} is not a JSON table", where=where, fix=f"replace {path}")
    return table


def _check_config(config: dict[str, Any], where: str) -> None:
    _refuse_code(config, "config.json", where)
    refuse_unknown_family(config, where)


def _refuse_code(table: dict[str, Any], name: str, where: str) -> None:
    if table.get("auto_map"):
        raise ConfigError(
            f"the checkpoint brings its own code ({name} has auto_map), and that is never run",
            where=where,
            fix="choose a checkpoint without code of its own: " + ", ".join(families()),
        )


def _refuse_class(table: dict[str, Any], name: str, where: str) -> None:
    """Raise ConfigError for a tokenizer's class that is not on the list.

    transformers looks the name up among all that it has; some of those (``AutoProcessor``) read
    further files, and offer to run the code that these name.
    """
    wanted = table.get("tokenizer_class")
    if wanted is None or (isinstance(wanted, str) and wanted.removesuffix("Fast") in TOKENIZERS):
        return
    raise ConfigError(
        f"{name} names a tokenizer class that is not loaded: {str(wanted)[:60]!r}",
        where=where,
        fix="save its fast tokenizer anew: PreTrainedTokenizerFast(tokenizer_file='tokenizer.json')"
        ".save_pretrained(FOLDER)",
    )


def _refuse_large_ids(folder: Path, where: str) -> None:
    """Raise ConfigError for a token id that the checkpoint's table of embeddings does not have.

    The tokenizer's library makes room for every id up to the largest, so it is asked before.
    """
    if not (folder / "config.json").is_file():
        return
    rows = _read_table(folder / "config.json", where).get("vocab_size")
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        return
    for name, token, token_id in _written_ids(folder, where):
        if not isinstance(token_id, int) or not 0 <= token_id < rows:
            raise ConfigError(
                f"{name} gives the token {str(token)[:40]!r} the id {str(token_id)[:40]}, and the"
                f" checkpoint's table has {rows} rows",
                where=where,
                fix="use the tokenizer that this checkpoint was trained with, or remove that token",
            )


def _written_ids(folder: Path, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield file, token and id of the last of each table of tokens, and of every added token."""
    path = folder / "tokenizer.json"
    if path.is_file():
        table = _read_table(path, where)
        model = table.get("model")
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
        if isinstance(vocabulary, dict):
            yield from ((path.name, token, number) for token, number in vocabulary.items())
        elif isinstance(vocabulary, list) and vocabulary:
            yield path.name, "the last of its pieces", len(vocabulary) - 1
        for added in table.get("added_tokens") or ():
            if isinstance(added, dict):
                yield path.name, added.get("content"), added.get("id")
    path = folder / "tokenizer_config.json"
    if path.is_file():
        added_tokens = _read_table(path, where).get("added_tokens_decoder")
        for number, token in added_tokens.items() if isinstance(added_tokens, dict) else ():
            content = token.get("content") if isinstance(token, dict) else token
            yield path.name, content, int(number) if str(number).isdecimal() else number


def _check_tokenizer(folder: Path, where: str) -> None:
    for names in _TOKENIZERS:
        if all((folder / name).is_file() for name in names):
            return
    raise ConfigError(
        f"the checkpoint has no tokenizer: {folder}",
        where=where,
        fix="put its tokenizer.json beside config.json: tokenizer.save_pretrained(FOLDER)",
    )


def _weight_files(folder: Path, where: str) -> tuple[Path, ...]:
    """Return the safetensors files that make up the weights, in the order of their names."""
    if (folder / _WEIGHTS).is_file():
        return (folder / _WEIGHTS,)
    if not (folder / _INDEX).is_file():
        raise _no_weights(folder, where)
    weight_map = _read_table(folder / _INDEX, where).get("weight_map")
    names = sorted(set(map(str, weight_map.values()))) if isinstance(weight_map, dict) else []
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ConfigError(
                f"{_INDEX} names a file outside the checkpoint: '{name}'",
                where=where,
                fix="do not use this checkpoint: its index was tampered with or is broken",
            )
        if not os.path.isfile(folder / name):
            name = name[:60] if name.isprintable() else repr(name[:60])
            raise ConfigError(
                f"{_INDEX} names '{name}', which is not in {folder}",
                where=where,
                fix="copy the whole folder again",
            )
    if not names:
        raise ConfigError(
            f"{_INDEX} names no files", where=where, fix="copy the whole folder again"
        )
    return tuple(folder / name for name in names)


def _no_weights(folder: Path, where: str) -> ConfigError:
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        return ConfigError(
            f"the checkpoint has no {_WEIGHTS}, only files that are never unpickled: "
            + ", ".join(pickled),
            where=where,
            fix=_CONVERT,
        )
    return ConfigError(
        f"the checkpoint has no {_WEIGHTS}",
        where=where,
        fix=f"{_CONVERT}; or start from nothing with model.pretrained=false",
    )


def _header(path: Path, where: str) -> dict[str, Tensor]:
    try:
        return read_header(path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the weights in {path.name} are torn or damaged: {error}",
            where=where,
            fix=f"copy or download it again: {path}",
        ) from error
