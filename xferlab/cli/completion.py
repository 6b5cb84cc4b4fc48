"""``completion``: the script that a shell needs to complete command lines, and the candidates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from xferlab.cli.arguments import flag_names, take_plugin_folders
from xferlab.cli.commands import COMMANDS
from xferlab.cli.describe import LAUNCHER, launchers
from xferlab.cli.flags import FlagParser
from xferlab.config.presets import preset_files
from xferlab.config.reference import FILE_GROUPS, SECTIONS, Setting, all_settings
from xferlab.discovery import add_folders, load_plugins
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY

SCRIPTS = {
    "bash": """\
# eval "$(xferlab completion bash)" in ~/.bashrc
_xferlab() {
    local line="${COMP_LINE:0:COMP_POINT}"
    local current="${line##* }"
    local done_part="${current%"${current##*[=:]}"}"  # bash takes what follows = or : as a word
    local IFS=$'\\n'
    COMPREPLY=($(xferlab completion candidates "$line" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$done_part"}")
    case "${COMPREPLY[0]}" in *=|*.|*[[]*) compopt -o nospace 2>/dev/null ;; esac
}
complete -o default -F _xferlab xferlab
""",
    "zsh": """\
# eval "$(xferlab completion zsh)" in ~/.zshrc, after compinit
_xferlab() {
    local -a found
    found=("${(@f)$(xferlab completion candidates "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found[1]" ]]; then compadd -Q -S '' -- $found; else _files; fi
}
compdef _xferlab xferlab
""",
    "fish": """\
# xferlab completion fish > ~/.config/fish/completions/xferlab.fish
function __xferlab_candidates
    set -l found (xferlab completion candidates (commandline -cp | string collect) 2>/dev/null)
    if set -q found[1]
        printf '%s\\n' $found
        return
    end
    set -l word (commandline -ct)
    set -l key (string match -r '^[^=]*=' -- $word)
    for path in (__fish_complete_path (string replace -- "$key" '' $word))
        echo $key$path
    end
end
complete -c xferlab -f -a '(__xferlab_candidates)'
""",
}
"""By shell; each asks this command for the candidates."""


ABOUT = "Print the script that a shell needs to complete the command lines of xferlab."
EXAMPLES = """\
examples:
  eval "$(xferlab completion bash)"         in ~/.bashrc
  eval "$(xferlab completion zsh)"          in ~/.zshrc, after compinit
  xferlab completion fish > ~/.config/fish/completions/xferlab.fish

Commands, groups, plugins, presets, settings, choices and run folders are completed for the program
xferlab. The scripts call: completion candidates LINE.
"""


def completion(arguments: list[str]) -> int:
    """Print the script of a shell, or with ``candidates LINE`` how the last word can continue."""
    parser = FlagParser("completion", ABOUT, EXAMPLES)
    parser.add_argument("shell", choices=[*SCRIPTS, "candidates"], metavar="SHELL")
    parser.add_argument("line", nargs="?", default="", metavar="LINE", help="for candidates")
    flags = parser.read(arguments)
    if flags.shell == "candidates":
        for candidate in candidates(flags.line):
            print(candidate)
    else:
        print(SCRIPTS[flags.shell], end="")
    return 0


def candidates(line: str) -> list[str]:
    """Return the words that the last word of a command line can become, sorted.

    Args:
        line: up to the cursor, the name of the program first.
    """
    *before, current = line.split(" ")
    words = [word for word in before[1:] if word]
    folders = take_plugin_folders(words)
    if folders:
        add_folders(folders)
        load_plugins(Path.cwd())
    command = words[0] if words and words[0] in COMMANDS else None
    overrides = words[1:] if command else words
    found: Iterable[str]
    if current.startswith("-"):
        found = [flag for flag in flag_names() if flag.startswith("--")]
    elif command == "list":
        found = (*GROUPS, *FILE_GROUPS, *SECTIONS, "launcher")
    elif command == "completion":
        found = SCRIPTS
    elif command and COMMANDS[command].usage.startswith(("RUN", "FOLDER")):
        found = _folders()
    elif "=" in current:
        found = _choices(*current.split("=", 1))
    else:
        is_key = command != "describe"
        keys = [f"{key}=" if is_key else key for key in _keys(overrides)]
        names = () if is_key else SECTIONS
        found = [*(() if words else COMMANDS), *names, *(_beginning(key, current) for key in keys)]
    return sorted({each for each in found if each.startswith(current)})


def _beginning(key: str, current: str) -> str:
    """Return a key up to the first point after what is there, so that a list stays short."""
    end = key.find(".", len(current))
    return key[: end + 1] if end >= 0 else key


def _keys(overrides: Sequence[str]) -> Iterator[str]:
    """Yield the keys that can be set: of groups whose plugin is chosen, that plugin's fields."""
    yield from (*GROUPS, *FILE_GROUPS, LAUNCHER)
    chosen = dict(override.split("=", 1) for override in overrides if "=" in override)
    for group, name in chosen.items():
        if name in REGISTRY.announced(group):
            REGISTRY.get(group, name)
    for owner, setting in all_settings():
        group, _, name = owner.partition("=")
        if name in chosen.get(group, name):
            yield setting.key


def _choices(key: str, value: str) -> Iterator[str]:
    """Yield what a key can be set to, with the key: plugins, presets, files, choices."""
    start = f"{key}="
    if key in GROUPS or key in FILE_GROUPS:
        names = {*preset_files(key, Path.cwd()), *(REGISTRY.names(key) if key in GROUPS else ())}
        if value.startswith("["):
            start += value[: max(value.rfind("["), value.rfind(",")) + 1]
        yield from (f"{start}{name}" for name in names)
    elif key == LAUNCHER:
        yield from (f"{start}{name}" for name in launchers())
    else:
        for _, setting in all_settings():
            if setting.key == key:
                yield from (f"{start}{choice}" for choice in _words(setting))


def _words(setting: Setting) -> Iterator[str]:
    """Yield the values of a setting that has few."""
    if "|" in setting.type:
        yield from setting.type.split(" or ")[0].split("|")
    if "bool" in setting.type:
        yield from ("true", "false")
    if "null" in setting.type:
        yield "null"


def _folders() -> Iterator[str]:
    """Yield the folders of runs, sweeps and jobs."""
    for pattern in ("outputs/runs/*", "outputs/sweeps/*", "outputs/sweeps/*/*"):
        for path in Path().glob(pattern):
            if path.is_dir() and not path.name.startswith("."):
                yield path.as_posix()
