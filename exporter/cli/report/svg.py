"""A chart as an SVG of its own: axes, lines, where nothing is known a gap; colours are those of the page around it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from html import escape
from math import inf, nextafter
from typing import Final

from exporter.cli.views.document import Chart, Line
from exporter.cli.views.numbers import is_known
from exporter.cli.views.plain import plain

_WIDTH: Final = 560
_HEIGHT: Final = 170
_LEFT: Final = 64
_RIGHT: Final = 8
_TOP: Final = 10
_BOTTOM: Final = 22
_DAY: Final = timedelta(days=2)


def svg(chart: Chart) -> str:
    """Return the picture of a chart, or of nothing where no step is known."""
    known = [value for line in chart.lines for value in line.values if is_known(value)]
    if not known:
        return '<p class="nothing">nothing is known of this time</p>'
    low = min(0.0, *known)
    high = max(max(known), chart.highest or low)
    high = high if high > low else nextafter(low, inf) + 1.0
    drawn = "".join([*_axes(chart, low, high), *_lines(chart, low, high)])
    said = escape(plain(f"{chart.title}: {chart.write(min(known))} to {chart.write(max(known))}"))
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{said}">{drawn}</svg>'


def _y(value: float, low: float, high: float) -> float:
    return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _x(i: int, n: int) -> float:
    return _LEFT + (i / (n - 1) if n > 1 else 0.5) * (_WIDTH - _LEFT - _RIGHT)


def _axes(chart: Chart, low: float, high: float) -> Iterator[str]:
    for value in sorted({low, (low + high) / 2, high, 0.0 if low < 0 else low}):
        y = _y(value, low, high)
        look = "zero" if value == 0 else "grid"
        yield f'<line class="{look}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        if value != 0 or low == 0:
            yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(chart.write(value))}</text>'
    starts = chart.starts
    form = "%d %b" if starts[-1] - starts[0] > _DAY else "%H:%M"
    places = sorted({0, len(starts) // 2, len(starts) - 1})
    for i in places:
        anchor = "start" if i == 0 and len(places) > 1 else "end" if i == len(starts) - 1 and i else "middle"
        when = starts[i].astimezone(chart.zone).strftime(form)
        yield f'<text x="{_x(i, len(starts)):.1f}" y="{_HEIGHT - 5}" text-anchor="{anchor}">{when}</text>'


def _lines(chart: Chart, low: float, high: float) -> Iterator[str]:
    for n, line in enumerate(chart.lines):
        look = "bound" if line.is_bound else f"line-{n + 1}"
        if path := _path(line, low, high):
            yield f'<path class="{look}" d="{path}"/>'
        for i in _alone(line):
            x, y = _x(i, len(line.values)), _y(line.values[i], low, high)
            yield f'<circle class="{look}" cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>'


def _path(line: Line, low: float, high: float) -> str:
    parts, is_drawing = list[str](), False
    for i, value in enumerate(line.values):
        if is_known(value):
            parts.append(f"{'L' if is_drawing else 'M'}{_x(i, len(line.values)):.1f} {_y(value, low, high):.1f}")
        is_drawing = is_known(value)
    return "".join(parts)


def _alone(line: Line) -> Iterator[int]:
    """Yield the steps that have no neighbour to draw a line to."""
    known = [is_known(value) for value in line.values]
    for i, is_there in enumerate(known):
        if is_there and not any(known[max(i - 1, 0) : i]) and not any(known[i + 1 : i + 2]):
            yield i
