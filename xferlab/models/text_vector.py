"""The vector of a text that a head reads: by the config, by the checkpoint, or by its class.

A checkpoint of sentence-transformers says in ``modules.json`` what it does above its encoder, and
in a file for each module how.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError
from xferlab.models.checkpoint_files import (
    CONFIG,
    MODULES,
    SENTENCE_TRANSFORMERS,
    read_json,
    read_table,
)

POOLINGS = {"cls": "first", "mean": "mean", "lasttoken": "last", "max": "max"}
"""sentence-transformers' names of what is computed here."""
OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The flags of older versions, one for each value of ``pooling_mode``."""
LONGEST_NAME = 60
LIBRARY = "sentence_transformers."
COMPUTED = (("Transformer", "Pooling"), ("Transformer", "Pooling", "Normalize"))
"""Modules that are computed here, by the last part of their types."""
TEXT_OF_POOLING = {
    "first": "the first token",
    "last": "the last token",
    "mean": "the mean of all tokens",
    "max": "the maximum over all tokens",
    "late": "the mean of what a dense layer makes of each token",
}


@dataclass(frozen=True)
class TextVector:
    """What one vector is made of a text's token vectors.

    Attributes:
        pooling: ``first``, ``mean``, ``max`` or ``last``: which tokens; ``late``: all, after a
            dense layer.
        normalize: whether it has length 1.
        is_of_class: whether it goes through the layers of transformers' class for classification.
        includes_prompt: whether a prompt's tokens are pooled too.
    """

    pooling: str
    normalize: bool = False
    is_of_class: bool = False
    includes_prompt: bool = True

    def reads_first_token(self, is_per_word: bool) -> bool:
        """Return whether a head reads the first token alone."""
        return self.pooling == "first" and not is_per_word

    def __str__(self) -> str:
        return TEXT_OF_POOLING.get(self.pooling, self.pooling) + ", normalised" * self.normalize


def read_sentence_vector(folder: Path, where: str) -> TextVector | None:
    """Return what a folder of sentence-transformers pools, or None for any other folder.

    Raises:
        ConfigError: it computes something else.
    """
    if not (folder / MODULES).is_file():
        return None
    modules = read_modules(folder, where)
    kinds = tuple(kind for kind, _ in modules)
    if kinds == ("Transformer",):
        return None  # a cross encoder, whose head is that of transformers' class
    if kinds not in COMPUTED:
        raise _not_computed(f"{MODULES} lists {', '.join(kinds) or 'nothing'}", where)
    if modules[0][1]:
        raise _not_computed(f"{MODULES} has its encoder in the folder {modules[0][1]}", where)
    _refuse_lower_case(folder, where)
    if len(modules) == 3:
        _refuse_other_names(folder / modules[2][1] / CONFIG, where)
    return _read_pooling(folder / modules[1][1] / CONFIG, len(modules) == 3, where)


def read_modules(folder: Path, where: str) -> list[tuple[str, str]]:
    """Return kind and folder of each module that ``modules.json`` lists.

    Raises:
        ConfigError: it is no such list, or a module is code of the checkpoint's own.
    """
    listed = read_json(folder / MODULES, where)
    if not isinstance(listed, list):
        raise _not_computed(f"{MODULES} is no list", where)
    return [_read_module(module, where) for module in listed]


def _read_module(module: Any, where: str) -> tuple[str, str]:
    table = module if isinstance(module, dict) else {}
    name = table.get("type")
    path = table.get("path")
    if not isinstance(name, str) or not isinstance(path, str):
        raise _not_computed(f"{MODULES} is no list of types and folders", where)
    if Path(path).name != path or path == ".." or len(path) > LONGEST_NAME:
        raise _not_computed(f"{MODULES} names the folder '{path[:60]}'", where)
    if not name.startswith(LIBRARY):
        raise _not_computed(f"{MODULES} lists '{name[:60]}'", where)
    return name.rpartition(".")[2], path


def _read_pooling(path: Path, normalize: bool, where: str) -> TextVector:
    table = read_table(path, where)
    modes = table.get("pooling_mode")
    if modes is None:
        modes = [name for key, name in OLD_KEYS.items() if table.get(key)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    names = " and ".join(map(str, modes)) if isinstance(modes, list) else repr(modes)
    if names not in POOLINGS:
        raise _not_computed(f"{path.parent.name}/{path.name} pools by {names[:60]}", where)
    includes_prompt = table.get("include_prompt", True) is not False
    return TextVector(POOLINGS[names], normalize, includes_prompt=includes_prompt)


def _refuse_other_names(path: Path, where: str) -> None:
    """Raise ConfigError where something else than the pooled vector is normalised."""
    table = read_table(path, where) if path.is_file() else {}
    names = [table.get(f"module_{end}_name") for end in ("input", "output")]
    if any(name not in (None, "sentence_embedding") for name in names):
        raise _not_computed(f"{path.parent.name}/{path.name} names other vectors", where)


def read_longest_text(folder: Path, where: str) -> int | None:
    """Return ``max_seq_length`` of a folder of sentence-transformers; None where it has none."""
    for path in folder.glob(SENTENCE_TRANSFORMERS):
        length = read_table(path, where).get("max_seq_length")
        if isinstance(length, int) and not isinstance(length, bool) and length > 0:
            return length
    return None


def _refuse_lower_case(folder: Path, where: str) -> None:
    """Raise ConfigError for texts that are lower-cased where the tokenizer does not do so."""
    tokenizer = folder / "tokenizer_config.json"
    if tokenizer.is_file() and read_table(tokenizer, where).get("do_lower_case"):
        return
    for path in folder.glob(SENTENCE_TRANSFORMERS):
        if read_table(path, where).get("do_lower_case"):
            raise _not_computed(f"{path.name} has do_lower_case, its tokenizer has not", where)


def _not_computed(what: str, where: str) -> ConfigError:
    return ConfigError(
        f"this sentence encoder is not computed here: {what}",
        where=where,
        fix="model.pooling=mean, first or last reads its encoder's tokens alone",
    )
