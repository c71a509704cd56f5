"""What `doctor` finds of those who send by OTLP."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from otel_measure.config import Settings
from otel_measure.definitions.arrivals import Arrival, ArrivalSource
from otel_measure.store.engines import definitions_of
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.checked_file import StoreFile
from otel_measure.store.sqlite.checkup_senders import senders
from otel_measure.store.types.findings import Finding
from tests.facts import MINUTE, NOON

SHOP = ArrivalSource("shop", "", "go", "http")


@pytest.fixture
def file(tmp_path: Path) -> StoreFile:
    """Return a store that a process has used and left, at noon."""
    settings = Settings(store=str(tmp_path / "measure.db"))
    SqliteStore(str(settings.store)).close()
    return replace(StoreFile(settings=settings, definitions=definitions_of(settings)), now_us=lambda: NOON)


def note(file: StoreFile, arrived: dict[Arrival, int], at: int = NOON) -> None:
    """Have a process note what came."""
    store = SqliteStore(str(file.path))
    store.note_arrivals(arrived, at)
    store.close()


def test_a_store_of_before(file: StoreFile) -> None:
    """What it does not know yet is no fault of anybody's."""
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("DROP TABLE arrival")
    assert senders(file) == Finding("ok", "not known before the next process starts")


def test_what_came_and_what_to_do(file: StoreFile) -> None:
    """A line for each sender; the remedies beside it, each once; what came more than an hour ago is not in it."""
    plain = Arrival(SHOP, "traces", "ignored", "no_user")
    note(file, {Arrival(SHOP, "logs", "event", ""): 1200, plain: 2, Arrival(SHOP, "metrics", "rejected", "a rule"): 1})
    note(file, {plain: 5}, NOON - 90 * MINUTE)
    assert senders(file) == Finding(
        "ok",
        "shop/go/http - event: 1,200 log records; ignored: 2 spans (events that name no user); "
        "rejected: 1 data points (a rule)",
        "a rule: mend it at the sender, or drop it there\nevents that name no user: set `user.id` on them",
    )


def test_who_sends_in_vain_is_warned_of(file: StoreFile) -> None:
    """Where nothing at all became of what somebody sent, however many others there are."""
    others = {Arrival(SHOP._replace(service=f"s{n:02}"), "logs", "event", ""): 1 for n in range(60)}
    note(file, others | {Arrival(SHOP._replace(service="a"), "logs", "ignored", "no_event"): 3})
    finding = senders(file)
    lines = finding.what.splitlines()
    assert (finding.verdict, len(lines), lines[-1]) == ("warning", 51, "and 11 more")
    assert lines[0] == "a/go/http - ignored: 3 log records (log lines without an event name)"
