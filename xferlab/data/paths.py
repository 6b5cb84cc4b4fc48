"""Paths and globs: the files they match, the split in a name, fixes for missing files."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from xferlab.config.overrides import format_for_shell
from xferlab.data.notes import join_some
from xferlab.errors import ConfigError, nearest

SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (*SEPARATORS, *JSON_LINES, ".parquet")
TEXT_LINES = (".txt", ".text")
KINDS = (*SUFFIXES, *TEXT_LINES)
SHOWN = 8
"""File names that a message lists."""

_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "heldout"), "test"),
}


def split_of(path: Path) -> str:
    """Return the split in a file's name, "" if there is none, or there are several.

    >>> split_of(Path("data/train.csv")), split_of(Path("imdb_test_1.csv")), split_of(Path("a.csv"))
    ('train', 'test', '')
    """
    words = re.findall(r"[a-z]+", path.name.lower())
    found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    return found.pop() if len(found) == 1 else ""


def find_files(pattern: str, key: str) -> list[Path]:
    """Return the file with this path, or those that a glob matches, sorted.

    Raises:
        ConfigError: there is none, it is a folder, or the files are of several splits.
    """
    path = Path(os.path.expanduser(pattern))  # os.path: False for an invalid name
    if not pattern:
        raise ConfigError("the path is empty", where=key, fix=_file_in(path, key))
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        raise ConfigError(f"{pattern} is a folder", where=key, fix=_file_in(path, key))
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    files = [p for p in found if os.path.isfile(p)]
    if files:
        _refuse_several_splits(files, pattern, key)
        return files
    what = "no file fits" if glob.has_magic(pattern) else "there is no file"
    raise ConfigError(f"{what} {pattern}", where=key, fix=nearest_file(path, _wanted(key)))


def _wanted(key: str) -> str:
    """Return the split of a config key, "" if it has none."""
    last = key.rpartition(".")[2]
    return last if last in ("train", "validation", "test") else ""


def _refuse_several_splits(files: Sequence[Path], pattern: str, key: str) -> None:
    """Raise ConfigError for a glob that matches files of two splits."""
    by_split = _by_split(files, by_folder=len({path.parent for path in files}) > 1)
    splits = [split for split in by_split if split]
    if len(splits) < 2:
        return
    names = " and ".join(str(by_split[split][0]) for split in splits[:2])
    raise ConfigError(
        f"{pattern} takes files of several splits together: {names}",
        where=key,
        fix=_overrides_for(by_split, key) or "name the files of one split",
    )


def _by_split(files: Iterable[Path], *, by_folder: bool = False) -> dict[str, list[Path]]:
    """Return files by the split in their names, or in those of their folders."""
    found: dict[str, list[Path]] = {}
    for path in sorted(files):
        split = split_of(path) or (split_of(path.parent) if by_folder else "")
        found.setdefault(split, []).append(path)
    order = ("train", "validation", "test", "")
    return {split: found[split] for split in order if split in found}


def _file_in(folder: Path, key: str) -> str:
    """Return the fix for a folder: overrides with its files, by the split in their names."""
    files = [p for p in _listed(folder) if p.suffix.lower() in KINDS and p.name != "labels.txt"]
    by_split = _by_split(files)
    words = _overrides_for(by_split, key)
    if words:
        return words
    kinds = sorted({p.suffix for p in files if p.suffix.lower() in SUFFIXES})
    alike = _wanted(key) and set(by_split) == {""} and len(kinds) == 1
    if alike and len(files) > 1:
        return format_for_shell(key, f"{folder}/*{kinds[0]}")
    if alike:
        return format_for_shell(key, str(files[0]))
    below = _overrides_for(_files_below(folder), key)
    if below and not files:
        return below
    if files:
        return f"name one of its files: {_some([p.name for p in files])}"
    return f"name a file; in {folder} there are: {_some([p.name for p in _listed(folder)])}"


def _files_below(folder: Path) -> dict[str, list[Path]]:
    """Return, by split, a glob for each subfolder with a split in its name."""
    found = {}
    for below in _listed(folder):
        kinds = {p.suffix for p in _listed(below) if p.suffix.lower() in SUFFIXES}
        if split_of(below) and len(kinds) == 1:
            found[split_of(below)] = [below / f"*{kinds.pop()}"]
    return found


def _overrides_for(by_split: dict[str, list[Path]], key: str) -> str:
    """Return overrides with the files of each split; "" without files of the wanted one."""
    wanted = _wanted(key)
    group = key.rpartition(".")[0]
    if wanted not in by_split or not wanted:
        return ""
    splits = ("train", "validation", "test") if wanted == "train" else (wanted,)
    named = [(split, _as_one(by_split[split])) for split in splits if split in by_split]
    if not all(pattern for _, pattern in named):
        return ""
    return " ".join(format_for_shell(f"{group}.{split}", pattern) for split, pattern in named)


def _as_one(files: Sequence[Path]) -> str:
    """Return the name of the only file, or a glob of files that differ in a number; else ""."""
    if len(files) == 1:
        return str(files[0])
    first = files[0]
    globs = {re.sub(r"\d+", "*", path.name) for path in files}
    return str(first.parent / globs.pop()) if len(globs) == 1 else ""


def nearest_file(path: Path, wanted: str = "") -> str:
    """Return the fix for a missing file: the nearest name in the last folder that exists.

    Args:
        path: the missing file.
        wanted: its split, if that is known; files of other splits are not suggested.
    """
    folder = path.parent
    name = path.name
    while not os.path.isdir(folder) and folder != folder.parent:
        name = folder.name
        folder = folder.parent
    names = [p.name for p in _listed(folder)]
    here = "here" if folder == Path() else f"in {folder}"
    wanted = split_of(Path(name)) or wanted
    fits = [n for n in names if not wanted or split_of(Path(n)) in ("", wanted)]
    near = nearest(name, fits)
    return f"did you mean {folder / near}?" if near else f"{here} there are: {_some(names)}"


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return []


def _some(names: Sequence[str]) -> str:
    return join_some(sorted(names), SHOWN) or "no files"
