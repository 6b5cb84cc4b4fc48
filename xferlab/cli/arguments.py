"""Flags of the commands that take overrides; those of finished runs have a FlagParser each."""

from __future__ import annotations

import argparse
from pathlib import Path

from xferlab.config.overrides import parse_overrides
from xferlab.config.suggestions import setting_for_flag
from xferlab.deprecated import current_override
from xferlab.discovery import KEY
from xferlab.errors import ConfigError, did_you_mean


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split ``argv`` into flags and overrides; any other flag is an error.

    Hydra has flags that run code (``--experimental-rerun`` unpickles a file) or that move
    the config out of the checked path, so only the ones listed here are accepted.
    """
    parser = _flag_parser()
    argv = ["--recover=" if word == "--recover" else word for word in argv]  # takes no next word
    try:
        flags, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError as e:
        raise ConfigError(str(e), where=" ".join(argv), fix="python -m xferlab --help") from e
    unknown = [a for a in rest if a.startswith("-")]
    if unknown:
        fix = setting_for_flag(argv, unknown[0]) or did_you_mean(unknown[0], flag_names())
        raise ConfigError(f"there is no flag {unknown[0]}", where=unknown[0], fix=fix)
    if flags.config_dir and not Path(flags.config_dir).is_dir():
        raise ConfigError(
            "there is no such folder", where=f"--config-dir {flags.config_dir}", fix="make it"
        )
    return flags, [current_override(each) for each in rest]


def take_plugin_folders(argv: list[str]) -> list[str]:
    """Remove each ``plugins.paths=[DIR]`` from ``argv`` and return the folders.

    They are typed, never read from a file: a config is data, and a plugin is code.
    """
    folders: list[str] = []
    for word in [word for word in argv if word.startswith(f"{KEY}=")]:
        argv.remove(word)
        value = parse_overrides([word])[0].value()
        folders += [str(each) for each in (value if isinstance(value, list) else [value])]
    return folders


def flag_names() -> list[str]:
    """Return the flags, short ones too."""
    return [word for action in _flag_parser()._actions for word in action.option_strings]


def _flag_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("-c", "--cfg", choices=["job", "hydra", "all"])
    parser.add_argument("-i", "--info", choices=["searchpath", "defaults", "defaults-tree"])
    parser.add_argument("-r", "--resolve", action="store_true")
    parser.add_argument("-p", "--package")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-cn", "--config-name", default="config")
    parser.add_argument("--html")
    parser.add_argument("--recover")
    parser.add_argument("--force", action="store_true")
    return parser
