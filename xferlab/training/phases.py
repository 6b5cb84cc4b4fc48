"""What the phases of a plan freeze, and which of them an epoch belongs to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from xferlab.contracts import Phase


def phase_of(phases: Sequence[Phase], epoch: int) -> int:
    """Return the index of the phase that an epoch, counted from 0, belongs to.

    >>> [phase_of([Phase(1), Phase(2)], epoch) for epoch in range(3)]
    [0, 1, 1]
    """
    ends = itertools.accumulate(phase.epochs for phase in phases)
    return next(index for index, end in enumerate(ends) if epoch < end)


def frozen_blocks(phases: Sequence[Phase]) -> set[str]:
    """Return the blocks that are frozen in some phase."""
    return {block for phase in phases for block in phase.frozen}


def always_frozen_blocks(phases: Sequence[Phase]) -> set[str]:
    """Return the blocks that are frozen in every phase."""
    return set.intersection(*(set(phase.frozen) for phase in phases))


def was_trained_before(phases: Sequence[Phase], index: int) -> bool:
    """Return whether a phase freezes a block that an earlier one trains.

    Its average is not what the phase computes with.
    """
    frozen = set(phases[index].frozen)
    return any(frozen - set(phase.frozen) for phase in phases[:index])
