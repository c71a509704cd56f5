"""What retention removes, and what stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import ACCEPTED, TOO_OLD
from tests.closing import closed_later
from tests.facts import DAY, HOUR, NOON, event
from tests.store.asking import asked
from tests.store.sqlite.exposed import filled, use

Open = Callable[..., SqliteStore]
_encode = msgspec.json.encode


def test_retention_removes_facts_and_keeps_totals(opened: Open, tmp_path: Path) -> None:
    """Counters do not fall, a record from before the horizon is refused, and `rebuild` changes nothing."""
    store = opened(tmp_path / "x.db", retention_days=4)
    made = filled(store)
    before = _encode(asked(store, lambda m: m.streams.families(NOON)))
    assert store.sweep(NOON) == 5 * 6
    assert store.sweep(NOON) == 0
    assert _encode(asked(store, lambda m: m.streams.families(NOON))) == before
    with closed_later(sqlite3.connect(tmp_path / "x.db")) as connection:
        rows = connection.execute("SELECT count(*), min(ts) FROM inference").fetchone()
        assert rows == (15, NOON - 4 * DAY - 2 * HOUR)
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (15,)
    connection.close()
    assert store.accept([*made[-6:], event("new", ts=NOON - 9 * DAY), event("ok")]) == [TOO_OLD] * 7 + [ACCEPTED]
    before, snapshot = _encode(asked(store, lambda m: m.streams.families(NOON))), _encode(use(store))
    store.rebuild()
    assert (_encode(asked(store, lambda m: m.streams.families(NOON))), _encode(use(store))) == (before, snapshot)


def test_a_sweep_that_was_cut_short_goes_on(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its horizon stands, so what is left is refused and removed next time; a rebuild in between works."""
    store = opened(retention_days=4)
    filled(store)
    before = _encode(asked(store, lambda m: m.streams.families(NOON)))

    def crash(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("otel_measure.store.sqlite.retention.purge", crash)
        with pytest.raises(KeyboardInterrupt):
            store.sweep(NOON)
    assert store.accept([event("late", ts=NOON - 9 * DAY)]) == [TOO_OLD]
    store.rebuild()
    assert _encode(asked(store, lambda m: m.streams.families(NOON))) == before
    assert store.sweep(NOON) == 5 * 6
    assert _encode(asked(store, lambda m: m.streams.families(NOON))) == before
