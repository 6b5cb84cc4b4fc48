"""``help`` and ``--help``: how the commands are used, and the plugins that are installed."""

from __future__ import annotations

import argparse
import textwrap

from xferlab.cli.commands import COMMANDS
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY

USAGE = """\
usage: python -m xferlab [OVERRIDES]          train one experiment
       python -m xferlab -m [OVERRIDES]       a grid: optimizer.lr=1e-5,3e-5
       python -m xferlab -m sweep=lr_seeds    run a file of jobs, or continue it
"""

HELP = """\
overrides:
  loss=focal            choose a plugin     loss.gamma=2      set its field
  metric=[accuracy,f1]  choose several      train.epochs=5    set another key
  experiment=NAME       a file of choices   debug=NAME        a short trial run

sweeps (-m):
  sweep.workers=2       jobs at once        sweep.gpus=[0,1]  one a worker
  sweep.fail_fast=true  stop at a failure   --dry-run         print the jobs

flags:
  --cfg job --resolve   print the config
  --info searchpath     print where configs are
  --config-dir DIR      another folder of configs
  --config-name NAME    another conf/NAME.yaml
  --recover             resume the interrupted run of this config
  --recover=FOLDER      resume that run, with its overrides
  --force               replace the run in hydra.run.dir
  --debug               show the traceback of an error
  --version             print the version
"""


def show_help(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Print usage and the plugins that are installed right now."""
    print(USAGE, end="")
    for name, command in COMMANDS.items():
        if name != "train":
            print(f"       {f'python -m xferlab {name} {command.usage}':<38} {command.summary}")
    print(f"\n{HELP}")
    print("plugins:")
    for group in GROUPS:
        names = f"  {group:<11} {', '.join(REGISTRY.names(group))}"
        print(textwrap.fill(names, 80, subsequent_indent=" " * 14))
    return 0


def show_help_of(name: str) -> int:
    """Print the help of a command; that of ``train`` is the whole page."""
    command = COMMANDS[name]
    if not command.details:
        return show_help(argparse.Namespace(), [])
    print(f"usage: python -m xferlab {name} {command.usage}\n\n{command.details}", end="")
    return 0
