"""``check``: composes and checks a config or a sweep, its data and its checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from xferlab.config.compose import compose_experiment
from xferlab.config.recipe import Recipe
from xferlab.formatting import format_count


def check(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Check everything that training would check before its first step; train nothing."""
    from xferlab.experiment.prepare import check_inputs

    recipes: Iterator[Recipe]
    if flags.multirun:
        from xferlab.sweeps.planner import plan_sweep

        plan = plan_sweep(overrides, flags.config_name)
        recipes = plan.recipes()
        count = plan.checked
    else:
        recipes = iter([compose_experiment(overrides, flags.config_name).recipe])
        count = 1
    check_inputs(recipes)
    print(f"ok: {format_count(count, 'config')} checked, data and checkpoint read")
    return 0
