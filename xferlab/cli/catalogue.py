"""What there is to type: the help, the plugins and presets, the fields of one of them."""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
from pathlib import Path

from xferlab.config.presets import name_of_plugin, preset_files, presets
from xferlab.contracts import GROUPS
from xferlab.errors import ConfigError, did_you_mean
from xferlab.registry import REGISTRY

HELP = """\
usage: python -m xferlab [OVERRIDES]           train one experiment
       python -m xferlab -m [OVERRIDES]        train a grid:  optimizer.lr=1e-5,3e-5,1e-4
       python -m xferlab -m sweep=lr_seeds     a file of jobs; again: continues where it stopped
       python -m xferlab check [-m] [WORDS]    check config, data and checkpoint, train nothing
       python -m xferlab find-lr [OVERRIDES]   suggest a learning rate (from=1e-7 to=1 steps=100)
       python -m xferlab list [GROUP]          plugins and presets, one line each
       python -m xferlab describe GROUP=NAME   a plugin's fields, types and defaults

       python -m xferlab report FOLDER...      runs and sweeps side by side, at any time
       python -m xferlab evaluate RUN [WORDS]  scores of a finished run, on any rows
       python -m xferlab predict RUN "a text"  what a finished run says of texts and files
       python -m xferlab export RUN --to onnx  a finished run in a format of others
                                               (the last three: --help says more)

overrides:
  loss=focal            choose a plugin         loss.gamma=2      set one of its fields
  metric=[accuracy,f1]  choose several          train.epochs=5    set a framework key
  experiment=NAME       a file of choices       debug=NAME        a quick look at the machinery

sweeps (-m):
  sweep.workers=2       jobs at once            sweep.gpus=[0,1]  one of these for each worker
  sweep.fail_fast=true  stop at a failure       --dry-run         print the jobs, run none

also: --cfg job --resolve  print the config      --config-dir DIR   another folder of configs
      --info searchpath    where configs are     --config-name NAME another conf/NAME.yaml
      --recover            go on with the interrupted run of this config
      --recover=FOLDER     go on with that run; its words need not be typed again
      --force              replace the run in hydra.run.dir
      --debug              show the traceback of an error
"""


def show_help(flags: argparse.Namespace, words: list[str]) -> int:
    """Print usage and the plugins that are installed right now."""
    print(HELP)
    print("plugins:")
    for group in GROUPS:
        print(textwrap.fill(f"  {group:<10} {', '.join(REGISTRY.names(group))}", 96,
                            subsequent_indent=" " * 13))  # fmt: skip
    return 0


def show_list(flags: argparse.Namespace, words: list[str]) -> int:
    """Print one line a plugin and one a preset."""
    unknown = [word for word in words if word not in GROUPS]
    if unknown:
        raise _no_group(unknown[0])
    for group in words or GROUPS:
        rows = {e.name: e.summary for e in REGISTRY if e.group == group}
        rows |= presets(group, Path.cwd())
        for name in sorted(rows):
            print(f"{group + '=' + name:<30} {rows[name]}")
    for error in REGISTRY.broken:
        print(f"broken: {error.where:<22} {error.what}")
    return 0


def describe(flags: argparse.Namespace, words: list[str]) -> int:
    """Print a preset's file, a plugin's docstring and its fields."""
    group, _, name = (words[0] if words else "").partition("=")
    if group not in GROUPS:
        raise _no_group(group)
    preset = preset_files(group, Path.cwd()).get(name)
    if preset:
        print(f"{group}={name}  ({preset})\n\n{preset.read_text(encoding='utf-8').strip()}\n")
        name = name_of_plugin(preset)
    entry = REGISTRY.get(group, name)
    print(f"{group}={name}  ({entry.origin})\n")
    print(textwrap.dedent(entry.cls.__doc__ or "").strip() + "\n")
    defaults = entry.defaults()
    for f in dataclasses.fields(entry.cls):
        value = "required" if defaults[f.name] == "???" else repr(defaults[f.name])
        print(f"  {group}.{f.name:<20} {f.type!s:<22} {value}")
    return 0


def _no_group(word: str) -> ConfigError:
    return ConfigError(
        f"there is no plugin group '{word}'", where=word, fix=did_you_mean(word, GROUPS)
    )
