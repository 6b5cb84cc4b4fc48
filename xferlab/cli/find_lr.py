"""``find-lr``: the learning-rate range test."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from xferlab.cli.terminal import print_folded
from xferlab.config.compose import compose_experiment
from xferlab.errors import ConfigError


def find_lr(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Train a few steps at an increasing learning rate and suggest a peak for the schedule."""
    from xferlab.experiment.lr_finder import find_lr as run_range_test
    from xferlab.experiment.lr_range_test import parse_range

    if flags.multirun:
        raise ConfigError("a range test is one job", where="-m", fix="leave -m out")
    span, overrides = parse_range(overrides)
    recipe = compose_experiment(overrides, flags.config_name).recipe
    folder = Path(f"outputs/find_lr/{datetime.now():%Y-%m-%d_%H-%M-%S}-{recipe.run_id}")
    result = run_range_test(recipe, folder, span)
    for line in [*result.lines(overrides), f"saved to   {folder}"]:
        print_folded(line)
    return 0
