"""Streams: numbers without a fact, kept as the cumulative value each process last said.

`ingest` upserts that absolute value and the current minute's row, so repeating a write changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
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
    rows = connection.execute(
        "SELECT name, kind, unit, description, labels, start, ts, value, count, bounds, buckets FROM stream"
        " WHERE scope = 'add' AND (ts < ? OR instance = '') ORDER BY name, labels, instance, start",
        (oldest,),
    )
    kept: dict[tuple[str, str], Point] = {}
    for name, kind, unit, description, labels, start, ts, value, count, bounds, buckets in rows:
        edges = tuple(msgspec.json.decode(bounds)) if bounds else ()
        ended = Point(
            name, kind, unit, description, labels, "add", "", start, ts, value, count, edges,
            unpacked(buckets) if buckets else (),
        )  # fmt: skip
        known = kept.get((name, labels))
        kept[name, labels] = ended if known is None else _ended(known, ended)
    connection.execute("DELETE FROM stream WHERE ts < ? OR instance = ''", (oldest,))
    ingest(connection, kept.values())


def _ended(known: Point, other: Point) -> Point:
    both = _added(
        Sample(known.labels, known.value, known.count, known.buckets),
        Sample(other.labels, other.value, other.count, other.buckets),
    )
    ts = max(known.ts, other.ts)
    return replace(known, ts=ts, value=both.value, count=both.count, buckets=both.buckets)
