"""Streams: numbers without a fact, kept as the cumulative value each process last said.

Writing a point again changes nothing: a cumulative value replaces what it goes on from, a delta is added once. What is
shown of a counter is the sum over all its starts, so it does not fall when a process begins anew.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final

import msgspec

from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.labels import escaped
from otel_measure.stats.binned import Bin, Exponential, explicit_bins
from otel_measure.store.sqlite.models import MINUTE_US
from otel_measure.store.sqlite.totals import LARGEST, packed, unpacked
from otel_measure.store.types.exposition import Family, Sample
from otel_measure.store.types.streams import STALE_US, HostReading, Increment, Ingested, Point

HOUR_US: Final = 60 * MINUTE_US
_DAY_US: Final = 24 * HOUR_US
# A sender whose series never end must not fill the disk; beyond, its new series are refused and counted.
MAX_STREAMS: Final = 10 * instruments.EXPOSED_ATTRIBUTE_SETS
_OVERFLOW: Final = escaped(semconv.OVERFLOW)
_MONOTONIC: Final = frozenset({"counter", "histogram"})
_STATE: Final = "id, kind, start, ts, value, count, bounds, buckets, exponential"


@dataclass(frozen=True, slots=True)
class _State:
    """A stored stream."""

    id: int
    kind: str
    start: int
    ts: int
    value: float
    count: int
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    exponential: Exponential | None


class Refused(Exception):  # noqa: N818 - a verdict
    """A point that is not taken, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def ingest(connection: sqlite3.Connection, points: Iterable[Point]) -> tuple[Ingested, list[Increment]]:
    """Take in points; return what became of them, and what those that tell of models have added."""
    accepted, duplicate, refused = 0, 0, Counter[str]()
    series = _Series(connection)
    increments: list[Increment] = []
    for point in points:
        try:
            increment = _add_delta(connection, series, point) if point.delta else _put(connection, series, point)
        except Refused as verdict:
            refused[verdict.reason] += 1
            continue
        if increment is None:
            duplicate += 1
            continue
        accepted += 1
        if point.means is not None and (increment.value or increment.count):
            increments.append(increment)
    return Ingested(accepted, duplicate, dict(refused)), increments


# ---------------------------------------------------------------- cumulative


def _put(connection: sqlite3.Connection, series: _Series, point: Point) -> Increment | None:
    """Replace the state of a stream; `None` for a point that says what was said already."""
    known = _latest(connection, point) if _start_is_unknown(point) else _known(connection, point)
    known = _comparable(connection, known, point)
    if known is None:
        series.insert(_counted(point, None))
        is_whole = point.start > 0 and point.ts - point.start <= _DAY_US
        return _increment(point, None) if is_whole else Increment(point, 0.0, 0, ())
    if point.ts < known.ts:
        raise Refused("out_of_order")
    if point.ts == known.ts and (point.value, point.count) == (known.value, known.count):
        return None
    if _start_is_unknown(point) and (point.value < known.value or point.count < known.count):
        if point.ts == known.ts:  # nothing begins anew in no time: two values of one time came in the wrong order
            raise Refused("out_of_order")
        # After all its starts, also after one that was said and is no earlier than its last word.
        began = replace(point, start=max(known.ts, known.start + 1))
        series.insert(_counted(began, None))
        return _increment(began, None)
    before = known if point.value >= known.value and point.count >= known.count else None
    _update(connection, known.id, _counted(point, before))
    return _increment(point, before)


def _comparable(connection: sqlite3.Connection, known: _State | None, point: Point) -> _State | None:
    """Return what a point goes on from, of the same kind and of a time that was.

    One of another kind makes room when it was not heard of for long. A last word that lies ahead of our clock is from
    before that was set back: it is older than the point, or nothing would be newer for as long as the step.
    """
    if known is None:
        return None
    if known.ts > (point.came or point.ts) + STALE_US:
        known = replace(known, ts=point.ts - 1)
    if known.kind == point.kind:
        return known
    adds = known.kind in _MONOTONIC and point.scope != "host"
    if adds or point.ts - known.ts <= STALE_US:
        raise Refused("kind")
    for table, column in (("history", "stream"), ("delta", "stream"), ("stream", "id")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (known.id,))
    return None


def _start_is_unknown(point: Point) -> bool:
    return point.start == 0 and point.scope == "instance" and point.kind in _MONOTONIC


def _counted(point: Point, before: _State | None) -> Point:
    """Return a point with explicit buckets: those of an exponential histogram grow by what it grew, and never fall."""
    if point.exponential is None:
        return point
    grown = point.exponential
    kept = before if before is not None and before.exponential is not None and before.bounds == point.bounds else None
    if kept is not None and kept.exponential is not None:
        since = grown.since(kept.exponential)
        kept, grown = (kept, since) if since is not None else (None, grown)
    buckets = tuple(grown.explicit(point.bounds))
    return replace(point, buckets=_plus(kept.buckets, buckets) if kept is not None else buckets)


def _increment(point: Point, before: _State | None) -> Increment:
    if point.means is None:
        return Increment(point, 0.0, 0, ())
    if before is None:
        return Increment(point, point.value, point.count, tuple(_bins(point, point.buckets, point.exponential)))
    if point.exponential is not None:
        since = point.exponential.since(before.exponential) if before.exponential is not None else point.exponential
        bins = tuple(_bins(point, (), since or point.exponential))
    elif before.bounds == point.bounds:
        grown = tuple(max(0, a - b) for a, b in zip(point.buckets, before.buckets, strict=True))
        bins = tuple(_bins(point, grown, None))
    else:
        bins = ()
    return Increment(point, point.value - before.value, point.count - before.count, bins)


def _bins(point: Point, buckets: tuple[int, ...], exponential: Exponential | None) -> Iterator[Bin]:
    if exponential is not None:
        return exponential.bins()
    return explicit_bins(point.bounds, buckets, point.minimum, point.maximum) if buckets else iter(())


# ---------------------------------------------------------------- deltas


def _add_delta(connection: sqlite3.Connection, series: _Series, point: Point) -> Increment | None:
    """Add a delta to its stream once, in whatever order deltas come; `None` for one that was added already."""
    whole = replace(point, start=0)
    known = _comparable(connection, _known(connection, whole), whole)
    if known is not None and point.ts < known.ts - HOUR_US:
        raise Refused("too_late")
    # Refused before it is noted: what was refused is no duplicate when it comes again.
    summed = _summed(known, whole) if known is not None else None
    stream = known.id if known is not None else series.insert(_counted(whole, None))
    # By the sender's own time: when a delta came is another time at each retry.
    interval = (stream, point.said or point.ts, point.start)
    seen = connection.execute("INSERT OR IGNORE INTO delta VALUES (?, ?, ?)", interval)
    if not seen.rowcount:
        return None
    if summed is not None:
        _update(connection, stream, summed)
    return _increment(point, None)


def _summed(known: _State, point: Point) -> Point:
    counted = _counted(point, None)
    if known.bounds != counted.bounds and counted.buckets:
        raise Refused("bounds")
    value, count = known.value + point.value, known.count + point.count
    if not isfinite(value) or count > LARGEST:
        raise Refused("too_large")
    return replace(
        counted,
        ts=max(known.ts, point.ts),
        value=value,
        count=count,
        buckets=_plus(known.buckets, counted.buckets),
    )


def _plus(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True)) if one and other else one or other


# ---------------------------------------------------------------- rows


def _known(connection: sqlite3.Connection, point: Point) -> _State | None:
    return _state(
        connection.execute(
            f"SELECT {_STATE} FROM stream WHERE name = ? AND labels = ? AND instance = ? AND start = ?",
            (point.name, point.labels, point.instance, point.start),
        ).fetchone()
    )


def _latest(connection: sqlite3.Connection, point: Point) -> _State | None:
    return _state(
        connection.execute(
            f"SELECT {_STATE} FROM stream WHERE name = ? AND labels = ? AND instance = ? ORDER BY start DESC LIMIT 1",
            (point.name, point.labels, point.instance),
        ).fetchone()
    )


def _state(row: Any) -> _State | None:
    if row is None:
        return None
    stream, kind, start, ts, value, count, bounds, buckets, exponential = row
    return _State(
        stream,
        kind,
        start,
        ts,
        value,
        count,
        tuple(msgspec.json.decode(bounds)) if bounds else (),
        unpacked(buckets) if buckets else (),
        _exponential(exponential),
    )


def _exponential(text: str | None) -> Exponential | None:
    if text is None:
        return None
    scale, zero_count, offset, counts = msgspec.json.decode(text)
    return Exponential(scale, zero_count, offset, tuple(counts))


def _figures(point: Point) -> tuple[Any, ...]:
    return (
        point.ts,
        point.value,
        point.count,
        msgspec.json.encode(point.bounds).decode() if point.bounds else None,
        packed(point.buckets) if point.buckets else None,
        msgspec.json.encode(point.exponential).decode() if point.exponential and not point.delta else None,
    )


class _Series:
    """The streams of each name, counted once for many points."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._of_name: dict[str, int] = {}

    def insert(self, point: Point) -> int:
        """Add a stream, unless its instrument has too many."""
        count = "SELECT count(*) FROM stream WHERE name = ?"
        of_name = self._of_name.get(point.name)
        if of_name is None:
            of_name = int(self._connection.execute(count, (point.name,)).fetchone()[0])
        self._of_name[point.name] = of_name
        if of_name >= MAX_STREAMS:
            raise Refused("cardinality")
        row = self._connection.execute(
            "INSERT INTO stream (name, labels, instance, start, kind, unit, description, scope, ts, value, count,"
            " bounds, buckets, exponential) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                point.name, point.labels, point.instance, point.start, point.kind, point.unit, point.description,
                point.scope, *_figures(point),
            ),
        ).fetchone()  # fmt: skip
        self._of_name[point.name] = of_name + 1
        _note(self._connection, row[0], point)
        return int(row[0])


def _update(connection: sqlite3.Connection, stream: int, point: Point) -> None:
    connection.execute(
        "UPDATE stream SET ts = ?, value = ?, count = ?, bounds = ?, buckets = ?, exponential = ? WHERE id = ?",
        (*_figures(point), stream),
    )
    _note(connection, stream, point)


def _note(connection: sqlite3.Connection, stream: int, point: Point) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)", (stream, point.ts // MINUTE_US, point.value, point.count)
    )


# ---------------------------------------------------------------- exposition


def families(connection: sqlite3.Connection, now: int) -> list[Family]:
    """Return the streams as exposed: counters summed over starts, "add" over processes, the others while fresh."""
    rows = connection.execute(
        "SELECT name, kind, unit, bounds, description, scope, labels, ts, value, count, buckets, id FROM stream"
        " WHERE scope = 'add' OR ts > ? OR (scope = 'instance' AND kind IN ('counter', 'histogram')"
        " AND instance IN (SELECT instance FROM stream WHERE ts > ?)) ORDER BY name, labels, ts, id",
        (now - STALE_US, now - STALE_US),
    )
    shown: dict[tuple[str, str, str, str], _Shown] = {}
    for name, kind, unit, bounds, description, scope, labels, ts, value, count, buckets, stream in rows:
        key = (name, kind, unit, bounds or "")
        if key not in shown:
            edges: Any = tuple(msgspec.json.decode(bounds)) if bounds else ()
            shown[key] = _Shown(Family(name, kind, unit, description, edges, []))
        adds = scope != "host" and (scope == "add" or kind in _MONOTONIC)
        new = Sample(labels, value, count, unpacked(buckets) if buckets else ())
        shown[key].take(new, stream, adds=adds, is_fresh=scope == "add" or ts > now - STALE_US)
    found = [one.family() for _, one in sorted(shown.items())]
    return [*(family for family, _ in found if family.samples), *_overflowing(found)]


class _Shown:
    """What is shown of one instrument: its series by their first appearance, and the sum of those beyond the cap."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._samples: dict[str, Sample] = {}
        self._first: dict[str, int] = {}
        self._fresh: set[str] = set()

    def take(self, new: Sample, stream: int, *, adds: bool, is_fresh: bool) -> None:
        """Add a stream to its series, or put it in the place of an earlier one."""
        known = self._samples.get(new.labels)
        self._samples[new.labels] = _added(known, new) if adds and known is not None else new
        self._first[new.labels] = min(stream, self._first.get(new.labels, stream))
        if is_fresh:
            self._fresh.add(new.labels)

    def family(self) -> tuple[Family, int]:
        """Return the family, and how many of its series are beyond the cap."""
        by_age = sorted(self._fresh, key=lambda labels: self._first[labels])
        shown = [self._samples[labels] for labels in sorted(by_age[: instruments.EXPOSED_ATTRIBUTE_SETS])]
        rest = [self._samples[labels] for labels in by_age[instruments.EXPOSED_ATTRIBUTE_SETS :]]
        if rest and self._family.kind in _MONOTONIC:
            shown.append(_total(rest))
        return self._family._replace(samples=shown), len(rest)


def _overflowing(found: list[tuple[Family, int]]) -> Iterator[Family]:
    instrument = instruments.OTEL_MEASURE_SELF_OVERFLOW_ATTRIBUTE_SETS
    beyond = [Sample(escaped(((semconv.ATTR_INSTRUMENT, family.name),)), float(rest)) for family, rest in found if rest]
    if beyond:
        yield Family(instrument.name, instrument.kind, instrument.unit, instrument.description, (), beyond)


def _total(samples: list[Sample]) -> Sample:
    total = replace(samples[0], labels=_OVERFLOW)
    for sample in samples[1:]:
        total = _added(total, sample)
    return total


def _added(one: Sample, other: Sample) -> Sample:
    return Sample(one.labels, one.value + other.value, one.count + other.count, _plus(one.buckets, other.buckets))


def readings(connection: sqlite3.Connection, prefixes: Iterable[str], since: int) -> list[HostReading]:
    """Return the last values of numbers (no histograms) whose names begin so, sorted."""
    found: dict[tuple[str, str, str], HostReading] = {}
    for prefix in prefixes:
        rows = connection.execute(
            "SELECT name, labels, instance, ts, value, (SELECT h.value FROM history h WHERE h.stream = stream.id"
            " AND h.minute < stream.ts / ? ORDER BY h.minute DESC LIMIT 1) FROM stream"
            " WHERE name >= ? AND name < ? AND ts > ? AND kind <> 'histogram' ORDER BY name, labels, instance, ts",
            (MINUTE_US, prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1), since),
        )
        for row in rows:
            reading = HostReading(*row)
            if isfinite(reading.value):
                found[reading.name, reading.labels, reading.instance] = reading
    return [found[key] for key in sorted(found)]


# ---------------------------------------------------------------- upkeep


def sweep(connection: sqlite3.Connection, now: int, history_days: int) -> None:
    """Forget old history, and streams of ended processes; what those added is kept under one name."""
    oldest = now - history_days * _DAY_US
    connection.execute("DELETE FROM history WHERE minute < ?", (oldest // MINUTE_US,))
    # Those of a clock that is days ahead would stay for as long: they are forgotten as well.
    connection.execute("DELETE FROM delta WHERE ts < ? OR ts > ?", (now - 2 * HOUR_US, now + _DAY_US))
    rows = connection.execute(
        "SELECT name, kind, unit, description, labels, start, ts, value, count, bounds, buckets FROM stream"
        " WHERE scope = 'add' AND (ts < ? OR instance = '') ORDER BY name, labels, instance, start",
        (oldest,),
    )
    kept: dict[tuple[str, ...], Point] = {}
    for name, kind, unit, description, labels, start, ts, value, count, bounds, buckets in rows:
        edges = tuple(msgspec.json.decode(bounds)) if bounds else ()
        ended = Point(
            name, kind, unit, description, labels, "add", "", start, ts, value, count, edges,
            unpacked(buckets) if buckets else (),
        )  # fmt: skip
        key = (name, labels, kind, unit, bounds or "")
        kept[key] = _ended(kept[key], ended) if key in kept else ended
    connection.execute("DELETE FROM stream WHERE ts < ? OR (scope = 'add' AND instance = '')", (oldest,))
    ingest(connection, _of_distinct_starts(kept.values()))


def _of_distinct_starts(points: Iterable[Point]) -> Iterator[Point]:
    """Yield points as streams of their own, where an instrument had other buckets before."""
    taken: set[tuple[str, str, int]] = set()
    for point in points:
        start = point.start
        while (point.name, point.labels, start) in taken:
            start += 1
        taken.add((point.name, point.labels, start))
        yield replace(point, start=start)


def _ended(known: Point, other: Point) -> Point:
    both = _added(
        Sample(known.labels, known.value, known.count, known.buckets),
        Sample(other.labels, other.value, other.count, other.buckets),
    )
    ts = max(known.ts, other.ts)
    return replace(known, ts=ts, value=both.value, count=both.count, buckets=both.buckets)
