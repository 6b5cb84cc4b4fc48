"""Matplotlib figures as PNG files, without a window and without global state."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from xferlab.io.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#24303c"
FAINT = "#6b7785"
GRID = "#dde2e7"
BLUE = "#1f6fb4"
ORANGE = "#c8511b"


def new_figure(width: int = 900, height: int = 380) -> tuple[Figure, Axes]:
    """Return a figure of ``width`` x ``height`` pixels with one quiet, empty pair of axes."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, layout=layout)
    return figure, quiet(figure.add_subplot())


def quiet(axes: Axes) -> Axes:
    """Return the axes with two pale edges and small grey numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=FAINT, labelsize=9, length=3, color=GRID)
    axes.xaxis.label.set_color(FAINT)
    axes.yaxis.label.set_color(FAINT)
    axes.set_axisbelow(True)
    return axes


def set_title(axes: Axes, title: str, more: str = "") -> None:
    """Write a bold title on the left above the axes, and ``more`` in grey on the right."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=20)
    axes.set_title(more, loc="right", fontsize=9, color=FAINT, pad=20)


def as_png_bytes(figure: Figure) -> bytes:
    """Return a figure as a PNG; equal figures give equal bytes.

    ``figure.savefig`` gives the same and draws all of it a second time for its layout.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
    return stream.getvalue()


def save_figure(figure: Figure, path: Path) -> bytes:
    """Write a figure as a whole PNG file and return its bytes, for TensorBoard."""
    png = as_png_bytes(figure)
    atomic_write(path, png)
    return png
