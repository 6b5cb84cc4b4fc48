"""Small charts as SVG text: lines with dots, and intervals; they take the page's colours.

Every text is escaped here. Each line is a group with a ``<title>``, so that a browser tells which
one it is without any script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xferlab.escaping import html_text as text
from xferlab.formatting import format_learning_rate

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 44
COLOURS = 6
MOST_POINTS = 80
"""Points of a line; a longer one is thinned."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: told when the pointer is on it.
        points: x and y; those that are no finite numbers are left out.
        style: ``faint``, ``best``, or ``c0`` to ``c5``.
        dots: dots without a line, for example a score a seed.
        low: y of the lower edge of a band at each point, or nothing.
        high: the upper edge.
    """

    name: str
    points: Sequence[Point]
    style: str = "faint"
    dots: Sequence[tuple[float, float, str]] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Axis:
    """From values to places.

    Attributes:
        low: the smallest value.
        high: the largest.
        start: where the smallest lies.
        end: where the largest lies.
        log: whether equal ratios are equal distances.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        fraction = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + fraction * (self.end - self.start), 1)


def line_chart(
    lines: Sequence[Line],
    x_name: str,
    y_name: str,
    *,
    log: bool = False,
    ticks: Sequence[float] = (),
    whole: bool = False,
) -> str:
    """Return a chart of lines, the last ones on top; nothing if there is no point.

    Args:
        lines: what to draw.
        x_name: what is to the right.
        y_name: what is up.
        log: whether equal ratios of x are equal distances.
        ticks: the values of x to write; by default round ones.
        whole: whether only whole numbers of x are written.
    """
    lines = [_thinned(line) for line in lines]
    xs = [x for line in lines for x, _ in [*line.points, *((x, y) for x, y, _ in line.dots)]]
    ys = [y for line in lines for _, y in line.points] + [
        y for line in lines for y in (*line.low, *line.high, *(y for _, y, _ in line.dots))
    ]
    if not xs:
        return ""
    x_axis = Axis(*_room(xs, log), LEFT, WIDTH - RIGHT, log)
    y_axis = Axis(*_room(ys, False), HEIGHT - BOTTOM, TOP)
    parts = [_y_ticks(y_axis), _x_ticks(x_axis, _x_values(xs, ticks, whole))]
    parts += [_line(line, x_axis, y_axis) for line in lines]
    parts.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}"'
        f' text-anchor="middle">{text(x_name)}</text>'
    )
    label = text(f"{y_name} by {x_name}")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _thinned(line: Line) -> Line:
    """Return a line without what is no number, and with few enough points."""
    points = [(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)]
    step = -(-len(points) // MOST_POINTS) or 1
    kept = points[::step]
    if points and kept[-1] != points[-1]:
        kept.append(points[-1])
    band = (line.low, line.high) if len(kept) == len(line.points) else ((), ())
    return Line(line.name, kept, line.style, line.dots, *band)


def _room(values: Sequence[float], log: bool) -> tuple[float, float]:
    """Return the ends of an axis, with a little room beyond the values."""
    low, high = min(values), max(values)
    if log:
        return (low / 1.15, high * 1.15) if high > low else (low / 2, high * 2)
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
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _x_values(xs: Sequence[float], ticks: Sequence[float], whole: bool) -> list[float]:
    if ticks:
        return list(ticks[:: -(-len(ticks) // 7)])
    values = round_ticks(min(xs), max(xs), 7)
    return [v for v in values if v == int(v)] if whole else values


def _x_ticks(axis: Axis, values: Sequence[float]) -> str:
    below = HEIGHT - BOTTOM
    return "".join(
        f'<path class="tick" d="M{axis.at(v)} {below}v4"/><text x="{axis.at(v)}" y="{below + 17}"'
        f' text-anchor="middle">{text(number_words(v))}</text>'
        for v in values
    )


def _y_ticks(axis: Axis) -> str:
    return "".join(
        f'<path class="grid" d="M{LEFT} {axis.at(v)}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{axis.at(v) + 4}" text-anchor="end">'
        f"{text(number_words(v))}</text>"
        for v in round_ticks(axis.low, axis.high)
    )


def _line(line: Line, x_axis: Axis, y_axis: Axis) -> str:
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in line.points]
    path = "M" + "L".join(f"{x} {y}" for x, y in places) if places else ""
    parts = [f"<title>{text(line.name)}</title>"]
    if line.low:
        up = [f"{x} {y_axis.at(y)}" for (x, _), y in zip(places, line.high, strict=True)]
        down = [f"{x} {y_axis.at(y)}" for (x, _), y in zip(places, line.low, strict=True)]
        parts.append(f'<path class="band" d="M{"L".join([*up, *reversed(down)])}Z"/>')
    if len(places) > 1:
        parts.append(f'<path class="line" d="{path}"/><path class="catch" d="{path}"/>')
    if len(places) == 1 or len(places) * (line.style != "faint") in range(2, 13):
        parts += [f'<circle cx="{x}" cy="{y}" r="2.6"/>' for x, y in places]
    parts += [
        f'<circle class="seed" cx="{x_axis.at(x)}" cy="{y_axis.at(y)}" r="4">'
        f"<title>{text(name)}</title></circle>"
        for x, y, name in line.dots
        if math.isfinite(y)
    ]
    return f'<g class="series {text(line.style)}">{"".join(parts)}</g>'


def interval(mean: float, low: float, high: float, reach: float, real: bool) -> str:
    """Return a bar from ``low`` to ``high`` with a dot at ``mean``, and a line at 0.

    Args:
        mean: the dot.
        low: the bar's left end.
        high: the bar's right end.
        reach: the value at both ends of the picture is this far from 0.
        real: whether it is drawn as one that is not chance.
    """
    axis = Axis(-reach, reach, 4, 196)
    zero, start, end, dot = (axis.at(v) for v in (0, low, high, mean))
    return (
        f'<svg class="interval{" real" if real else ""}" viewBox="0 0 200 20" aria-hidden="true">'
        f'<path class="grid" d="M4 10H196"/><path class="zero" d="M{zero} 1V19"/>'
        f'<path class="line" d="M{start} 10H{end}M{start} 6v8M{end} 6v8"/>'
        f'<circle cx="{dot}" cy="10" r="4"/></svg>'
    )


def number_words(value: float) -> str:
    """Return a number on an axis: a small one as a rate is typed.

    >>> [number_words(v) for v in (3e-05, 0.25, 0.975, 1200.0, -0.05, 3.0)]
    ['3e-5', '0.25', '0.975', '1200', '-0.05', '3']
    """
    if 0 < value < 0.01:
        return format_learning_rate(value, 3)
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.2g}"
