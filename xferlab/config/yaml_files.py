"""The folders of YAML files, as Hydra reads them; each error in a user's with its file and line."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource,
)
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xferlab.config.stacks import defaults_with_stacks
from xferlab.deprecated import current_config
from xferlab.errors import ConfigError
from xferlab.formatting import format_path
from xferlab.origin import own_folder

LARGEST = 100_000  # values of a file, aliases written out; more is an error or an attack
FIXES = {  # by a part of PyYAML's message
    "'\\t'": "indent with blanks, not with a tab",
    "while scanning a quoted scalar": "close the quote",
    "mapping values are not allowed": "write one  key: value  a line; quote a value that has ': '",
    "duplicate key": "keep one of them",
    "could not determine a constructor": "leave the !tag out: a config is plain data",
    "undefined alias": "write the value itself, or define it before with  &name",
    "expected ',' or": "close the bracket, or put a value with brackets in it into quotes",
}


class YamlFolder(FileConfigSource):
    """A folder of the user's; Hydra's own reader lets Python's errors through."""

    @staticmethod
    def scheme() -> str:
        return "yaml"

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path) / self._normalize_file_name(config_path)
        header, written = _load_file(path, _bytes_of(path))
        content = current_config(written, _package_of(header, config_path), report=True)
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://{self.path}",
            config=OmegaConf.create(defaults_with_stacks(content)),
            header=dict(header),
        )


def _bytes_of(path: Path) -> bytes | None:
    """Return the content of a file, None if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


@functools.lru_cache(maxsize=1000)
def _load_file(path: Path, content: bytes | None) -> tuple[dict[str, Any], Any]:
    """Return the header of a user's file and its values, read once for each content it has.

    Raises:
        ConfigError: if Hydra cannot read it; the error names the line.
    """
    check_yaml(path)
    assert content is not None, "check_yaml raises for a file that cannot be read"
    text = content.decode("utf-8-sig")  # Hydra's reader finds no  # @package  behind a BOM
    try:
        header = YamlFolder._get_header_dict(text[:512])
    except ValueError as e:
        fix = "write  # @package _global_  or leave the line out"
        raise ConfigError(str(e), where=f"{format_path(path)}:1", fix=fix) from e
    return header, OmegaConf.to_container(OmegaConf.load(path), resolve=False)


class PackagedConfigs(ImportlibResourcesConfigSource):
    """The configs of installed packages, each read once a process.

    Hydra reads all of them in each compose, which is a third of its time.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        return copy.deepcopy(_load_packaged(self.provider, self.path, config_path))

    def is_config(self, config_path: str) -> bool:
        return _is_packaged(self.path, config_path)


@functools.cache
def _load_packaged(provider: str, package: str, config_path: str) -> ConfigResult:
    return ImportlibResourcesConfigSource(provider, f"pkg://{package}").load_config(config_path)


@functools.cache
def _is_packaged(package: str, config_path: str) -> bool:
    return ImportlibResourcesConfigSource("", f"pkg://{package}").is_config(config_path)


def _package_of(header: Mapping[str, str | None], config_path: str) -> str:
    """Return where a file's keys belong in the config, ``""`` for the whole of it."""
    package = header.get("package")
    if package is None:
        return config_path.rpartition("/")[0].replace("/", ".")
    return "" if package in ("_global_", "") else package


class LocalConf(SearchPathPlugin):
    """Puts the user's config folders in front of the packaged ones, for this process only.

    Those of other installed packages come last: none replaces a file of xferlab.
    """

    folders: tuple[Path, ...] = ()
    installed: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.prepend("workspace", f"{YamlFolder.scheme()}://{folder}", anchor="main")
        for folder in self.installed:
            search_path.append("installed", f"{YamlFolder.scheme()}://{folder}")


def _folders() -> list[Path]:
    """Return where configs are looked for, in order: the user's before the packaged."""
    return [*reversed(LocalConf.folders), own_folder("conf"), *LocalConf.installed]


def find(config_path: str, suffix: str = ".yaml") -> Path | None:
    """Return the file that Hydra reads for ``experiment/mine``."""
    paths = (folder / f"{config_path}{suffix}" for folder in _folders())
    return next((path for path in paths if _is_file(path)), None)


def files_in(group: str) -> list[str]:
    """Return the names of a group's files, ``""`` for the primary configs."""
    return sorted({path.stem for folder in _folders() for path in (folder / group).glob("*.yaml")})


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def check_yaml(path: Path) -> None:
    """Raise ConfigError unless ``path`` is a mapping in YAML that a config can hold."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return
        if not isinstance(root, yaml.MappingNode):
            raise _error(path, 1, "the file holds no  key: value  lines", "write  key: value")
        if _size(root, {}) > LARGEST:
            what = f"its aliases (*name) stand for more than {LARGEST} values"
            raise _error(path, 1, what, "write the values that are needed")
        _check_defaults(path, root)
        OmegaConf.load(path)
    except UnicodeDecodeError as e:
        line = path.read_bytes().count(b"\n", 0, e.start) + 1
        raise _error(path, line, "the file is not UTF-8", "save it as UTF-8") from e
    except yaml.MarkedYAMLError as e:
        raise _bad_yaml(path, e) from e
    except yaml.reader.ReaderError as e:
        line = text.count("\n", 0, e.position) + 1
        what = f"there is a sign that YAML does not allow: {chr(int(e.character))!r}"
        raise _error(path, line, what, "take it out") from e
    except RecursionError as e:
        raise _error(path, 1, "the file is nested too deeply", "write it flatter") from e
    except OSError as e:
        raise _error(path, 0, f"it cannot be read: {e.strerror or e}", "correct the file") from e
    except (OmegaConfBaseException, ValueError, TypeError) as e:
        what = str(e).partition("\n")[0]
        raise _error(path, 0, f"a config cannot hold this: {what}", "use plain values") from e


def _bad_yaml(path: Path, e: yaml.MarkedYAMLError) -> ConfigError:
    """Return the error for what PyYAML cannot read; the line where it starts, if it is known."""
    opened = e.context_mark if "quoted scalar" in str(e.context) else None
    mark = opened or e.problem_mark or e.context_mark
    message = " ".join(str(e.problem or e.context).split())
    whole = f"{e.context or ''} {message}"
    fix = next((r for part, r in FIXES.items() if part in whole), "correct the YAML there")
    return _error(path, mark.line + 1 if mark else 0, f"this is not YAML: {message}", fix)


def _error(path: Path, line: int, what: str, fix: str) -> ConfigError:
    return ConfigError(
        what, where=f"{format_path(path)}:{line}" if line else format_path(path), fix=fix
    )


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node has with all aliases written out; endless ones are LARGEST."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = LARGEST + 1  # until it is counted: an alias inside of what it names
    known[id(node)] = 1 + sum(_size(child, known) for child in _children(node))
    return known[id(node)]


def _children(node: Any) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from (key, value)
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_defaults(path: Path, root: yaml.MappingNode) -> None:
    """Raise ConfigError for a defaults list of another shape than Hydra's."""
    node = value_of(root, ("defaults",))
    if node is None:
        return
    fix = "write  defaults: [loss: focal, _self_]  or one  - loss: focal  a line"
    if not isinstance(node, yaml.SequenceNode):
        raise _error(path, node.start_mark.line + 1, "defaults must be a list", fix)
    for item in node.value:
        line = item.start_mark.line + 1
        if isinstance(item, yaml.ScalarNode):
            good = bool(item.value) and item.tag.endswith(":str")
        else:
            good = isinstance(item, yaml.MappingNode) and _is_choice(item)
        if not good:
            raise _error(path, line, "an entry of defaults must be  group: name", fix)


def _is_choice(item: yaml.MappingNode) -> bool:
    if len(item.value) != 1:
        return False
    key, value = item.value[0]
    names = value.value if isinstance(value, yaml.SequenceNode) else [value]
    kinds = ("str", "null") if names == [value] else ("str",)
    plain = all(isinstance(n, yaml.ScalarNode) and n.tag.endswith(kinds) for n in (key, *names))
    return plain and bool(key.value.removeprefix("override ").strip())


def value_of(root: yaml.Node | None, keys: Sequence[str]) -> yaml.Node | None:
    """Return the node under a path of keys, the last of equal ones; None if it is not there."""
    node = root
    for name in keys:
        children = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((v for k, v in reversed(children) if k.value == name), None)
    return node


def line_of_key(path: Path, key: str) -> int:
    """Return the line where a YAML file has ``key``, at whatever depth; 0 if it has not."""
    open_ = [nodes_of(path)]
    while open_:
        node = open_.pop(0)
        for name, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if name.value == key:
                return int(name.start_mark.line) + 1
        open_.extend(_children(node))
    return 0


def nodes_of(path: Path) -> yaml.Node | None:
    """Return a YAML file as nodes that know their lines; None if it cannot be read."""
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None


def defaults_of_file(path: Path) -> list[tuple[str, int]]:
    """Return every name in a file's defaults list, ``group: name`` as both, with its line."""
    found = []
    open_ = [value_of(nodes_of(path), ("defaults",))]
    while open_:
        node = open_.pop(0)
        if isinstance(node, yaml.ScalarNode):
            found.append((node.value, node.start_mark.line + 1))
        open_[:0] = list(_children(node))
    return found
