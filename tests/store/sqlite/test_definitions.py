"""A store keeps by which definitions it was counted, and is counted by no others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_measure.definitions.days import Days
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError
from otel_measure.records.events import to_event
from otel_measure.records.kinds import Origin, Record
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import ACCEPTED, Filter
from tests.exporter.cli.command_line import run
from tests.facts import DAY, NOON, SECOND, event, one_of_each
from tests.store.asking import asked, asking_users, holdings
from tests.store.sqlite import last_release
from tests.users.feeding import contents

Open = Callable[..., SqliteStore]
DEFAULT = Definitions()
TODAY = Days(NOON // DAY, NOON // DAY)
GAP_600 = replace(DEFAULT, session_gap_s=600)
# Three views, 1,000 s apart, and two that are 12 s apart: 1 + 1 sessions at a gap of 1,800 s, 3 + 1 at one of 600 s.
VIEWS: tuple[Record, ...] = (
    *(event(f"v{n}", "a", NOON - n * 1000 * SECOND, type="page_view", name="p") for n in range(3)),
    event("b", "b", type="page_view", name="p"),
    event("c", "b", NOON + 12 * SECOND),
    event("s", "b", NOON + 13 * SECOND, type="signup"),
    *one_of_each(),
)


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open stores that are closed with the test."""
    stores: list[SqliteStore] = []

    def open_one(path: Path | str = ":memory:", definitions: Definitions | None = None, **given: Any) -> SqliteStore:
        stores.append(SqliteStore(str(path), definitions=definitions, **given))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


def sessions(store: SqliteStore) -> int:
    """Return the number of sessions that a store holds."""
    with asking_users(store) as ask:
        return holdings(ask).sessions


# ---------------------------------------------------------------- settings


def test_the_command_rebuilds_by_the_settings(opened: Open, tmp_path: Path) -> None:
    """After `OTEL_MEASURE_SESSION_GAP_S=600 otel-measure rebuild` three views 1,000 s apart are three sessions."""
    path, at_600 = tmp_path / "a.db", {"OTEL_MEASURE_SESSION_GAP_S": "600"}
    store = opened(path, GAP_600)
    store.accept(VIEWS[:3])
    assert sessions(store) == 3
    store.close()
    for environment, expected in ((at_600, 3), ({}, 1), (at_600, 3)):
        result = run("rebuild", "--store", str(path), env=environment)
        assert (result.exit_code, sessions(opened(path))) == (0, expected), result.output
    opened(path, GAP_600)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"session_gap_s": 600},
            "keeps session_gap_s=1800, the settings say session_gap_s=600: "
            "set session_gap_s=1800 or run `otel-measure rebuild` with OTEL_MEASURE_SESSION_GAP_S=600",
        ),
        (
            {"timezone": "Asia/Tokyo"},
            "keeps timezone='UTC', the settings say timezone='Asia/Tokyo': "
            "set timezone='UTC' or run `otel-measure rebuild --timezone Asia/Tokyo`",
        ),
        (
            {"timezone": "Asia/Tokyo", "drift_window_hours": 6, "drift_window_records": 60},
            "keeps timezone='UTC', drift_window_records=1000, drift_window_hours=24, "
            "the settings say timezone='Asia/Tokyo', drift_window_records=60, drift_window_hours=6: "
            "set timezone='UTC', drift_window_records=1000, drift_window_hours=24 or run `otel-measure rebuild"
            " --timezone Asia/Tokyo` with OTEL_MEASURE_DRIFT_WINDOW_RECORDS=60 OTEL_MEASURE_DRIFT_WINDOW_HOURS=6",
        ),
        (
            {"engaged_s": 15},
            "keeps engaged_s=10, the settings say engaged_s=15: set engaged_s=10 or run `otel-measure rebuild`",
        ),
        (
            {"key_event_types": frozenset({"login", "conversion"})},
            "keeps key_event_types=['conversion', 'form_submit', 'purchase', 'signup'], "
            "the settings say key_event_types=['conversion', 'login']: "
            "set key_event_types=['conversion', 'form_submit', 'purchase', 'signup'] or run `otel-measure rebuild`",
        ),
    ],
)
def test_other_definitions_are_refused_until_a_rebuild(
    opened: Open, tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    """The refusal says what differs and both ways out; after a rebuild the store is that of a fresh one."""
    path, wanted = tmp_path / "a.db", replace(DEFAULT, **changed)
    opened(path).accept(VIEWS)
    with pytest.raises(StoreError) as refusal:
        opened(path, wanted)
    assert str(refusal.value) == f"store {path} {told}"
    opened(path).rebuild(wanted)
    store, fresh = opened(path, wanted), opened(tmp_path / "fresh.db", wanted)
    fresh.accept(VIEWS)
    assert contents(store) == contents(fresh)
    later: list[Record] = [event("d", "b", NOON + 25 * SECOND, type="login"), event("f", "a", NOON + 700 * SECOND)]
    assert store.accept(later) == fresh.accept(later) == [ACCEPTED] * 2
    assert contents(store) == contents(fresh)


# ---------------------------------------------------------------- schemas and versions


def test_a_store_of_the_last_release_is_claimed_by_the_settings(opened: Open, tmp_path: Path) -> None:
    """It kept its zone alone: that is held to, and what the settings say of the rest is what it was counted by."""
    path = tmp_path / "a.db"
    last_release.write(path)
    with pytest.raises(StoreError, match="keeps timezone='UTC', the settings say timezone='Asia/Tokyo'"):
        opened(path, replace(DEFAULT, timezone="Asia/Tokyo"))
    store = opened(path, DEFAULT)
    before = contents(store)
    with pytest.raises(StoreError, match="keeps session_gap_s=1800"):
        opened(path, GAP_600)
    store.rebuild()
    assert contents(store) == before
    with sqlite3.connect(path) as connection:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
    connection.close()
    assert meta == {
        "definitions": DEFAULT.to_json(), "digest": DEFAULT.digest, "horizon": str(last_release.HORIZON),
    }  # fmt: skip


def test_an_event_type_of_a_newer_version_is_activity(opened: Open) -> None:
    """It is kept, counted as activity, rebuilt, narrowed to, exposed and sent: whatever it is, it is no crash."""
    store = opened()
    unknown = event("a", "a", type="of_tomorrow", name="n")
    assert store.accept([unknown, event("b", "b", origin=Origin("other", "test"))]) == [ACCEPTED] * 2
    before = contents(store)
    store.rebuild()
    assert contents(store) == before
    for where, active in ((Filter(), 2), (Filter("shop"), 1)):
        with asking_users(store, where) as ask:
            assert (ask.active(TODAY), holdings(ask).events) == (active, active)
    families = asked(store, lambda m: m.streams.families(NOON))
    (events,) = (family for family in families if family.name == "otel_measure.users.events")
    assert 'otel_measure_event_type="of_tomorrow"' in "".join(sample.labels for sample in events.samples)
    assert to_event(unknown).name == "otel_measure.of_tomorrow"
