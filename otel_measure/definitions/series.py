"""Histories of reports as answers show them: columns of numbers over the steps of a window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from otel_measure.definitions.windows import Window

Compare: TypeAlias = Literal["previous"]
"""What a series is set beside: the equally long time just before it."""
Columns: TypeAlias = dict[str, tuple[float, ...]]
"""A number per step, by the name that it has in the report; `nan` where it is unknown."""


@dataclass(frozen=True, slots=True)
class SeriesGroup:
    """The columns of one group, named by what tells it apart; `other` is all that have no columns of their own."""

    key: dict[str, str]
    other: bool
    columns: Columns


@dataclass(frozen=True, slots=True)
class EarlierSeries:
    """The equally long time just before a window, in steps of the same length."""

    start: tuple[datetime, ...]
    columns: Columns
    window: Window


@dataclass(frozen=True, slots=True)
class Series:
    """A report's history: `columns` has one number for each of `start`, when its step begins.

    Attributes:
        step_seconds: how long a whole step is; a local day and a week are as long as the calendar has them.
        partial: indices of the steps that the window cuts, and of the one that is still running.
        groups: the columns of each group, the largest first; empty where none were asked for.
        previous: the time before, where it was asked for.
    """

    start: tuple[datetime, ...]
    step_seconds: int
    partial: tuple[int, ...]
    columns: Columns
    groups: tuple[SeriesGroup, ...]
    previous: EarlierSeries | None
    window: Window


def check_compare(compare: str | None) -> None:
    """Check what a series is set beside.

    Raises:
        ValueError: there is no such thing.
    """
    if compare not in (None, "previous"):
        raise ValueError(f"compare must be 'previous', not {compare!r}")
