"""What is shown, before it is drawn for a terminal, as Markdown or as HTML: texts and numbers in tables, and charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from exporter.cli.views.numbers import Write
from otel_measure.definitions.series import Series

Look: TypeAlias = Literal["good", "fair", "bad", ""]


class ShownColumn(NamedTuple):
    """A column of a table.

    Attributes:
        is_text: its cells are words, not numbers.
        rank: where there is little room, the columns of the highest rank are left out first; those of 0 never are.
    """

    name: str
    is_text: bool = False
    rank: int = 0


class Cell(NamedTuple):
    """A cell whose look says something; most cells are a text alone."""

    text: str
    look: Look


@dataclass(frozen=True, slots=True)
class ShownTable:
    """Rows of cells; without any, `nothing` says why.

    Attributes:
        note: what stands beside the title.
    """

    title: str
    columns: tuple[ShownColumn, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    note: str = ""
    nothing: str = "none"


@dataclass(frozen=True, slots=True)
class ShownFigures:
    """Single numbers: name, value, and what belongs to it."""

    title: str
    rows: tuple[tuple[str, str, str], ...]
    note: str = ""


def of_whole_steps(series: Series, column: str) -> tuple[float, ...]:
    """Return a column of sums without the last step while that is running: a part of it would look like a fall."""
    values = series.columns[column]
    return (*values[:-1], nan) if len(values) - 1 in series.partial and len(values) > 1 else values


class Line(NamedTuple):
    """A line of a chart; a bound is drawn thin."""

    name: str
    values: tuple[float, ...]
    is_bound: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Numbers over time.

    Attributes:
        starts: when each step begins.
        highest: the end of the axis at least, such as 100 of a percentage.
    """

    title: str
    starts: tuple[datetime, ...]
    lines: tuple[Line, ...]
    write: Write
    zone: ZoneInfo
    highest: float | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """That there is nothing, and the line that changes it."""

    says: str
    code: str


@dataclass(frozen=True, slots=True)
class Sentences:
    """What is said in words, below a title."""

    title: str
    texts: tuple[str, ...]


Part: TypeAlias = ShownTable | ShownFigures | Chart | Advice | Sentences


@dataclass(frozen=True, slots=True)
class Document:
    """Everything that is shown.

    Attributes:
        sentence: what it comes to, in words; empty for none.
        about: of what and when, as names and values.
    """

    title: str
    sentence: str
    look: Look
    about: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
