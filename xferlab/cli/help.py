"""``help`` and ``--help``: how the commands are used, and the plugins that are installed."""

from __future__ import annotations

import argparse
import textwrap

from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY

HELP = """\
usage: python -m xferlab [OVERRIDES]          train one experiment
       python -m xferlab -m [OVERRIDES]       a grid: optimizer.lr=1e-5,3e-5
       python -m xferlab -m sweep=lr_seeds    run a file of jobs, or continue it
       python -m xferlab check [OVERRIDES]    check config, data, checkpoint
       python -m xferlab find-lr [OVERRIDES]  suggest a learning rate
       python -m xferlab list [GROUP]         plugins and presets, one line each
       python -m xferlab describe GROUP=NAME  fields, types, defaults

       python -m xferlab report FOLDER...     runs and sweeps side by side
       python -m xferlab evaluate RUN [DATA]  scores of a run on any data
       python -m xferlab predict RUN "text"   predictions for texts and files
       python -m xferlab export RUN --to onnx a run as ONNX, LiteRT, ...
       python -m xferlab combine RUN...       average, vote or soup of runs
                                              (these four have --help)

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
"""


def show_help(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Print usage and the plugins that are installed right now."""
    print(HELP)
    print("plugins:")
    for group in GROUPS:
        names = f"  {group:<10} {', '.join(REGISTRY.names(group))}"
        print(textwrap.fill(names, 80, subsequent_indent=" " * 13))
    return 0
