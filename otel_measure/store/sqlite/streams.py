"""Streams: numbers without a fact, kept as the cumulative value each process last said.

`ingest` upserts that absolute value and the current minute's row, so repeating a write changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from otel_measure.store.base import Family, Point, Sample
from otel_measure.store.sqlite.models import MINUTE_US
from otel_measure.store.sqlite.totals import packed, unpacked

STALE_US: Final = 5 * MINUTE_US
_DAY_US: Final = 1440 * MINUTE_US


def ingest(connection: sqlite3.Connection, points: Iterable[Point]) -> None:
    """Take in points; one older than what its stream already said changes nothing."""
    for point in points:
        row = connection.execute(
            "INSERT INTO stream (name, labels, instance, start, kind, unit, description, scope, ts, value, count,"
            " bounds, buckets) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (name, labels, instance, start) DO UPDATE SET ts = excluded.ts, value = excluded.value,"
            " count = excluded.count, bounds = excluded.bounds, buckets = excluded.buckets"
            " WHERE excluded.ts >= ts RETURNING id",
            (
                point.name, point.labels, point.instance, point.start, point.kind, point.unit, point.description,
                point.scope, point.ts, point.value, point.count,
                msgspec.json.encode(point.bounds).decode() if point.bounds else None,
                packed(point.buckets) if point.buckets else None,
            ),
        ).fetchone()  # fmt: skip
        if row:
            connection.execute(
                "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)",
                (row[0], point.ts // MINUTE_US, point.value, point.count),
            )


def families(connection: sqlite3.Connection, now: int) -> list[Family]:
    """Return the streams as exposed: "add" summed over processes past and present, the others while fresh."""
    rows = connection.execute(
        "SELECT name, labels, kind, unit, description, scope, value, count, bounds, buckets FROM stream"
        " WHERE scope = 'add' OR ts > ? ORDER BY name, labels, ts",
        (now - STALE_US,),
    )
    found: dict[str, Family] = {}
    samples: dict[str, dict[str, Sample]] = {}
    for name, labels, kind, unit, description, scope, value, count, bounds, buckets in rows:
        if name not in found:
            edges: Any = tuple(msgspec.json.decode(bounds)) if bounds else ()
            found[name] = Family(name, kind, unit, description, edges, [])
        new = Sample(labels, value, count, unpacked(buckets) if buckets else ())
        known = samples.setdefault(name, {})
        known[labels] = _added(known[labels], new) if scope == "add" and labels in known else new
    return [family._replace(samples=list(samples[name].values())) for name, family in found.items()]


def _added(one: Sample, other: Sample) -> Sample:
    buckets = tuple(a + b for a, b in zip(one.buckets, other.buckets, strict=False))
    return Sample(one.labels, one.value + other.value, one.count + other.count, buckets)


def sweep(connection: sqlite3.Connection, now: int, history_days: int) -> None:
    """Forget old history, and streams of ended processes; what those added is kept under one name."""
    oldest = now - history_days * _DAY_US
    connection.execute("DELETE FROM history WHERE minute < ?", (oldest // MINUTE_US,))
    ended = connection.execute(
        "SELECT name, kind, unit, description, labels, sum(value), sum(count), min(start), max(ts) FROM stream"
        " WHERE scope = 'add' AND ts < ? AND buckets IS NULL AND instance != '' GROUP BY name, labels",
        (oldest,),
    ).fetchall()
    connection.execute("DELETE FROM stream WHERE ts < ? AND buckets IS NULL AND instance != ''", (oldest,))
    for name, kind, unit, description, labels, value, count, start, ts in ended:
        kept = connection.execute(
            "SELECT value, count, start FROM stream WHERE name=? AND labels=? AND instance=''", (name, labels)
        ).fetchone() or (0.0, 0, start)
        ingest(
            connection,
            [Point(name, kind, unit, description, labels, "add", "", kept[2], ts, kept[0] + value, kept[1] + count)],
        )
