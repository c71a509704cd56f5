"""Retention by age in ClickHouse: what goes, what stays, and what totals keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import EvaluationResult, GroundTruth, Record
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.sweeping import AgeSweeper
from tests.clickhouse import ClickHouseServer
from tests.facts import DAY, HERE, NOON, event, inference
from tests.store.clickhouse.storing import DEFINITIONS, new_store, stored, writer

pytestmark = pytest.mark.e2e
DAYS_AGO = (40, 11, 10, 0)
TODAY = DEFINITIONS.day_of(NOON)


def of_day(ago: int) -> list[Record]:
    """Return a fact of some kinds, so many days ago."""
    at = NOON - ago * DAY
    return [
        event(f"e{ago}", "ann", at),
        inference(f"i{ago}", ts=at, input_tokens=7),
        EvaluationResult(id=f"v{ago}", ts=at, origin=HERE, name="fine", score=1.0),
        GroundTruth(id=f"t{ago}", ts=at, origin=HERE, inference_id=f"i{ago}", value=1),
    ]


class Notes:
    """Notes of removals in memory, of which one may fail to be taken away."""

    def __init__(self) -> None:
        self.kept: list[Mapping[TotalKey, Sum]] = []
        self.noted: list[str] = []
        self.fails = False

    def begin_removal(self, key: str, sums: Mapping[TotalKey, Sum]) -> None:
        """Keep it."""
        if key not in self.noted:
            self.noted.append(key)
            self.kept.append(sums)

    def end_removal(self, key: str) -> None:
        """Take it away."""
        if self.fails:
            raise StoreUnavailable("clickhouse", "gone", "try again")
        self.noted.remove(key)

    def removals(self) -> list[str]:
        """Return those that are there."""
        return list(self.noted)


def added(sums: Sequence[Mapping[TotalKey, Sum]]) -> dict[TotalKey, tuple[int, int]]:
    """Return what several sums add up to."""
    total: dict[TotalKey, tuple[int, int]] = {}
    for each in sums:
        for key, one in each.items():
            value, count = total.get(key, (0, 0))
            total[key] = (value + one.value, count + one.count)
    return total


@pytest.fixture
def database(clickhouse: ClickHouseServer) -> ClickHouseDatabase:
    """Return a store with facts of some days."""
    database = new_store(clickhouse)
    writer(database).accept([fact for ago in DAYS_AGO for fact in of_day(ago)])
    return database


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_whole_days_go_and_totals_stay(database: ClickHouseDatabase, is_interrupted: bool) -> None:
    """Facts of the days before one go; what they added is kept once, also when a process ends in the middle."""
    notes = Notes()
    sweeper = AgeSweeper(database, notes)
    removed = 0
    if is_interrupted:
        notes.fails = True
        with pytest.raises(StoreUnavailable):
            sweeper.remove_before(TODAY - 10)
        notes.fails, removed = False, 1
    assert sweeper.remove_before(TODAY - 10) == 8 - removed
    assert sweeper.remove_before(TODAY - 10) == 0
    there = stored(database, [f"{kind}{ago}" for kind in "eivt" for ago in DAYS_AGO])
    assert sorted(name for _, name in there) == ["e0", "e10", "i0", "i10", "t0", "t10", "v0", "v10"]
    assert notes.noted == []
    assert added(notes.kept) == added([summed([*of_day(40), *of_day(11)])])
    parts = "SELECT DISTINCT partition FROM system.parts WHERE active AND database = {of:String} AND table = 'event'"
    assert len(database.rows(parts, of=database.name)) == 2
