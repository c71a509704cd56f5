"""Sessions as spans that merge."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.sessions import BY_GAP, SessionKey, SessionSpan, merged_spans, without_counted

spans = st.builds(
    lambda start, length, views: SessionSpan(start, start + length, 1, views, 0),
    st.integers(0, 40),
    st.integers(0, 5),
    st.integers(0, 2),
)


@given(parts=st.lists(spans, min_size=1, max_size=8), gap=st.integers(0, 5), cut=st.integers(0, 8))
def test_merging_in_steps(parts: list[SessionSpan], gap: int, cut: int) -> None:
    """Merging some parts first, and the rest into the result, is merging them all, in any order."""
    first = merged_spans(parts[:cut], BY_GAP, gap) if parts[:cut] else []
    assert merged_spans([*first, *parts[cut:]], BY_GAP, gap) == merged_spans(parts[::-1], BY_GAP, gap)


def test_a_clients_session_is_one_whatever_its_pauses() -> None:
    """The gap rule is for events without a client's session id alone."""
    parts = [SessionSpan(0, 1, 1, 1, 0), SessionSpan(10**15, 10**15 + 1, 2, 0, 1)]
    assert merged_spans(parts, "client", 5) == [SessionSpan(0, 10**15 + 1, 3, 1, 1)]
    assert merged_spans(parts, BY_GAP, 5) == parts


def test_bounced() -> None:
    """One view within ten seconds bounces; a second view, a key event or ten seconds do not."""
    bounces = [SessionSpan(0, 9_999_999, 1, 1, 0), SessionSpan(0, 9_999_999, 3, 1, 0)]
    others = [
        SessionSpan(0, 10_000_000, 2, 1, 0),
        SessionSpan(0, 0, 2, 2, 0),
        SessionSpan(0, 0, 2, 1, 1),
        SessionSpan(0, 0, 1, 0, 0),
    ]
    usual = Definitions()
    assert [s.is_bounced(usual) for s in bounces + others] == [True, True, False, False, False, False]
    assert [s.is_bounced(Definitions(engaged_s=11, engaged_views=3)) for s in others] == [True, True, False, False]


def test_what_kept_sessions_have_counted_is_not_counted_again() -> None:
    """Of a client's session nothing counts any more; of those by the gap rule what begins after the last one ended."""
    early, late = SessionSpan(1, 5, 1, 0, 0), SessionSpan(11, 12, 1, 0, 0)
    parts: dict[SessionKey, list[SessionSpan]] = {
        (1, BY_GAP): [early, late],
        (1, "s"): [late],
        (2, BY_GAP): [early],
        (3, BY_GAP): [early],
    }
    counted: dict[SessionKey, int] = {(1, BY_GAP): 10, (1, "s"): 10, (3, BY_GAP): 10}
    assert dict(without_counted(parts, counted)) == {(1, BY_GAP): [late], (2, BY_GAP): [early]}
