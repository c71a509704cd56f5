from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from math import nan
from typing import Annotated, Any, Literal

import msgspec
import pytest

from otel_measure.definitions.columns import Column, columns_of
from otel_measure.definitions.windows import Window
from otel_measure.stats.intervals import Interval

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


class Size(enum.Enum):
    """How large something is."""

    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True)
class TypedPart:
    """A part of a row."""

    p95_ms: float
    p95_ms_ci: Interval
    window: Window


class TypedRow(msgspec.Struct):
    """A row of everything that a report may have."""

    name: Annotated[str, msgspec.Meta(description="prose")]
    calls: int
    at: dt.datetime | None
    latency: TypedPart | None
    verdict: Literal["alert", "ok"]
    size: Size
    by: dict[str, str | None] = msgspec.field(default_factory=dict)
    labels: dict[str, int] = msgspec.field(default_factory=dict)
    reasons: tuple[str, ...] = ()


WINDOW = Window(NOON, NOON, "UTC")
ROW = TypedRow("a", 3, NOON, TypedPart(5.0, (4.0, nan), WINDOW), "ok", Size.LARGE, {"user": "u"}, {"x": 1}, ("r",))
BARE = TypedRow("b", 0, None, None, "alert", Size.SMALL)


def test_the_columns_of_a_row() -> None:
    """A column for each value that a type names, however deep; none for the window, which all rows have in common."""
    columns = columns_of(TypedRow, (("by", ("user", "model")),))
    assert [(column.name, column.is_scalar) for column in columns] == [
        ("name", True),
        ("calls", True),
        ("at", True),
        ("latency.p95_ms", True),
        ("latency.p95_ms_ci.low", True),
        ("latency.p95_ms_ci.high", True),
        ("verdict", True),
        ("size", True),
        ("by.user", True),
        ("by.model", True),
        ("labels", False),
        ("reasons", False),
    ]
    expected = ["a", 3, NOON, 5.0, 4.0, nan, "ok", Size.LARGE, "u", None, {"x": 1}, ("r",)]
    assert [str(column.of(ROW)) for column in columns] == [*map(str, expected)]
    assert [column.of(BARE) for column in columns][3:6] == [None, None, None]


@pytest.mark.parametrize(
    ("name", "is_descending"), [("calls", False), ("verdict", False), ("size", False), ("name", True)]
)
def test_what_ranks_higher(name: str, is_descending: bool) -> None:
    """Numbers rank by size, text by its letters, and what a type lists by its place there."""
    (column,) = (each for each in columns_of(TypedRow) if each.name == name)
    ranks: list[Any] = [column.rank(BARE), column.rank(ROW)]
    assert sorted(ranks, reverse=is_descending) == ranks
    assert ranks[0] != ranks[1]


def test_text_ranks_in_any_case() -> None:
    """A capital is no other letter, but two texts that are not the same are never equal."""
    column = Column("name")
    names = sorted(
        ("b", "B", "a", "C"), key=lambda name: str(column.rank(TypedRow(name, 0, None, None, "ok", Size.SMALL)))
    )
    assert names == ["a", "B", "b", "C"]


@pytest.mark.parametrize("name", ["at", "latency.p95_ms"])
def test_what_is_unknown_has_no_rank(name: str) -> None:
    """`None` and not-a-number are neither large nor small."""
    assert Column(name).rank(BARE) is None
    assert Column("latency.p95_ms_ci.high").rank(ROW) is None
