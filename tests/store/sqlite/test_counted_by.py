"""What cannot be counted anew keeps the definitions that made it, and whoever asks for it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import CountedBy
from otel_measure.records.kinds import Origin
from otel_measure.store.sqlite import SqliteStore, checkup, updating
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.findings import Finding
from otel_measure.store.types.streams import Interpreted
from tests.facts import DAY, HERE, MINUTE, NOON, event
from tests.store.asking import asked
from tests.store.conformance.test_received import calls
from tests.store.sqlite.test_checkup import file_at

Open = Callable[..., SqliteStore]
DEFAULT = Definitions()
OTHER_GAP = replace(DEFAULT, session_gap_s=600)
NEWER_RULES = replace(DEFAULT, rules=DEFAULT.rules + 1)
HORIZON = NOON - NOON % DAY - 4 * DAY


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open stores that are closed with the test."""
    stores: list[SqliteStore] = []

    def open_one(path: Path, definitions: Definitions | None = None, **given: Any) -> SqliteStore:
        stores.append(SqliteStore(str(path), definitions=definitions, retention_days=4, **given))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


def swept(store: SqliteStore) -> SqliteStore:
    """Give a store eight days of which the first four have no facts any more."""
    store.accept([event(f"e{n}", ts=NOON - n * DAY) for n in range(8)])
    store.sweep(NOON)
    return store


def persons_counted_by(store: SqliteStore, start: int, end: int = NOON, service: str | None = None) -> CountedBy:
    """Return by which definitions persons are counted."""
    return asked(store, lambda moment: moment.users.counted_by(start, end), Filter(service))


def test_days_without_facts_keep_their_definitions(opened: Open, tmp_path: Path) -> None:
    """After a rebuild by another gap they are counted by the earlier one, and days with facts by that of the store."""
    store = swept(opened(tmp_path / "a.db", DEFAULT))
    assert persons_counted_by(store, HORIZON - DAY) == "current"
    store.rebuild(OTHER_GAP)
    assert persons_counted_by(store, HORIZON - 1) == "earlier"
    assert persons_counted_by(store, HORIZON - 3 * DAY, HORIZON - DAY) == "earlier"
    assert persons_counted_by(store, HORIZON) == "current"
    assert asked(store, lambda moment: moment.experiments.counted_by(HORIZON - 1, NOON)) == "earlier"
    assert asked(store, lambda moment: moment.models.counted_by(HORIZON - DAY, NOON)) == "current"
    assert asked(store, lambda moment: moment.quality.counted_by(HORIZON - DAY, NOON)) == "current"


def test_days_that_the_definitions_come_back_to_are_current_again(opened: Open, tmp_path: Path) -> None:
    """What was counted by the very definitions that the store has again is counted by no others."""
    store = swept(opened(tmp_path / "a.db", DEFAULT))
    store.rebuild(OTHER_GAP)
    store.sweep(NOON + 2 * DAY)
    store.rebuild(DEFAULT)
    assert persons_counted_by(store, HORIZON - DAY, HORIZON) == "current"
    assert persons_counted_by(store, HORIZON - DAY, HORIZON + 1) == "earlier"
    assert persons_counted_by(store, HORIZON + 2 * DAY) == "current"


def test_a_narrowed_answer_is_made_of_the_facts_that_are_there(opened: Open, tmp_path: Path) -> None:
    """It has nothing of the days whose facts are gone, and so is counted by the definitions of the store."""
    store = swept(opened(tmp_path / "a.db", DEFAULT))
    store.accept([event("other", origin=Origin("api", ""))])
    store.rebuild(OTHER_GAP)
    assert persons_counted_by(store, HORIZON - DAY, service="shop") == "current"


def test_calls_that_only_metrics_tell_of_keep_their_definitions(opened: Open, tmp_path: Path) -> None:
    """No fact brings them back: until the last of them, models are counted by the earlier definitions."""
    store = opened(tmp_path / "a.db", DEFAULT)
    store.ingest([calls(3)], lambda grown: [Interpreted(NOON, HERE, ModelUse("m", "1", requests=3), ())])
    store.rebuild(OTHER_GAP)
    assert asked(store, lambda moment: moment.models.counted_by(NOON, NOON + DAY)) == "earlier"
    assert asked(store, lambda moment: moment.models.counted_by(NOON + MINUTE, NOON + DAY)) == "current"
    assert asked(store, lambda moment: moment.users.counted_by(0, NOON + DAY)) == "current"


def test_while_facts_wait_everything_says_so(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question, and `doctor`, from when newer rules begin to count until they are done."""
    monkeypatch.setattr(updating, "SMALL", -1)
    path = tmp_path / "a.db"
    older = swept(opened(path, DEFAULT))
    file = replace(file_at(path), definitions=NEWER_RULES)
    assert checkup.counting(file_at(path)) == Finding("ok", "all that is stored is counted")
    begins = f"updating from rules {DEFAULT.rules} to {NEWER_RULES.rules} begins with the next process, nothing waits"
    assert checkup.counting(file) == Finding("ok", begins)
    newer = opened(path, NEWER_RULES)
    assert newer.bring_up_to_date("new", NOON)
    older.accept([event("late")])
    with newer.asking() as moment:
        for questions in (moment.users, moment.models, moment.quality, moment.experiments):
            assert questions.counted_by(HORIZON, NOON) == "updating"
    assert (newer.is_updating(), older.is_updating()) == (True, True)
    assert checkup.counting(file) == Finding(
        "ok",
        "updating by a process that began at 2026-01-15 12:00:00 UTC: facts are being counted anew, 1 entries of the"
        " journal wait",
    )
    while "copied" not in checkup.counting(file).what:
        assert newer.bring_up_to_date("new", NOON)
    while newer.bring_up_to_date("new", NOON):
        pass
    assert (persons_counted_by(newer, HORIZON - 1), persons_counted_by(newer, HORIZON)) == ("earlier", "current")
    assert not newer.is_updating()
    assert checkup.counting(file) == Finding("ok", "all that is stored is counted")
