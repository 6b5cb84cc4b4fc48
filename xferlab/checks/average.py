"""Checks of an average: what it takes over the whole run, before the first step."""

from __future__ import annotations

import dataclasses

from xferlab.checks.probe_batch import ContractViolation
from xferlab.training.average import RunAverage, take_at


def check_average(average: RunAverage) -> ContractViolation | None:
    """Return what an average violates in a run of this length, or None.

    What it returns is checked by ``training.average.take_at``.
    """
    taken = 0
    for each in average.plan.moments():
        moment = dataclasses.replace(each, taken=taken)
        take = take_at(average.plugin, moment)
        if take != take_at(average.plugin, moment):
            what = f"returns different values for step {moment.step}"
            return what, "keep no state: decide from the moment alone"
        taken += take is not None
    if taken == 0:
        steps = average.plan.budget.total_steps
        return f"takes no weights in {steps} steps", "let it begin earlier, or train longer"
    return None
