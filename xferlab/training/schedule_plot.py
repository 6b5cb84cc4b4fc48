"""The plot of a plan: the learning rate of every step, the epochs, what is frozen when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.callbacks import one_rate
from xferlab.contracts import Phase, TextModel, TransferPlan
from xferlab.formatting import format_count, format_learning_rate
from xferlab.plotting import BLUE, FAINT, GRID, INK, ORANGE, new_figure, save_figure, set_title
from xferlab.training.assemble import Experiment

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TINTS = ("#eef3f9", "#fdf3e7", "#eef7ee", "#f6eff8")
PLACE = (0.095, 0.135, 0.89, 0.735)
"""Left and lower edge, width and height of the axes, as fractions of the figure."""
MOST_LINES = 6
"""Groups of blocks with a line each; more could not be distinguished."""
LETTER = 7.2
"""Pixels that a letter of a phase's name takes, about."""
MOST_EPOCHS = 12
"""Epoch boundaries that are marked; of more, every second, fifth or tenth."""


def schedule_figure(rates: np.ndarray, experiment: Experiment, schedule: str, path: Path) -> bytes:
    """Plot the planned learning rate over the optimizer steps; return the PNG.

    Args:
        rates: learning rate of every optimizer step, (total_steps,).
        experiment: gives the epochs, the phases and the blocks' own rates.
        schedule: name of the schedule, for the title.
        path: file to write.
    """
    figure, axes = new_figure()
    steps = len(rates)
    peak = int(rates.argmax())
    _frame(axes, rates, experiment)
    _epochs(axes, experiment, steps)
    _curves(axes, rates, experiment)
    _mark_peak(axes, rates)
    set_title(
        axes,
        f"{schedule}, peak {format_learning_rate(rates[peak], 3)}",
        f"{format_count(steps, 'step')} in {format_count(experiment.budget.epochs, 'epoch')}",
    )
    _fix_layout(figure, axes)
    _phases(axes, phase_spans(experiment), list(experiment.model.blocks))
    return save_figure(figure, path)


def phase_spans(experiment: Experiment) -> list[tuple[Phase, float, float]]:
    """Return each phase that the run reaches, its first and its last edge in optimizer steps."""
    per_epoch = _steps_per_epoch(experiment)
    steps = experiment.budget.total_steps
    spans = []
    begin = 0
    for phase in experiment.plan.phases:
        first = begin * per_epoch
        last = min(steps, (begin + phase.epochs) * per_epoch)
        if last > first:
            spans.append((phase, first + 0.5, last + 0.5))
        begin += phase.epochs
    return spans


@dataclass(frozen=True)
class RateGroup:
    """Neighbouring blocks with the same phases and the same learning-rate multiplier."""

    blocks: tuple[str, ...]
    fraction: float
    phases: tuple[int, ...]


def rate_groups(model: TextModel, plan: TransferPlan) -> list[RateGroup]:
    """Return the blocks that are trained, grouped by phases and multiplier, from the head down."""
    groups: list[RateGroup] = []
    for name in reversed(list(model.blocks)):
        phases = tuple(i for i, phase in enumerate(plan.phases) if name not in phase.frozen)
        alone = RateGroup((name,), plan.rates.get(name, 1.0), phases)
        last = groups[-1] if groups else None
        if last and (last.fraction, last.phases) == (alone.fraction, phases):
            groups[-1] = replace(last, blocks=(*last.blocks, name))
        elif phases:
            groups.append(alone)
    return groups


def block_rates(
    experiment: Experiment, rate_of: Callable[[int], float]
) -> Callable[[int], Mapping[str, float]]:
    """Return a function that gives the learning rate of each block in an optimizer step.

    A block that no phase trains has none.

    Args:
        experiment: gives the phases and the blocks' own rates.
        rate_of: the rate of a step, counted from 1.
    """
    plan = experiment.plan
    groups = rate_groups(experiment.model, plan)
    every_phase = tuple(range(len(plan.phases)))
    if all((group.fraction, group.phases) == (1.0, every_phase) for group in groups):
        return one_rate
    trained = {block for group in groups for block in group.blocks}
    blocks = [block for block in experiment.model.blocks if block in trained]
    spans = phase_spans(experiment)

    def rates(update: int) -> dict[str, float]:
        rate = rate_of(update)
        frozen = next((p.frozen for p, first, last in spans if first < update <= last), ())
        return {b: 0.0 if b in frozen else rate * plan.rates.get(b, 1.0) for b in blocks}

    return rates


def format_blocks(blocks: Sequence[str], order: Sequence[str]) -> str:
    """Return names of blocks, neighbours in ``order`` joined by "to".

    >>> format_blocks(["a", "b", "c", "e"], ["a", "b", "c", "d", "e"])
    'a to c, e'
    """
    runs: list[list[str]] = []
    for name in order:
        if name not in blocks:
            continue
        before = order[order.index(name) - 1] if order.index(name) else None
        if runs and runs[-1][-1] == before:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _steps_per_epoch(experiment: Experiment) -> float:
    """Return optimizer steps in an epoch, not rounded: an epoch may end within a step."""
    return experiment.batches.steps_per_epoch / (
        experiment.optimizer.gradient_accumulation_steps or 1
    )


def _frame(axes: Axes, rates: np.ndarray, experiment: Experiment) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(0.5, len(rates) + 0.5)
    names = any(phase.frozen for phase in experiment.plan.phases)
    axes.set_ylim(0, (float(rates.max()) or 1.0) * (1.32 if names else 1.12))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: format_learning_rate(rate)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("learning rate")


def _curves(axes: Axes, rates: np.ndarray, experiment: Experiment) -> None:
    """Draw the rate, or a line for each group of blocks if their rates differ.

    Of more than :data:`MOST_LINES` groups as many are plotted, the first and the last among them.
    """
    from matplotlib import colormaps

    model = experiment.model
    spans = phase_spans(experiment)
    groups = rate_groups(model, experiment.plan)
    if len({group.fraction for group in groups}) < 2:
        _curve(axes, rates, BLUE, "")
        return
    if len(groups) > MOST_LINES:
        last = len(groups) - 1
        groups = [groups[round(i * last / (MOST_LINES - 1))] for i in range(MOST_LINES)]
    for i, group in enumerate(groups):
        values = rates * group.fraction
        for index, (_, first, end) in enumerate(spans):
            if index not in group.phases:
                values[round(first - 0.5) : round(end - 0.5)] = float("nan")
        label = f"{format_blocks(group.blocks, list(model.blocks))}  x{group.fraction:.3g}"
        _curve(axes, values, colormaps["viridis"](0.05 + 0.8 * i / (len(groups) - 1)), label)
    axes.legend(
        title="block, share of the rate",
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        fontsize=9,
        title_fontsize=9,
        labelcolor=INK,
        alignment="left",
    )


def _curve(axes: Axes, values: np.ndarray, colour: Any, label: str) -> None:
    steps = range(1, len(values) + 1)
    marker = "o" if len(values) <= 40 else None  # so few that each step can be seen
    axes.plot(steps, values, color=colour, linewidth=2, marker=marker, markersize=4, label=label)


def _epochs(axes: Axes, experiment: Experiment, steps: int) -> None:
    """Mark where epochs end, and write their numbers along the top."""
    per_epoch = _steps_per_epoch(experiment)
    epochs = experiment.budget.epochs
    every = next(n for n in _round_numbers() if epochs / n <= MOST_EPOCHS)
    for epoch in range(every, epochs + 1, every):
        edge = min(epoch * per_epoch, steps) + 0.5
        if epoch * per_epoch < steps:
            axes.axvline(edge, color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)), alpha=0.6)
        middle = edge - min(every * per_epoch, steps) / 2
        label = f"epoch {epoch}" if every == 1 and epochs <= 8 else str(epoch)
        x, align = (middle, "center") if every == 1 else (edge, "right")
        axes.text(
            x,
            1.015,
            label if epoch > every or every == 1 else f"epoch {label}",
            transform=axes.get_xaxis_transform(),
            ha=align,
            fontsize=8,
            color=FAINT,
        )


def _round_numbers() -> Any:
    return (digit * 10**power for power in range(9) for digit in (1, 2, 5))


def _mark_peak(axes: Axes, rates: np.ndarray) -> None:
    """Mark the end of the warm-up: where a steady rise from the first step ends."""
    peak = int(rates.argmax())
    if peak == 0:
        return
    rises = all(rates[i] <= rates[i + 1] for i in range(peak))
    label = "warm-up ends" if rises and peak + 1 < len(rates) else "peak"
    axes.plot([peak + 1, peak + 1], [0, rates[peak]], color=ORANGE, linewidth=1, linestyle=":")
    axes.plot([peak + 1], [rates[peak]], "o", color=ORANGE, markersize=6)
    right = peak + 1 > 0.75 * len(rates)
    axes.annotate(
        f"{label}: step {peak + 1}",
        (peak + 1, rates[peak]),
        fontsize=9,
        color=ORANGE,
        xytext=(-9 if right else 9, 3),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
    )


def _fix_layout(figure: Figure, axes: Axes) -> None:
    """Give the axes their place: what a layout that draws all text finds takes half of the time."""
    if axes.get_legend() is not None:  # beside the axes, as wide as its longest line
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    if axes.get_legend() is None:
        axes.set_position(PLACE)


def _phases(
    axes: Axes,
    spans: Sequence[tuple[Phase, float, float]],
    names: Sequence[str],
) -> None:
    """Shade the phases and label each with its frozen blocks, as far as there is room."""
    if len(spans) == 1 and not spans[0][0].frozen:
        return
    width = axes.get_window_extent().width
    total = spans[-1][2] - spans[0][1]
    for index, (phase, first, last) in enumerate(spans):
        tint = TINTS[index % len(TINTS)]
        axes.axvspan(first, last, color=tint, linewidth=0, zorder=0)
        letters = int((last - first) / total * width / LETTER)
        text = _fitting(phase_labels(phase, names), letters)
        axes.text(
            (first + last) / 2,
            0.975,
            text,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=9,
            color=INK,
            linespacing=1.25,
            bbox={"facecolor": tint, "edgecolor": "none", "pad": 1.5},
        )


def phase_labels(phase: Phase, names: Sequence[str]) -> list[str]:
    """Return labels that name a phase's frozen and trainable blocks, from long to short."""
    if not phase.frozen:
        return ["all blocks trainable", "all blocks\ntrainable", "all\ntrainable", "all"]
    count = len(phase.frozen)
    frozen = format_blocks(phase.frozen, names)
    trainable = [name for name in names if name not in phase.frozen]
    listed = format_blocks(trainable, names) or "none"
    shorter = []
    if trainable and trainable == list(names[count:]):
        shorter = [f"{trainable[0]}\nonly" if len(trainable) == 1 else f"{trainable[0]}\nand up"]
    return [
        f"frozen: {frozen}   trainable: {listed}",
        f"frozen: {frozen}\ntrainable: {listed}",
        f"frozen:\n{frozen}",
        *shorter,
        f"{count} frozen",
        f"{count}\nfrozen",
        f"-{count}",
    ]


def _fitting(ways: Sequence[str], letters: int) -> str:
    """Return the first of ``ways`` of which no line is longer than ``letters``, or nothing."""
    fits = (way for way in ways if max(map(len, way.splitlines())) <= letters)
    return next(fits, "")
