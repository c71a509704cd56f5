"""Streams as rows: the state of each, its history by the minute, and the deltas it was given.

What a point does to its stream is told in `definitions/streams.py`, what is shown in `definitions/exposition.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import product
from math import isfinite
from typing import Any, Final

import msgspec

from otel_measure.conventions import dialects, instruments
from otel_measure.conventions.labels import escaped, label_name, parse
from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.exposition import STALE_US, Family, Sample, ShownInstrument, families_of
from otel_measure.definitions.streams import (
    LATEST_DELTA_US,
    Increment,
    Point,
    PointRefused,
    StreamState,
    added_delta,
    cumulative,
    folded,
    pooled,
    predecessor,
)
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.stats.binned import Exponential
from otel_measure.store.sqlite.chunks import change_in
from otel_measure.store.sqlite.totals import packed, unpacked
from otel_measure.store.types.streams import HostReading, Ingested, StreamGrowth

# A sender whose series never end must not fill the disk; beyond, its new series are refused and counted.
MAX_STREAMS: Final = 10 * instruments.EXPOSED_ATTRIBUTE_SETS
# Nor must one whose names, or whose series of many names, never end.
MAX_NAMES: Final = 5_000
MAX_OF_ALL_NAMES: Final = 10 * MAX_STREAMS
# What tells of models counts beyond: such series are not shown, and forgotten when they are not heard of any more.
MAX_FOLDED: Final = 10 * MAX_STREAMS
_FOLDED_US: Final = 3 * 60 * MINUTE_US
_LASTS: Final = "(ended IS NULL OR ts > ended)"  # no marker has come since that its series has ended
# From each name to the next one, by their index: to count them all would read every series.
_COUNT_NAMES: Final = (
    "WITH RECURSIVE each(name) AS (SELECT min(name) FROM stream UNION ALL"
    " SELECT (SELECT min(name) FROM stream WHERE name > each.name) FROM each WHERE each.name IS NOT NULL)"
    " SELECT count(name) FROM each"
)
_STATE: Final = "id, kind, start, ts, value, count, bounds, buckets, exponential"


def ingest(connection: sqlite3.Connection, points: Iterable[Point]) -> tuple[Ingested, list[Increment]]:
    """Take in points; return what became of them, and what those that tell of models have added."""
    rows = _Rows(connection)
    outcomes: list[str] = []
    increments: list[Increment] = []
    for point in points:
        if point.ends:
            outcomes.append("accepted" if rows.end(point) else "duplicate")
            continue
        try:
            increment = _take_delta(rows, point) if point.delta else _take_cumulative(rows, point)
        except PointRefused as refusal:
            outcomes.append(refusal.reason)
            continue
        outcomes.append("duplicate" if increment is None else "accepted")
        if increment is not None and point.model_series is not None and (increment.value or increment.count):
            increments.append(increment)
    return Ingested(tuple(outcomes)), increments


def _take_cumulative(rows: _Rows, point: Point) -> Increment | None:
    """Replace the state of a stream; `None` for a point that says what was said already."""
    stream, known = rows.known(point, any_start=point.has_unknown_start)
    taken = cumulative(rows.predecessor(stream, known, point), point)
    if taken is None:
        return None
    if taken.begins:
        rows.insert_or_fold(taken.kept)
    else:
        rows.update(stream, taken.kept)
    return taken.increment


def _take_delta(rows: _Rows, point: Point) -> Increment | None:
    """Add a delta to its stream once, in whatever order deltas come; `None` for one that was added already."""
    stream, known = rows.known(point, start=0)
    # Refused before it is noted: what was refused is no duplicate when it comes again.
    taken = added_delta(rows.predecessor(stream, known, point), point)
    if taken.begins:
        stream = rows.insert_or_fold(taken.kept)
    # By the sender's own time: when a delta came is another time at each retry.
    if not rows.note_delta(stream, point.sender_ts or point.ts, point.start):
        return None
    if not taken.begins:
        rows.update(stream, taken.kept)
    return taken.increment


# ---------------------------------------------------------------- rows


class _Rows:
    """The rows of streams, within one transaction that counts those of each name, and all, once for many points."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._of_name: dict[str, int] = {}
        self._names = -1
        self._folded: set[int] = set()
        self._names_with_folded: dict[str, bool] = {}
        self._of_all = -1

    def known(
        self, point: Point, *, start: int | None = None, any_start: bool = False
    ) -> tuple[int, StreamState | None]:
        """Return id and state of the stream of a point, or of its last start; (0, `None`) for none."""
        which: str = "ORDER BY start DESC LIMIT 1" if any_start else "AND start = ?"
        values: tuple[int, ...] = () if any_start else (point.start if start is None else start,)
        select = f"SELECT {_STATE} FROM stream WHERE name = ? AND labels = ? AND instance = ? {which}"
        row = self._connection.execute(select, (point.name, point.labels, point.instance, *values)).fetchone()
        if row is None and point.model_series is not None and self._has_folded(point.name):
            row = self._connection.execute(
                select, (point.name, folded(point).labels, point.instance, *values)
            ).fetchone()
            if row is not None:
                self._folded.add(row[0])
        return (0, None) if row is None else (row[0], _state(*row[1:]))

    def _has_folded(self, name: str) -> bool:
        known = self._names_with_folded.get(name)
        if known is None:
            select = "SELECT 1 FROM stream WHERE name = ? AND scope = 'folded' LIMIT 1"
            known = self._connection.execute(select, (name,)).fetchone() is not None
            self._names_with_folded[name] = known
        return known

    def predecessor(self, stream: int, known: StreamState | None, point: Point) -> StreamState | None:
        """Return what a point goes on from; a stream that makes room for it is removed."""
        before = predecessor(known, point)
        if known is not None and before is None:
            for table, column in (("history", "stream"), ("delta", "stream"), ("stream", "id")):
                self._connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (stream,))
        return before

    def end(self, point: Point) -> bool:
        """Note that a series has ended, under all its starts; `False` when nothing was known of it before."""
        ended = self._connection.execute(
            "UPDATE stream SET ended = max(coalesce(ended, 0), ?) WHERE name = ? AND labels = ? AND instance = ?",
            (point.ts, point.name, point.labels, point.instance),
        )
        return ended.rowcount > 0

    def insert_or_fold(self, point: Point) -> int:
        """Add a stream, where there are too many one that is not shown when it tells of models; return its id.

        Raises:
            PointRefused: as `insert` does.
        """
        try:
            return self.insert(point)
        except PointRefused as refusal:
            if point.model_series is None or refusal.reason == "names":
                raise
        self._names_with_folded[point.name] = True
        return self.insert(folded(point), MAX_FOLDED)

    def insert(self, point: Point, most: int | None = None) -> int:
        """Add a stream and return its id.

        Raises:
            PointRefused: "cardinality", its instrument has too many; "names", there are too many instruments; "series",
                all of them have too many together.
        """
        count = "SELECT count(*) FROM stream WHERE name = ?"
        of_name = self._of_name.get(point.name)
        if of_name is None:
            of_name = int(self._connection.execute(count, (point.name,)).fetchone()[0])
        self._of_name[point.name] = of_name
        if of_name >= (most or MAX_STREAMS):
            raise PointRefused("cardinality")
        if point.received_ts and most is None:  # who floods us does not keep out what we tell of ourselves
            self._refuse_too_many(is_new_name=not of_name)
        row = self._connection.execute(
            "INSERT INTO stream (name, labels, instance, start, kind, unit, description, scope, ts, value, count,"
            " bounds, buckets, exponential) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                point.name, point.labels, point.instance, point.start, point.kind, point.unit, point.description,
                point.scope, *_figures(point),
            ),
        ).fetchone()  # fmt: skip
        self._of_name[point.name] = of_name + 1
        self._names += not of_name
        self._of_all += 1
        if point.scope == "folded":
            self._folded.add(row[0])
        self._note(row[0], point)
        return int(row[0])

    def _refuse_too_many(self, *, is_new_name: bool) -> None:
        if self._of_all < 0:
            self._of_all = int(self._connection.execute("SELECT count(*) FROM stream").fetchone()[0])
            self._names = int(self._connection.execute(_COUNT_NAMES).fetchone()[0])
        if is_new_name and self._names >= MAX_NAMES:
            raise PointRefused("names")
        if self._of_all >= MAX_OF_ALL_NAMES:
            raise PointRefused("series")

    def update(self, stream: int, point: Point) -> None:
        """Put a point in the place of what is kept."""
        self._connection.execute(
            "UPDATE stream SET ts = ?, value = ?, count = ?, bounds = ?, buckets = ?, exponential = ? WHERE id = ?",
            (*_figures(point), stream),
        )
        self._note(stream, point)

    def _note(self, stream: int, point: Point) -> None:
        if stream in self._folded:  # nobody asks for its history
            return
        self._connection.execute(
            "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)",
            (stream, point.ts // MINUTE_US, point.value, point.count),
        )

    def note_delta(self, stream: int, ts: int, start: int) -> bool:
        """Note that a delta was added; `False` for one that was before."""
        noted = self._connection.execute("INSERT OR IGNORE INTO delta VALUES (?, ?, ?)", (stream, ts, start))
        return bool(noted.rowcount)


def _state(
    kind: str,
    start: int,
    ts: int,
    value: float,
    count: int,
    bounds: str | None,
    buckets: bytes | None,
    exponential: str | None,
) -> StreamState:
    return StreamState(
        kind, start, ts, value, count, _bounds(bounds), unpacked(buckets) if buckets else (), _exponential(exponential)
    )


def forget_users(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Remove the series of others whose labels name one of these users: unlike ours, they would keep the name."""
    own = [stream for stream, _, _ in _of_users(connection, ids)]
    change_in(connection, "DELETE FROM history WHERE stream IN", own)
    change_in(connection, "DELETE FROM delta WHERE stream IN", own)
    change_in(connection, "DELETE FROM stream WHERE id IN", own)


def of_users(connection: sqlite3.Connection, ids: Iterable[str]) -> list[str]:
    """Return the series of others whose labels name one of these users, sorted."""
    return sorted({f"{name}{{{text}}}" for _, name, text in _of_users(connection, ids)})


def _of_users(connection: sqlite3.Connection, ids: Iterable[str]) -> list[tuple[int, str, str]]:
    found = []
    for attribute, user in product(dialects.USER_ATTRIBUTES, ids):
        text = escaped([(attribute, user)])
        rows = connection.execute("SELECT id, name, labels FROM stream WHERE instr(labels, ?) > 0", (text,))
        found += [row for row in rows if parse(row[2]).get(label_name(attribute)) == user]
    return found


def _bounds(text: str | None) -> tuple[float, ...]:
    return tuple(msgspec.json.decode(text)) if text else ()


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


# ---------------------------------------------------------------- questions


def families(connection: sqlite3.Connection, now: int) -> list[Family]:
    """Return the streams as exposed: counters summed over starts, "add" over processes, the others while fresh."""
    rows = connection.execute(
        "SELECT name, kind, unit, bounds, description, scope, labels, ts, value, count, buckets, id,"
        f" ts > ? AND {_LASTS} FROM stream"
        " WHERE scope <> 'folded' AND (scope = 'add' OR ts > ?"
        " OR (scope = 'instance' AND kind IN ('counter', 'histogram')"
        " AND instance IN (SELECT instance FROM stream WHERE ts > ?))) ORDER BY name, labels, ts, id",
        (now - STALE_US, now - STALE_US, now - STALE_US),
    )
    shown: dict[tuple[str, str, str, str], ShownInstrument] = {}
    for name, kind, unit, bounds, description, scope, labels, _, value, count, buckets, stream, is_fresh in rows:
        key = (name, kind, unit, bounds or "")
        if key not in shown:
            shown[key] = ShownInstrument(Family(name, kind, unit, description, _bounds(bounds), []))
        new = Sample(labels, value, count, unpacked(buckets) if buckets else ())
        shown[key].take(new, stream, scope=scope, is_fresh=bool(is_fresh))
    return list(families_of(shown[key] for key in sorted(shown)))


def readings(connection: sqlite3.Connection, prefixes: Iterable[str], since: int) -> list[HostReading]:
    """Return the last values of numbers (no histograms) whose names begin so, sorted."""
    latest: dict[tuple[str, str, str], HostReading] = {}
    for prefix in prefixes:
        rows = connection.execute(
            "SELECT name, labels, instance, ts, value, (SELECT h.value FROM history h WHERE h.stream = stream.id"
            " AND h.minute < stream.ts / ? ORDER BY h.minute DESC LIMIT 1) FROM stream"
            f" WHERE name >= ? AND name < ? AND ts > ? AND {_LASTS} AND kind <> 'histogram'"
            " ORDER BY name, labels, instance, ts",
            (MINUTE_US, prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1), since),
        )
        for row in rows:
            reading = HostReading(*row)
            if isfinite(reading.value):
                latest[reading.name, reading.labels, reading.instance] = reading
    return [latest[key] for key in sorted(latest)]


def growth(connection: sqlite3.Connection, name: str, since: int) -> list[StreamGrowth]:
    """Return by how much each stream of a counter has grown since then; what it had before its first minute is new."""
    rows = connection.execute(
        "SELECT labels, value - coalesce((SELECT h.value FROM history h WHERE h.stream = stream.id AND h.minute < ?"
        " ORDER BY h.minute DESC LIMIT 1), 0) FROM stream WHERE name = ? AND ts >= ? AND kind = 'counter'"
        " ORDER BY labels, instance, start",
        (since // MINUTE_US, name, since),
    )
    return [StreamGrowth(*row) for row in rows]


# ---------------------------------------------------------------- upkeep


def sweep(connection: sqlite3.Connection, now: int, history_days: int) -> None:
    """Forget old history, and streams of ended processes; what those added is kept under one name."""
    oldest = now - history_days * DAY_US
    connection.execute("DELETE FROM history WHERE minute < ?", (oldest // MINUTE_US,))
    # Those of a clock that is days ahead would stay for as long: they are forgotten as well.
    connection.execute("DELETE FROM delta WHERE ts < ? OR ts > ?", (now - 2 * LATEST_DELTA_US, now + DAY_US))
    rows = connection.execute(
        "SELECT name, kind, unit, description, labels, start, ts, value, count, bounds, buckets FROM stream"
        " WHERE scope = 'add' AND (ts < ? OR instance = '') ORDER BY name, labels, instance, start",
        (oldest,),
    )
    ended = [
        Point(
            name, kind, unit, description, labels, "add", "", start, ts, value, count, _bounds(bounds),
            unpacked(buckets) if buckets else (),
        )
        for name, kind, unit, description, labels, start, ts, value, count, bounds, buckets in rows
    ]  # fmt: skip
    connection.execute("DELETE FROM stream WHERE ts < ? OR (scope = 'add' AND instance = '')", (oldest,))
    connection.execute("DELETE FROM stream WHERE scope = 'folded' AND ts < ?", (now - _FOLDED_US,))
    ingest(connection, pooled(ended))
