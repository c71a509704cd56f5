"""A line of a chart as one line of text."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

from exporter.cli.views.document import Chart, Line
from exporter.cli.views.numbers import is_known

WIDTH: Final = 48
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_GAP: Final = " "


def lines_of(chart: Chart) -> list[tuple[str, str, str]]:
    """Return each line but bounds: its name, its shape, and between which values it moves."""
    lines = [line for line in chart.lines if not line.is_bound]
    return [
        (chart.title if len(lines) == 1 else f"{chart.title}: {line.name}", shape(line.values), _range(chart, line))
        for line in lines
    ]


def _range(chart: Chart, line: Line) -> str:
    known = [value for value in line.values if is_known(value)]
    if not known:
        return "nothing is known"
    low, high = chart.write(min(known)), chart.write(max(known))
    return low if low == high else f"{low} to {high}"


def shape(values: Sequence[float], width: int = WIDTH) -> str:
    """Return values as blocks from 0 (or the smallest, below it) to the largest; where nothing is known, a gap."""
    known = [value for value in values if is_known(value)]
    if not known:
        return ""
    each = ceil(len(values) / width)
    parts = [values[i : i + each] for i in range(0, len(values), each)]
    low, high = min(0.0, *known), max(known)
    return "".join(_block(part, low, high) for part in parts)


def _block(part: Sequence[float], low: float, high: float) -> str:
    known = [value for value in part if is_known(value)]
    if not known:
        return _GAP
    of_all = (max(known) - low) / (high - low) if high > low else 0.0
    return _BLOCKS[min(int(of_all * len(_BLOCKS)), len(_BLOCKS) - 1)]
