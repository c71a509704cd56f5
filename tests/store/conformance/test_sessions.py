"""What stays of sessions when their facts are gone."""

from __future__ import annotations

from datetime import date

from otel_measure.records.kinds import NpsResponse, Origin, Record, UserEvent
from tests.store.asking import asking_users, holdings
from tests.store.conformance.engines import EngineCase
from tests.users.feeding import everything

DAY = 86_400_000_000
ORIGIN = Origin("shop")


def event(number: int, ts: int, **fields: object) -> UserEvent:
    """A page view of one user, or what `fields` make of it."""
    return UserEvent(
        id=f"e{number}",
        ts=ts,
        origin=ORIGIN,
        user_id="u",
        **{"type": "page_view", "name": "p", **fields},  # type: ignore[arg-type]
    )


def test_rebuild_after_retention(engine: EngineCase) -> None:
    """A rebuild keeps what removed facts left behind, and counts nothing of it twice."""
    store = engine.open(retention_days=10)
    midnight = 20 * DAY
    records: list[Record] = [
        event(0, DAY, type="purchase", value=2.0, currency="USD"),
        event(1, midnight - 60_000_000),
        event(2, midnight + 60_000_000),
        event(3, midnight - DAY // 2, session_id="s"),
        event(4, midnight + DAY // 2, session_id="s", type="purchase"),
        event(5, midnight - 5, background=True),
        event(6, midnight + 5_000_000_000),
        NpsResponse(id="n0", ts=DAY, origin=ORIGIN, user_id="u", score=1),
        NpsResponse(id="n1", ts=midnight, origin=ORIGIN, user_id="u", score=9),
    ]
    store.accept(records)
    assert store.sweep(midnight + 10 * DAY) == 5
    now, day = midnight + 10 * DAY, date(1970, 1, 31)
    before = everything(store, "UTC", now, day)
    store.rebuild()
    assert everything(store, "UTC", now, day) == before
    with asking_users(store) as ask:
        assert holdings(ask) == (1, 7, 4)
    store.close()


def test_large_batches_of_many_persons(engine: EngineCase) -> None:
    """More persons than a statement may name at once are found all the same."""
    store = engine.open()
    for step in range(2):
        store.accept(
            [
                UserEvent(
                    id=f"{step}-{n}-{client}", ts=step * 1_000_000, origin=ORIGIN, user_id=str(n), type="click",
                    name="x", session_id=client,
                )
                for n in range(600)
                for client in (None, "s")
            ]
        )  # fmt: skip
    with asking_users(store) as ask:
        assert holdings(ask) == (600, 2400, 1200)
    store.close()
