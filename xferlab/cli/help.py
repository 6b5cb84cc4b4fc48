"""``help`` and ``--help``: how the commands are used, and the plugins that are installed."""

from __future__ import annotations

import argparse
import textwrap

from xferlab.contracts import GROUPS
from xferlab.registry import REGISTRY

HELP = """\
usage: python -m xferlab [OVERRIDES]           train one experiment
       python -m xferlab -m [OVERRIDES]        train a grid:  optimizer.lr=1e-5,3e-5,1e-4
       python -m xferlab -m sweep=lr_seeds     a file of jobs; typed again: continues
       python -m xferlab check [-m] [OVERRIDES] check config, data and checkpoint, train nothing
       python -m xferlab find-lr [OVERRIDES]   suggest a learning rate (from=1e-7 to=1 steps=100)
       python -m xferlab list [GROUP]          plugins and presets, one line each
       python -m xferlab describe GROUP=NAME   a plugin's fields, types and defaults

       python -m xferlab report FOLDER...      runs and sweeps side by side, at any time
       python -m xferlab evaluate RUN [DATA]   scores of a finished run, on any examples
       python -m xferlab predict RUN "a text"  predictions of a finished run for texts and files
       python -m xferlab export RUN --to onnx  a finished run as ONNX, LiteRT, SavedModel, ...
                                               (these three have a --help of their own)

overrides:
  loss=focal            choose a plugin         loss.gamma=2      set one of its fields
  metric=[accuracy,f1]  choose several          train.epochs=5    set a framework key
  experiment=NAME       a file of choices       debug=NAME        a short run to try the setup

sweeps (-m):
  sweep.workers=2       jobs at once            sweep.gpus=[0,1]  one of these for each worker
  sweep.fail_fast=true  stop at a failure       --dry-run         print the jobs, run none

also: --cfg job --resolve  print the config      --config-dir DIR   another folder of configs
      --info searchpath    where configs are     --config-name NAME another conf/NAME.yaml
      --recover            resume the interrupted run of this config
      --recover=FOLDER     resume that run, with its overrides
      --force              replace the run in hydra.run.dir
      --debug              show the traceback of an error
"""


def show_help(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Print usage and the plugins that are installed right now."""
    print(HELP)
    print("plugins:")
    for group in GROUPS:
        names = f"  {group:<10} {', '.join(REGISTRY.names(group))}"
        print(textwrap.fill(names, 96, subsequent_indent=" " * 13))
    return 0
