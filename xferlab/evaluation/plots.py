"""Figures of confusion, calibration and residuals, readable with two classes and with many."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

from xferlab.errors import printable
from xferlab.evaluation.calibration import Calibration, Residuals
from xferlab.evaluation.confusion import Confusion, LabelCounts
from xferlab.plotting import BLUE, FAINT, GRID, INK, ORANGE, new_figure, quiet, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLASSES = 40
"""Classes that a figure shows; of more, those with the most errors."""
MOST_NUMBERS = 12
"""Up to so many classes the cells have counts and fractions, beyond them fractions alone."""
LONGEST_NAME = 22
PALE = "#b9d3ea"


@singledispatch
def figure_of(analysis: Any, title: str) -> Figure | None:
    """Return the figure of a part of an evaluation, or None where it has none."""
    return None


@figure_of.register(Confusion)
def confusion_figure(confusion: Confusion, title: str) -> Figure:
    """Return the heat map of a confusion."""
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    shown = _shown(confusion.errors)
    counts, fractions = (a[np.ix_(shown, shown)] for a in (confusion.counts, confusion.fractions))
    n = len(shown)
    side = max(300, min(34 if n > MOST_NUMBERS else 78, 1300 // n) * n)
    figure, axes = new_figure(side + 230, side + 190)
    colours = LinearSegmentedColormap.from_list("fractions", ["#ffffff", BLUE])
    axes.imshow(fractions, cmap=colours, vmin=0, vmax=1, aspect="equal")
    for i in range(n):
        for j in range(n):
            text = _cell_text(counts[i, j], fractions[i, j], n)
            colour = "white" if fractions[i, j] > 0.55 else INK
            size = 10 if n <= MOST_NUMBERS else 7
            axes.text(j, i, text, ha="center", va="center", fontsize=size, color=colour)
    names = [_short(confusion.names[i]) for i in shown]
    axes.set_xticks(range(n), names, rotation=90 if n > 4 else 0, fontsize=9, color=INK)
    axes.set_yticks(range(n), names, fontsize=9, color=INK)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(-0.5, n), minor=True)
    axes.set_yticks(np.arange(-0.5, n), minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.6)
    axes.tick_params(which="both", length=0)
    left_out = len(confusion.names) - n
    more = f"{int(confusion.counts.sum()):,} {confusion.unit}; % of the true class"
    more += f"; {left_out} classes with fewer errors left out" if left_out else ""
    _title(figure, axes, title, more)
    return figure


def _cell_text(count: int, fraction: float, classes: int) -> str:
    if not count:
        return ""
    percent = f"{fraction:.0%}" if fraction >= 0.005 else "<1%"
    if classes <= MOST_NUMBERS:
        return f"{count:,}\n{percent}"
    return percent.rstrip("%") if fraction >= 0.005 else ""


@figure_of.register(LabelCounts)
def label_counts_figure(counts: LabelCounts, title: str) -> Figure:
    """Return a bar for each label: examples found, missed and wrongly predicted."""
    import numpy as np

    support = counts.true_positive + counts.false_negative
    shown = _shown(support + counts.false_positive)
    shown = shown[np.argsort(support[shown], kind="stable")]
    figure, axes = new_figure(900, 150 + 24 * len(shown))
    places = np.arange(len(shown))
    parts = (("found", counts.true_positive, BLUE), ("missed", counts.false_negative, PALE))
    left = np.zeros(len(shown))
    for name, values, colour in parts:
        axes.barh(places, values[shown], left=left, height=0.7, color=colour, label=name)
        left += values[shown]
    wrong = -counts.false_positive[shown]
    axes.barh(places, wrong, height=0.7, color=ORANGE, label="predicted, not present")
    axes.axvline(0, color=FAINT, linewidth=0.8)
    for place, i in enumerate(shown):
        count = f" {counts.true_positive[i]:,} of {support[i]:,}"
        axes.text(left[place], place, count, va="center", fontsize=8, color=FAINT)
    axes.set_yticks(places, [_short(counts.names[i]) for i in shown], fontsize=9, color=INK)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.margins(x=0.1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    axes.set_xlabel("examples")
    axes.legend(loc="lower right", frameon=False, fontsize=9, labelcolor=INK)
    left_out = len(counts.names) - len(shown)
    more = f"; {left_out} rarer labels left out" if left_out else ""
    _title(figure, axes, title, f"{counts.examples:,} examples, each label separately{more}")
    return figure


@figure_of.register(Calibration)
def calibration_figure(calibration: Calibration, title: str) -> Figure:
    """Return a reliability diagram above the number of probabilities in each bin."""
    import numpy as np

    figure, axes = new_figure(640, 640)
    figure.delaxes(axes)
    grid = figure.add_gridspec(2, 1, height_ratios=(4, 1))
    top, below = (quiet(figure.add_subplot(grid[i])) for i in range(2))
    top.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--")
    full = calibration.count > 0
    x = calibration.confidence[full]
    y = calibration.fraction[full]
    ends = np.abs(np.stack([calibration.low[full], calibration.high[full]]) - y)
    style: dict[str, Any] = {"color": BLUE, "markersize": 5, "linewidth": 1.5, "elinewidth": 1}
    top.errorbar(x, y, ends, fmt="o-", label="with postprocess", **style)
    before = calibration.before
    if before is not None:
        known = before.count > 0
        points = (before.confidence[known], before.fraction[known])
        top.plot(*points, ".-", color=ORANGE, linewidth=1, label="without")
        top.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=INK)
    top.set_ylabel(f"how often {calibration.about}")
    top.set_ylim(-0.02, 1.02)
    edges = np.arange(len(calibration.count)) / len(calibration.count)
    below.bar(edges, calibration.count, 1 / len(edges), align="edge", color=PALE, edgecolor="white")
    below.set_ylabel(calibration.unit)
    if calibration.count.max(initial=0) > 50 * max(1, np.median(calibration.count[full])):
        below.set_yscale("log")
    else:
        below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for each in (top, below):
        each.set_xlim(0, 1)
    below.set_xlabel("predicted probability")
    total = int(calibration.count.sum())
    error = f"{total:,} {calibration.unit}; expected calibration error {calibration.error:.3f}"
    if before is not None:
        error += f" ({before.error:.3f} without postprocess)"
    _title(figure, top, title, error)
    return figure


@figure_of.register(Residuals)
def residuals_figure(residuals: Residuals, title: str) -> Figure:
    """Return values beside labels, and their errors along the values."""
    import numpy as np

    figure, axes = new_figure(1000, 470)
    figure.delaxes(axes)
    left, right = (quiet(figure.add_subplot(1, 2, i)) for i in (1, 2))
    labels = residuals.labels
    values = residuals.values
    style: dict[str, Any] = {"s": 12, "color": BLUE, "linewidths": 0, "alpha": _alpha(len(labels))}
    ends = [min(labels.min(), values.min()), max(labels.max(), values.max())]
    left.plot(ends, ends, color=FAINT, linewidth=1, linestyle="--")
    left.scatter(labels, values, **style)
    left.set_xlabel("label")
    left.set_ylabel("predicted value")
    right.axhline(0, color=FAINT, linewidth=1, linestyle="--")
    right.scatter(values, values - labels, **style)
    order = np.argsort(values, kind="stable")
    parts = [part for part in np.array_split(order, 10) if len(part)]
    middle = [float(values[p].mean()) for p in parts]
    error = [float((values[p] - labels[p]).mean()) for p in parts]
    right.plot(middle, error, color=ORANGE, marker="o", markersize=4, label="mean of a tenth")
    right.legend(loc="best", frameon=False, fontsize=9, labelcolor=INK)
    right.set_xlabel("predicted value")
    right.set_ylabel("predicted value - label")
    rms = float(np.sqrt(((values - labels) ** 2).mean()))
    _title(figure, left, title, "")
    set_title(right, "", f"{len(labels):,} examples; root mean square error {rms:.3f}")
    return figure


def _alpha(points: int) -> float:
    return max(0.05, min(0.6, 600 / max(points, 1)))


def _title(figure: Any, axes: Axes, title: str, more: str) -> None:
    """Write a title and a line below it; narrow figures have room for both."""
    set_title(axes, "")
    axes.set_title(f"{_dollarless(title)}\n", loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.annotate(
        more,
        (0, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=9,
        color=FAINT,
    )


def _shown(weight: Any) -> Any:
    """Return the positions of the MOST_CLASSES largest weights, in order of position."""
    import numpy as np

    return np.sort(np.argsort(-weight, kind="stable")[:MOST_CLASSES])


def _short(name: str) -> str:
    shown = printable(name)
    return _dollarless(shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 3]}...")


def _dollarless(text: str) -> str:
    """Return a text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
