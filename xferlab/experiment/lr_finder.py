"""The learning-rate range test: a short training at a growing rate, and the rate it suggests.

Smith 2017, "Cyclical learning rates for training neural networks", section 3.3; with a rate that
grows by the same factor every step, as in fastai. It writes only into its own folder.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.callbacks import Step
from xferlab.checks.experiment import inspect
from xferlab.config.recipe import Recipe
from xferlab.contracts import Budget
from xferlab.errors import RunError
from xferlab.experiment.lr_range_test import (
    FEWEST_STEPS,
    SPREAD,
    LRFinderResult,
    Span,
    found,
    until_too_high,
)
from xferlab.experiment.prepare import prepare
from xferlab.formatting import format_count, format_learning_rate
from xferlab.functional.schedules import tabulated
from xferlab.io.atomic import atomic_write
from xferlab.plotting import BLUE, FAINT, GRID, INK, ORANGE, new_figure, save_figure, set_title
from xferlab.runs.metadata import write_config
from xferlab.training.assemble import Experiment, assemble
from xferlab.training.callbacks.progress import ProgressBar
from xferlab.training.loop import Segment, training_batches
from xferlab.training.optimizer_extensions import extend_optimizer
from xferlab.training.phase_network import build_phase

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class _Growing:
    """The test's own schedule."""

    span: Span

    def build(self, peak: float, budget: Budget) -> Any:
        return tabulated(self.span.rates)


def find_lr(recipe: Recipe, folder: Path, span: Span) -> LRFinderResult:
    """Train for a few steps at a growing rate, and return what that shows.

    Everything but the schedule is the run's own: rows and their order, batch size, accumulation,
    clipping, optimizer, precision, the blocks that its first phase freezes and their rates.
    ``folder`` gets ``find_lr.csv``, ``find_lr.png`` and ``config.yaml``.

    Raises:
        RunError: the loss explodes at the lowest rates already.
    """
    import numpy as np

    recipe, data = prepare(recipe)
    recipe = recipe.with_plugin("schedule", _Growing(span))
    experiment = assemble(recipe, data)
    inspect(experiment, recipe, np.asarray(span.rates))
    losses = until_too_high(_losses(experiment, span.steps))
    if len(losses) < FEWEST_STEPS // 2:
        raise RunError(
            f"the loss explodes after {len(losses)} steps, at rates as low as"
            f" {format_learning_rate(span.lowest)}",
            where="find-lr",
            fix=f"from={format_learning_rate(span.lowest / 1000)}, or inspect the loss and data",
        )
    finding = found(span.rates[: len(losses)], losses)
    write_config(folder, recipe.config)
    atomic_write(folder / "find_lr.csv", _table(finding))
    lr_finder_figure(finding, folder / "find_lr.png")
    return finding


def _losses(experiment: Experiment, steps: int) -> Iterator[float]:
    """Train in the plan's first phase; yield the loss of every optimizer step."""
    optimizer = experiment.optimizer
    network = build_phase(experiment, 0)
    optimizer.build(experiment.model.network.trainable_variables)
    plan = experiment.plan
    extend_optimizer(optimizer, experiment.model, plan.rates, plan.groups)
    network.compile(experiment)
    gradient_accumulation_steps = optimizer.gradient_accumulation_steps or 1
    segment = Segment(
        phase=0, epoch=0, epochs=1, batches=steps * gradient_accumulation_steps, start=0
    )
    bar = ProgressBar(segment.batches, epochs=1)
    batches = training_batches(experiment, network, segment)
    total = 0.0
    try:
        for done, (inputs, labels) in enumerate(batches, start=1):
            network.trained.reset_metrics()  # or the loss would be the mean since the first step
            logs = network.trained.train_on_batch(inputs, labels, return_dict=True)
            loss = float(logs["loss"])
            bar.on_step(Step(done, done // gradient_accumulation_steps, loss))
            total += loss
            if done % gradient_accumulation_steps == 0:
                yield total / gradient_accumulation_steps
                total = 0.0
    finally:
        bar.close()


def _table(finding: LRFinderResult) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rate", "loss", "smoothed"])
    columns = (finding.rates, finding.losses, finding.smoothed)
    writer.writerows([f"{value:.7g}" for value in row] for row in zip(*columns, strict=True))
    return text.getvalue()


def lr_finder_figure(finding: LRFinderResult, path: Path) -> bytes:
    """Draw loss over rate, and mark the suggestion; return the PNG that was written."""
    figure, axes = new_figure()
    rates = finding.rates
    smoothed = finding.smoothed
    lowest = finding.lowest
    axes.set_xscale("log")
    axes.set_xlim(rates[0], rates[-1])
    axes.set_ylim(*_heights(finding))
    axes.grid(color="#eef1f4", linewidth=0.8)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.plot(rates, finding.losses, color=BLUE, alpha=0.3, linewidth=1, label="each step")
    axes.plot(rates, smoothed, color=BLUE, linewidth=2, label="smoothed")
    axes.legend(loc="lower left", frameon=False, fontsize=9, labelcolor=INK)
    title = "no rate made the loss fall clearly"
    if finding.suggestion is not None:
        suggested = format_learning_rate(finding.suggestion)
        title = f"suggested peak {suggested}"
        axes.axvline(finding.suggestion, color=ORANGE, linewidth=1.5)
        axes.axvspan(
            finding.suggestion / SPREAD,
            finding.suggestion * SPREAD,
            color=ORANGE,
            alpha=0.08,
            linewidth=0,
            zorder=0,
        )
        _note(axes, finding.suggestion, f" {suggested}", ORANGE)
        axes.plot(rates[lowest], smoothed[lowest], "o", color=ORANGE, markersize=6)
        axes.annotate(
            "lowest",
            (rates[lowest], smoothed[lowest]),
            xytext=(0, -8),
            ha="center",
            va="top",
            textcoords="offset points",
            fontsize=9,
            color=ORANGE,
        )
    if finding.too_high is not None:
        axes.axvspan(rates[finding.too_high], rates[-1], color=GRID, alpha=0.5, zorder=0)
        _note(axes, rates[finding.too_high], " too high", FAINT)
    set_title(axes, title, f"{format_count(len(rates), 'step')}, rates {_between(rates)}")
    return save_figure(figure, path)


def _heights(finding: LRFinderResult) -> tuple[float, float]:
    """Return the ends of the loss axis: what led to the lowest fills it, an explosion leaves it."""
    before = sorted(finding.losses[: finding.lowest + 1])
    few = len(before) // 20
    low = min(before[few], finding.smoothed[finding.lowest])
    high = max(before[-1 - few], *finding.smoothed[: finding.lowest + 1])
    room = max(high - low, 0.02 * abs(high), 1e-9)
    return low - 0.25 * room, high + 0.35 * room


def _between(rates: Sequence[float]) -> str:
    return f"{format_learning_rate(rates[0])} to {format_learning_rate(rates[-1])}"


def _note(axes: Axes, rate: float, words: str, colour: str) -> None:
    axes.text(
        rate,
        0.95,
        words,
        transform=axes.get_xaxis_transform(),
        color=colour,
        fontsize=9,
        va="center",
        clip_on=True,
    )
