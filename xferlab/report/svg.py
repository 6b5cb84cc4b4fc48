"""Charts as SVG, from a description: for the page, in its colours, and as files of their own.

Every text is escaped here. Each line is a group with a ``<title>``, so that a browser shows the
line's name without any script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xferlab.escaping import html_text as escape
from xferlab.formatting import format_learning_rate

WIDTH = 460
HEIGHT = 280
LEFT = 52
RIGHT = 14
TOP = 12
BOTTOM = 44
MAX_POINTS = 80
"""Points of a line; a longer one is thinned."""
MAX_X_TICKS = 7
LOG_RATIO = 20
"""An axis whose largest value is so many times the smallest is logarithmic."""
Point = tuple[float, float]
LegendEntry = tuple[str, str]
"""The style of a line, and what it stands for."""

FILE_STYLE = """
svg { font: 11.5px system-ui, "DejaVu Sans", sans-serif; }
text { fill: #5b6875; } .axis, .title { fill: #1d2733; }
.title { font-weight: 600; font-size: 14px; }
.grid, .tick { stroke: #dfe3e8; fill: none; } .catch { display: none; }
.series { color: #a9b4bf; } .best { color: #1f6fb4; }
.c0 { color: #c8511b; } .c1 { color: #2f8f5b; } .c2 { color: #7b4fa3; }
.c3 { color: #a07c00; } .c4 { color: #4f6d8f; } .c5 { color: #b33b72; }
.line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
.faint .line { stroke-width: 1.3; } .band { fill: currentColor; opacity: .14; }
.mark { paint-order: stroke; stroke: #fff; stroke-width: 3px; }
circle, .key { fill: currentColor; } .seed { stroke: #fff; }
"""


@dataclass(frozen=True)
class Dot:
    """A dot without a line, for example the score of one seed."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        label: shown when the pointer is on the line.
        points: finite x and y.
        style: ``faint``, ``best``, or ``c0`` to ``c5``.
        dots: dots of the same colour.
        low: y of the lower edge of a band at each point, or nothing.
        high: the upper edge.
        opacity: of the line, up to 1.
    """

    label: str
    points: Sequence[Point]
    style: str = "faint"
    dots: Sequence[Dot] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    opacity: float = 1.0


@dataclass(frozen=True)
class LineChart:
    """Lines over two axes; the last line is on top.

    Attributes:
        title: stands above the chart.
        legend: what the styles of lines stand for.
        lines: what is drawn.
        x_label: name of the axis to the right.
        y_label: name of the axis upwards.
        log_x: whether equal ratios of x are equal distances.
        x_ticks: the values of x to write; by default round ones.
        integer_x: whether only whole numbers of x are written.
    """

    title: str
    legend: Sequence[LegendEntry]
    lines: Sequence[Line]
    x_label: str
    y_label: str
    log_x: bool = False
    x_ticks: Sequence[float] = ()
    integer_x: bool = False

    @property
    def width(self) -> float:
        """Width of the drawing."""
        return WIDTH

    def has_points(self) -> bool:
        """Return whether there is something to draw."""
        return any(line.points or line.dots for line in self.lines)


@dataclass(frozen=True)
class ParallelAxis:
    """A vertical axis: its name, and what is written at which height from 0 to 1."""

    label: str
    marks: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class ParallelChart:
    """Parallel coordinates: a line through the heights, from 0 to 1, that it has on each axis.

    Attributes:
        title: stands above the chart.
        legend: what the styles of lines stand for.
        axes: from left to right.
        lines: their points are the axis' number and a height.
    """

    title: str
    legend: Sequence[LegendEntry]
    axes: Sequence[ParallelAxis]
    lines: Sequence[Line]

    @property
    def width(self) -> float:
        """Width of the drawing."""
        return max(WIDTH, 120 * len(self.axes))


@dataclass(frozen=True)
class Axis:
    """Maps values to positions in the drawing.

    Attributes:
        low: the smallest value.
        high: the largest.
        start: position of the smallest.
        end: position of the largest.
        log: whether equal ratios are equal distances.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def position(self, value: float) -> float:
        """Return the position of a value."""
        low = self.low
        high = self.high
        if self.log:
            value = math.log(value)
            low = math.log(low)
            high = math.log(high)
        fraction = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + fraction * (self.end - self.start), 1)


Chart = LineChart | ParallelChart


def render_chart(chart: Chart) -> str:
    """Return a chart as an ``<svg>`` element that takes the page's colours."""
    label = escape(chart.title)
    return (
        f'<svg viewBox="0 0 {chart.width} {HEIGHT}" role="img" aria-label="{label}">'
        f"{_draw(chart)}</svg>"
    )


def render_file(chart: Chart) -> str:
    """Return a chart as the text of an SVG file, with its title, legend and colours."""
    head = 26 + 17 * len(chart.legend)
    entries = "".join(
        f'<g class="{escape(style)}"><rect class="key" x="{LEFT}" y="{34 + 17 * n}" width="12"'
        f' height="3"/></g><text x="{LEFT + 18}" y="{39 + 17 * n}">{escape(name)}</text>'
        for n, (style, name) in enumerate(chart.legend)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * chart.width}"'
        f' height="{2 * (HEIGHT + head)}" viewBox="0 0 {chart.width} {HEIGHT + head}">'
        f"<style>{FILE_STYLE}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text class="title" x="{LEFT}" y="20">{escape(chart.title)}</text>{entries}'
        f'<g transform="translate(0 {head})">{_draw(chart)}</g></svg>\n'
    )


def _draw(chart: Chart) -> str:
    return _draw_lines(chart) if isinstance(chart, LineChart) else _draw_parallel(chart)


def _draw_lines(chart: LineChart) -> str:
    lines = [_thin(line) for line in chart.lines]
    xs = [x for line in lines for x, _ in line.points]
    xs += [dot.x for line in lines for dot in line.dots]
    ys = [y for line in lines for _, y in line.points]
    ys += [y for line in lines for y in (*line.low, *line.high)]
    ys += [dot.y for line in lines for dot in line.dots]
    x_axis = Axis(*_padded(xs, chart.log_x), LEFT, WIDTH - RIGHT, chart.log_x)
    y_axis = Axis(*_padded(ys, False), HEIGHT - BOTTOM, TOP)
    parts = [_draw_y_ticks(y_axis), _draw_x_ticks(x_axis, _x_ticks(chart, xs))]
    parts += [_draw_line(line, x_axis, y_axis) for line in lines]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_label(chart.x_label, middle))
    return "".join(parts)


def _label(label: str, x: float) -> str:
    """Return the name of an axis, below the drawing."""
    return (
        f'<text class="axis" x="{x}" y="{HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>'
    )


def _thin(line: Line) -> Line:
    """Return a line with few enough points; the last one stays."""
    step = -(-len(line.points) // MAX_POINTS) or 1
    if step == 1:
        return line
    points = list(line.points[::step])
    if points[-1] != line.points[-1]:
        points.append(line.points[-1])
    return Line(line.label, points, line.style, line.dots)


def _padded(values: Sequence[float], log: bool) -> tuple[float, float]:
    """Return the ends of an axis, a little beyond the values."""
    low = min(values)
    high = max(values)
    if log and high > low:
        return low / 1.15, high * 1.15
    if log:
        return low / 2, high * 2
    gap = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    return low - gap, high + gap


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round values between two, at equal steps.

    >>> round_ticks(0.61, 0.98)
    [0.7, 0.8, 0.9]
    >>> round_ticks(0, 10, 5)
    [0, 2, 4, 6, 8, 10]
    """
    if not high > low:
        return [low]
    size = 10 ** math.floor(math.log10((high - low) / most))
    step = next(size * n for n in (1, 2, 5, 10, 20) if (high - low) / (size * n) <= most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _x_ticks(chart: LineChart, xs: Sequence[float]) -> list[float]:
    if chart.x_ticks:
        return list(chart.x_ticks[:: -(-len(chart.x_ticks) // MAX_X_TICKS)])
    values = round_ticks(min(xs), max(xs), MAX_X_TICKS)
    return [v for v in values if v == int(v)] if chart.integer_x else values


def _draw_x_ticks(axis: Axis, values: Sequence[float]) -> str:
    bottom = HEIGHT - BOTTOM
    return "".join(
        f'<path class="tick" d="M{axis.position(v)} {bottom}v4"/>'
        f'<text x="{axis.position(v)}" y="{bottom + 17}"'
        f' text-anchor="middle">{escape(format_tick(v))}</text>'
        for v in values
    )


def _draw_y_ticks(axis: Axis) -> str:
    return "".join(
        f'<path class="grid" d="M{LEFT} {axis.position(v)}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{axis.position(v) + 4}" text-anchor="end">'
        f"{escape(format_tick(v))}</text>"
        for v in round_ticks(axis.low, axis.high)
    )


def _draw_line(line: Line, x_axis: Axis, y_axis: Axis) -> str:
    places = [(x_axis.position(x), y_axis.position(y)) for x, y in line.points]
    parts = [f"<title>{escape(line.label)}</title>"]
    if line.low:
        upper = [(x, y_axis.position(y)) for (x, _), y in zip(places, line.high, strict=True)]
        lower = [(x, y_axis.position(y)) for (x, _), y in zip(places, line.low, strict=True)]
        parts.append(f'<path class="band" d="{_path([*upper, *reversed(lower)])}Z"/>')
    if len(places) > 1:
        parts.append(_draw_path(places, line.opacity))
    if _has_markers(line):
        parts += [f'<circle cx="{x}" cy="{y}" r="2.6"/>' for x, y in places]
    parts += [_draw_dot(dot, x_axis, y_axis) for dot in line.dots]
    return f'<g class="series {escape(line.style)}">{"".join(parts)}</g>'


def _path(places: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in places)


def _draw_path(places: Sequence[Point], opacity: float) -> str:
    """Return a line, and one that nobody sees, wide enough for the pointer to hit."""
    path = _path(places)
    faded = f' stroke-opacity="{opacity:.2f}"' if opacity < 1 else ""
    return f'<path class="line" d="{path}"{faded}/><path class="catch" d="{path}"/>'


def _has_markers(line: Line) -> bool:
    """Return whether each point of a line is marked: a single one, or few that matter."""
    count = len(line.points)
    return count == 1 or (line.style != "faint" and 2 <= count <= 12)


def _draw_dot(dot: Dot, x_axis: Axis, y_axis: Axis) -> str:
    return (
        f'<circle class="seed" cx="{x_axis.position(dot.x)}" cy="{y_axis.position(dot.y)}" r="4">'
        f"<title>{escape(dot.label)}</title></circle>"
    )


def _draw_parallel(chart: ParallelChart) -> str:
    x_axis = Axis(0, len(chart.axes) - 1, LEFT, chart.width - LEFT - RIGHT)
    y_axis = Axis(0, 1, HEIGHT - BOTTOM, TOP)
    parts = [_draw_parallel_line(line, x_axis, y_axis) for line in chart.lines]
    for number, axis in enumerate(chart.axes):
        x = x_axis.position(number)
        parts.append(f'<path class="tick" d="M{x} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts += [
            f'<text class="mark" x="{x + 5}" y="{y_axis.position(y) + 4}">{escape(mark)}</text>'
            for y, mark in axis.marks
        ]
        parts.append(_label(axis.label, x))
    return "".join(parts)


def _draw_parallel_line(line: Line, x_axis: Axis, y_axis: Axis) -> str:
    places = [(x_axis.position(x), y_axis.position(y)) for x, y in line.points]
    return (
        f'<g class="series {escape(line.style)}"><title>{escape(line.label)}</title>'
        f"{_draw_path(places, line.opacity)}</g>"
    )


def render_interval(
    mean: float, low: float, high: float, reach: float, is_significant: bool
) -> str:
    """Return a bar from ``low`` to ``high`` with a dot at ``mean``, and a line at 0.

    Args:
        mean: the dot.
        low: the bar's left end.
        high: the bar's right end.
        reach: the drawing's ends are this far from 0.
        is_significant: whether it is drawn as a significant difference.
    """
    axis = Axis(-reach, reach, 4, 196)
    zero, start, end, dot = (axis.position(v) for v in (0, low, high, mean))
    css = "interval real" if is_significant else "interval"
    return (
        f'<svg class="{css}" viewBox="0 0 200 20" aria-hidden="true">'
        f'<path class="grid" d="M4 10H196"/><path class="zero" d="M{zero} 1V19"/>'
        f'<path class="line" d="M{start} 10H{end}M{start} 6v8M{end} 6v8"/>'
        f'<circle cx="{dot}" cy="10" r="4"/></svg>'
    )


def format_tick(value: float) -> str:
    """Return a number on an axis; a small one as a learning rate is typed.

    >>> [format_tick(v) for v in (3e-05, 0.25, 0.975, 1200.0, -0.05, 3.0)]
    ['3e-5', '0.25', '0.975', '1200', '-0.05', '3']
    """
    if 0 < value < 0.01:
        return format_learning_rate(value, 3)
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.2g}"
