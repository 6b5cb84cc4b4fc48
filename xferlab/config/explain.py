"""A config was refused: what Hydra means, what else is wrong, and where each mistake is from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from hydra.errors import MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from xferlab.config.provenance import CHOICES, TYPED, Word, layers_of, origin, origin_of_choice
from xferlab.config.suggestions import better_key, better_name, data_meant
from xferlab.config.yaml_files import defaults_of_file, files_in, find, shown
from xferlab.contracts import GROUPS
from xferlab.errors import ConfigError, UnknownKey, XferlabError, did_you_mean, kept_in
from xferlab.registry import REGISTRY
from xferlab.validation import translate

MOST = 10
"""Mistakes that are told at once: each of Hydra's costs a composition, a tenth of a second."""
C = TypeVar("C")
T = TypeVar("T")


def examine(
    words: Sequence[str],
    compose: Callable[[Sequence[str]], C],
    read: Callable[[C, Sequence[str]], T],
) -> tuple[T | None, list[XferlabError]]:
    """Return what ``read`` makes of a config, and every mistake in it.

    Hydra stops at its first. So the word at fault is left out, with all that hangs on it, and
    what is left is composed again; what can be composed is read.
    """
    found: list[XferlabError] = []
    content, left = None, list(words)
    while len(found) < MOST:
        try:
            cfg = compose(left)
        except XferlabError as e:
            found.extend(e.each)
            at_fault = _at_fault(left, e, compose)
            if not at_fault:
                break
            if not e.where:
                e.where = f"{Word.of(at_fault[0]).key} ({TYPED})"
            left = _without(left, at_fault)
        else:
            with kept_in(found):
                content = read(cfg, left)
            break
    return content, found


def blamed(words: Sequence[str], mistakes: Sequence[XferlabError]) -> set[str]:
    """Return the words whose keys the mistakes name."""
    keys = {mistake.where.partition(" (")[0].partition("=")[0] for mistake in mistakes}
    return {word for word in words if Word.of(word).key in keys}


def _at_fault(
    words: Sequence[str], e: XferlabError, compose: Callable[[Sequence[str]], object]
) -> list[str]:
    """Return the words that brought an error, or that chose the file that did."""
    key, _, name = e.where.partition(" (")[0].partition("=")
    typed = {word: Word.of(word) for word in words}
    for word, parsed in typed.items():
        if parsed.key == key and (not name or name in (*parsed.names, parsed.value)):
            return [word]
    if TYPED in e.where:
        return [word for word, parsed in typed.items() if key.startswith(f"{parsed.key}.")]
    for word, parsed in typed.items():
        files = [find(f"{parsed.key}/{each}") for each in parsed.names]
        if any(path and re.search(rf"{re.escape(shown(path))}\b", e.where) for path in files):
            return [word]
    if e.where or len(words) > MOST:
        return []
    for word in words:  # Hydra names no key: look without which word it goes
        try:
            compose([w for w in words if w != word])
        except XferlabError as other:
            if str(other) != str(e):
                return [word]
        else:
            return [word]
    return []


def _without(words: Sequence[str], at_fault: Sequence[str]) -> list[str]:
    """Return what can be judged without the words at fault: a field hangs on its plugin."""
    left = [word for word in words if word not in at_fault]
    for choice in (Word.of(word).key for word in at_fault):
        heads = {"experiment": GROUPS, "debug": GROUPS}.get(choice, [choice])
        left = [w for w in left if Word.of(w).key.partition(".")[0] not in heads or "." not in w]
        if "metric" in heads:
            left = [w for w in left if Word.of(w).key != "train.monitor"]
    return left


def located(
    error: XferlabError, words: Sequence[str], config_name: str, *, composed: bool
) -> XferlabError:
    """Add to each mistake's ``where`` the file it came from, and better an unknown key's ``fix``.

    Args:
        error: one or several mistakes, changed in place.
        words: overrides.
        config_name: primary config.
        composed: whether Hydra can compose this; it then knows the files.
    """
    layers = layers_of(words, config_name) if composed else []
    for mistake in error.each:
        place = origin(mistake.where, words, layers)
        if isinstance(mistake, UnknownKey):
            mistake.fix = better_key(mistake, REGISTRY)
            if mistake.where in ("experiment", "debug"):
                mistake.fix = "begin the file with the line  # @package _global_"
        if place:
            mistake.where = f"{mistake.where} ({place})"
    return error


def explain(e: Exception, words: Sequence[str], config_name: str) -> XferlabError:
    """Rewrite what a composition raised: the key, where it is from and the next thing to type."""
    if isinstance(e, XferlabError):
        return e
    if isinstance(e, RecursionError):
        return _circle(words, config_name)
    if isinstance(e, MissingConfigException):
        return _missing(e, words, config_name)
    cause = e.__cause__ if isinstance(e.__cause__, OmegaConfBaseException) else e
    typed = re.match(r"Could not override '([^']+)'", str(e))
    if isinstance(cause, OmegaConfBaseException):
        error = translate(cause, groups=CHOICES, typed=typed[1] if typed else "")
    else:
        lines = [line.strip() for line in f"{e or type(e).__name__}".split("\n") if line.strip()]
        what = " ".join(lines[:2] if lines[0].endswith(":") else lines[:1])
        error = ConfigError(what, where=_named_in(str(e), words), fix=_remedy(str(e)))
    return located(error, words, config_name, composed=False)


def _named_in(message: str, words: Sequence[str]) -> str:
    """Return the key of the word, or the file, that a message of Hydra's names."""
    for key in (Word.of(word).key for word in words):
        if re.search(rf"['\s]{re.escape(key)}['=.\s]", message):
            return key
    path = re.match(r"In '?([\w/]+)'?:", message) or re.match(r"([\w/]+):", message)
    file = find(path[1]) if path else None
    return shown(file) if file else ""


def _remedy(message: str) -> str:
    if "Could not append" in message or "Multiple values for" in message:
        return "leave the + out; in a file write  - override /group: name"
    if "Config group override must be" in message:
        return "choose by name, as in  loss=focal  or  metric=[accuracy,f1]"
    if "Could not delete" in message:
        return "leave it out"
    return "python -m xferlab --help shows what can be typed"


def _missing(e: MissingConfigException, words: Sequence[str], config_name: str) -> ConfigError:
    """Return the error for a plugin, preset or primary config that is not there."""
    group, _, name = (e.missing_cfg_file or "").rpartition("/")
    if not group and name == config_name:
        what = f"there is no config file named '{name}'"
        return ConfigError(
            what, where=f"--config-name {name}", fix=did_you_mean(name, files_in(""))
        )
    if (e.missing_cfg_file or "").startswith("data/"):
        group = "data"
        name = str(e.missing_cfg_file).removeprefix("data/")
        fix = data_meant(name)
        if fix:
            place = origin_of_choice(group, name, words, config_name)
            where = f"data={name} ({place})" if place else f"data={name}"
            return ConfigError(f"there is no data named '{name}'", where=where, fix=fix)
    known = {g: [*REGISTRY.names(g), *files_in(g)] for g in CHOICES}
    known.setdefault(group, list(e.options or []))
    error = REGISTRY.unknown(group or "file", name, better_name(group, name, known))
    other = find(f"{group}/{name}", ".yml")
    if other:
        error.fix = f"rename {shown(other)} to {name}.yaml"
    place = origin_of_choice(group, name, words, config_name)
    if place:
        error.where = f"{group}={name} ({place})"
    return error


def _circle(words: Sequence[str], config_name: str) -> ConfigError:
    """Return the error for files whose defaults lead back to themselves."""
    chosen = [f"{word.key}/{name}" for word in map(Word.of, words) for name in word.names]
    for start in (*chosen, config_name):
        way = _way_round(start, (start,))
        if way:
            files = " -> ".join(shown(path) for path in map(find, way) if path)
            path = find(way[0])
            what = f"its defaults lead back to itself: {files}"
            where = shown(path) if path else start
            return ConfigError(what, where=where, fix="take the entry out of its defaults")
    what = "the defaults of a file, or a value, lead back to themselves"
    return ConfigError(what, fix="take the last entry that was added out")


def _way_round(config_path: str, way: tuple[str, ...]) -> tuple[str, ...]:
    """Return the config paths from one to itself again, by the names in their defaults."""
    path, group = find(config_path), config_path.rpartition("/")[0]
    names = [name for name, _ in defaults_of_file(path)] if path else []
    for name in names:
        following = f"{group}/{name}" if group else name
        if following in way:
            return (*way[way.index(following) :], following)
        round_ = _way_round(following, (*way, following))
        if round_:
            return round_
    return ()
