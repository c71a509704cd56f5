"""What `doctor` finds of alerts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from otel_measure.config import Settings
from otel_measure.definitions.alerting.turn import Turn, advance
from otel_measure.store.engines import definitions_of
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.checked_file import StoreFile
from otel_measure.store.sqlite.checkup_alerts import alerts
from otel_measure.store.types.findings import Finding
from tests.definitions.alerting.judging import MINUTE, NOW, judged, rule


@pytest.fixture
def file(tmp_path: Path) -> StoreFile:
    """Return a store that a process has used and left."""
    settings = Settings(store=str(tmp_path / "measure.db"))
    SqliteStore(str(settings.store)).close()
    return replace(StoreFile(settings=settings, definitions=definitions_of(settings)), now_us=lambda: NOW + MINUTE)


def evaluate(file: StoreFile, turn: Turn) -> None:
    """Have a process evaluate."""
    with closing(SqliteStore(str(file.path))) as store:
        term = store.alerts.take_term("a", "x", NOW, NOW + 3 * MINUTE)
        assert store.alerts.write_turn(term.number, turn, ["webhook"], NOW)


def test_a_store_where_nobody_evaluates(file: StoreFile) -> None:
    """Nothing is wrong with an application alone, nor with a store of before."""
    assert alerts(file) == Finding("ok", "never evaluated: no server has run here")
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("DROP TABLE alert_evaluator")
    assert alerts(file) == Finding("ok", "not known before the next process starts")


def test_a_store_where_all_is_well(file: StoreFile) -> None:
    """It says when alerts were evaluated last; after ten minutes that is a warning."""
    evaluate(file, Turn())
    assert alerts(file) == Finding("ok", "evaluated last at 2026-01-15 12:00 UTC")
    late = alerts(replace(file, now_us=lambda: NOW + 11 * MINUTE))
    assert (late.verdict, late.way_out.partition(",")[0]) == ("warning", "start `otel-measure serve`")


def test_other_rules_and_a_dead_receiver(file: StoreFile) -> None:
    """Who may not evaluate, and who takes nothing, are warned of with the way out."""
    firing = advance((), (), [judged("beyond")], {"errors": rule()}, lambda _: False, NOW)
    evaluate(file, firing)
    with closing(SqliteStore(str(file.path))) as store:
        store.alerts.take_term("b", "y", NOW + 1, NOW + 3 * MINUTE)
        store.alerts.note_failed("webhook", NOW, NOW + 1)
        store.alerts.note_failed("slack", NOW, NOW + 1)
        store.alerts.note_delivered("slack", [], NOW)
    assert alerts(file) == Finding(
        "warning",
        "evaluated last at 2026-01-15 12:00 UTC\na process with other rules does not evaluate\n"
        "the receiver webhook takes nothing since 2026-01-15 12:00 UTC: 1 wait",
        "give all processes of the store the same version and settings, or stop one of them\n"
        "try `otel-measure alerts test`; what they missed waits in the store",
    )
