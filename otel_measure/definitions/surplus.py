"""How many calls metrics tell of beyond those that are told one by one.

Metrics say how many calls there were, not which. Of each process and role the total is the calls told singly, plus what
the metrics have grown by, minus the greatest matching of both, in which an increment over an export interval may take
the single calls that lie in it. So complete spans give the spans' count whatever the interval, sampled ones the
metrics', and nothing depends on the order in which either came.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from otel_measure.definitions.model_ties import Likeness, ModelNames, ModelTies

TOLERANCE_US: Final = 5_000_000
"""How far a metric's record may lie from the end of its span: 5 ms to 3 s were seen, more costs calls at the edges."""


class SingleCalls(NamedTuple):
    """Calls told one by one that are alike: of one time, names and outcome.

    Attributes:
        at_us: when they ended.
        units: how many of them the role knows, or how much they amount to where its metrics have no counts.
        amount: their tokens or nano-dollars; of calls their number.
    """

    at_us: int
    names: ModelNames
    failed: bool
    units: int
    amount: int


class MetricIncrement(NamedTuple):
    """What a series has grown by over an interval (after, until].

    Attributes:
        key: whose the answer is.
        series: tells it from other series of the process; the intervals of one do not overlap.
        has_failures: `True` for a series of failures, `False` for one known to hold none, `None` where nobody says.
        units: how many calls it counts; how much, where it has no counts.
        amount: tokens or nano-dollars; of calls their number.
    """

    key: int
    series: str
    after_us: int
    until_us: int
    names: ModelNames
    has_failures: bool | None
    units: int
    amount: int


class Remainder(NamedTuple):
    """What is left of an increment when the single calls in it are taken off."""

    units: int
    amount: int


@dataclass(slots=True)
class _Room:
    """An increment on the way."""

    increment: MetricIncrement
    units: int
    taken: float = 0.0

    def holds(self, at_us: int) -> bool:
        """Tell whether a call of this time may lie in it."""
        return self.increment.after_us - TOLERANCE_US < at_us <= self.increment.until_us + TOLERANCE_US


@dataclass(slots=True)
class _Need:
    """Single calls on the way."""

    calls: SingleCalls
    units: int


def surplus(
    singles: Iterable[SingleCalls], increments: Iterable[MetricIncrement], ties: ModelTies
) -> dict[int, Remainder]:
    """Return what is left of each increment, by its key.

    Args:
        singles: all calls of one process that the role knows.
        increments: of the same process and role.
        ties: of the process.
    """
    needs = sorted((_Need(calls, calls.units) for calls in singles), key=lambda need: need.calls)
    growth = sorted(increments, key=lambda each: (each.until_us, each.after_us, each.series, each.key))
    rooms = _matched(needs, growth, ties, failures_anywhere=True)
    if _holds_no_failures(needs, rooms, ties):
        for need in needs:
            need.units = need.calls.units
        rooms = _matched(needs, growth, ties, failures_anywhere=False)
    return {room.increment.key: _left(room) for room in rooms}


def _left(room: _Room) -> Remainder:
    """Return what is left: nothing once all counts are taken, whatever the sums."""
    if not room.units:
        return Remainder(0, 0)
    return Remainder(room.units, max(room.increment.amount - round(room.taken), 0))


def _matched(
    needs: Sequence[_Need], growth: Sequence[MetricIncrement], ties: ModelTies, *, failures_anywhere: bool
) -> list[_Room]:
    """Match in passes, the surest first; in each, every call takes from the increment that ends first and has room."""
    has_typed_failures = any(increment.has_failures for increment in growth)
    rooms = [_Room(increment, increment.units) for increment in growth]
    series: dict[tuple[str, ModelNames, bool | None], list[_Room]] = defaultdict(list)
    for room in rooms:
        series[room.increment.series, room.increment.names, room.increment.has_failures].append(room)
    ends = {key: [room.increment.until_us for room in of_series] for key, of_series in series.items()}
    for same_outcome in (True, False):
        if not same_outcome and (has_typed_failures or not failures_anywhere):
            continue
        for likeness in Likeness:
            allowed = _Allowed(series.keys(), ties, likeness, same_outcome=same_outcome)
            for need in needs:
                if need.units:
                    _take(need, [(series[key], ends[key]) for key in allowed.of(need.calls)])
    return rooms


class _Allowed:
    """Which series a call may take from in a pass."""

    def __init__(
        self,
        keys: Iterable[tuple[str, ModelNames, bool | None]],
        ties: ModelTies,
        likeness: Likeness,
        *,
        same_outcome: bool,
    ) -> None:
        self._keys = list(keys)
        self._ties = ties
        self._likeness = likeness
        self._same_outcome = same_outcome
        self._of: dict[tuple[ModelNames, bool], list[tuple[str, ModelNames, bool | None]]] = {}

    def of(self, calls: SingleCalls) -> list[tuple[str, ModelNames, bool | None]]:
        """Return the series for calls of these names and this outcome."""
        kind = (calls.names, calls.failed)
        if kind not in self._of:
            self._of[kind] = [
                key
                for key in self._keys
                if self._fits(calls.failed, key[2]) and self._ties.likeness(calls.names, key[1]) is self._likeness
            ]
        return self._of[kind]

    def _fits(self, failed: bool, has_failures: bool | None) -> bool:
        if self._same_outcome:
            return failed if has_failures else not failed
        return failed and has_failures is None


def _take(need: _Need, candidates: Iterable[tuple[list[_Room], list[int]]]) -> None:
    """Take what a call needs from the increments around it, the one that ends first before the others."""
    at_us = need.calls.at_us
    around = [room for rooms, ends in candidates for room in _around(rooms, ends, at_us) if room.units]
    for room in sorted(around, key=lambda each: (each.increment.until_us, each.increment.after_us, each.increment.key)):
        taken = min(need.units, room.units)
        need.units -= taken
        room.units -= taken
        room.taken += need.calls.amount * taken / need.calls.units
        if not need.units:
            return


def _around(rooms: Sequence[_Room], ends: Sequence[int], at_us: int) -> Iterator[_Room]:
    for room in rooms[bisect_left(ends, at_us - TOLERANCE_US) :]:
        if not room.holds(at_us):
            return
        yield room


def _holds_no_failures(needs: Iterable[_Need], rooms: Sequence[_Room], ties: ModelTies) -> bool:
    """Tell whether a failed call well inside an interval found no room: then these metrics tell of successes alone."""
    untyped = [room.increment for room in rooms if room.increment.has_failures is None]
    if any(room.increment.has_failures for room in rooms):
        return False
    return any(
        increment.after_us + TOLERANCE_US < need.calls.at_us <= increment.until_us - TOLERANCE_US
        and ties.likeness(need.calls.names, increment.names) is not None
        for need in needs
        if need.units and need.calls.failed
        for increment in untyped
    )
