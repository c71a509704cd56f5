"""Sessions as spans that merge, and what stays of them when their facts are gone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_measure.records.kinds import NpsResponse, Origin, Record, UserEvent
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.sessions import SessionSpan, folded
from tests.closing import closed_later
from tests.users.feeding import contents

DAY = 86_400_000_000
ORIGIN = Origin("shop")
spans = st.builds(
    lambda start, length, views: SessionSpan(start, start + length, 1, views, 0),
    st.integers(0, 40),
    st.integers(0, 5),
    st.integers(0, 2),
)


@given(parts=st.lists(spans, min_size=1, max_size=8), gap=st.integers(0, 5), cut=st.integers(0, 8))
def test_folding_in_steps(parts: list[SessionSpan], gap: int, cut: int) -> None:
    """Folding some parts first, and the rest into the result, is folding them all, in any order."""
    first = folded(parts[:cut], gap) if parts[:cut] else []
    assert folded([*first, *parts[cut:]], gap) == folded(parts[::-1], gap)


def test_bounced() -> None:
    """One view within ten seconds bounces; a second view, a key event or ten seconds do not."""
    bounces = [SessionSpan(0, 9_999_999, 1, 1, 0), SessionSpan(0, 9_999_999, 3, 1, 0)]
    others = [
        SessionSpan(0, 10_000_000, 2, 1, 0),
        SessionSpan(0, 0, 2, 2, 0),
        SessionSpan(0, 0, 2, 1, 1),
        SessionSpan(0, 0, 1, 0, 0),
    ]
    assert [s.bounced for s in bounces + others] == [True, True, False, False, False, False]


def event(number: int, ts: int, **fields: object) -> UserEvent:
    """A page view of one user, or what `fields` make of it."""
    return UserEvent(
        id=f"e{number}",
        ts=ts,
        origin=ORIGIN,
        user_id="u",
        **{"type": "page_view", "name": "p", **fields},  # type: ignore[arg-type]
    )


def test_rebuild_after_retention() -> None:
    """A rebuild keeps what removed facts left behind, and counts nothing of it twice."""
    store = closed_later(SqliteStore(":memory:", retention_days=10))
    midnight = 20 * DAY
    records: list[Record] = [
        event(0, DAY, type="purchase", value=2.0, currency="USD"),
        event(1, midnight - 60_000_000),
        event(2, midnight + 60_000_000),
        event(3, midnight - DAY, session_id="s"),
        event(4, midnight + DAY, session_id="s", type="purchase"),
        event(5, midnight - 5, background=True),
        event(6, midnight + 5_000_000_000),
        NpsResponse(id="n0", ts=DAY, origin=ORIGIN, user_id="u", score=1),
        NpsResponse(id="n1", ts=midnight, origin=ORIGIN, user_id="u", score=9),
    ]
    store.accept(records)
    assert store.sweep(midnight + 10 * DAY) == 5
    before = contents(store)
    store.rebuild()
    assert contents(store) == before
    with store.users.asking() as ask:
        assert ask.totals() == (1, 7, 4)
    store.close()


def test_large_batches_of_many_persons() -> None:
    """More persons than a statement may name at once are found all the same."""
    store = closed_later(SqliteStore(":memory:"))
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
    with store.users.asking() as ask:
        assert ask.totals() == (600, 2400, 1200)
    store.close()
