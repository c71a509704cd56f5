"""Sessions as spans that merge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.sessions import (
    BY_GAP,
    Client,
    SessionKey,
    SessionSpan,
    client_of,
    merged_spans,
    without_counted,
)

SECOND = 1_000_000

spans = st.builds(
    lambda start, length, views: SessionSpan(start * SECOND, (start + length) * SECOND, 1, views, 0),
    st.integers(0, 40),
    st.integers(0, 5),
    st.integers(0, 2),
)


@given(parts=st.lists(spans, min_size=1, max_size=8), gap=st.integers(0, 5), cut=st.integers(0, 8))
def test_merging_in_steps(parts: list[SessionSpan], gap: int, cut: int) -> None:
    """Merging some parts first, and the rest into the result, is merging them all, in any order."""
    definitions = Definitions(session_gap_s=gap, client_session_gap_s=2 * gap)
    for client in (BY_GAP, "client"):
        first = merged_spans(parts[:cut], client, definitions) if parts[:cut] else []
        in_steps = merged_spans([*first, *parts[cut:]], client, definitions)
        assert in_steps == merged_spans(parts[::-1], client, definitions)


@pytest.mark.parametrize(
    ("client", "longest_us"), [(BY_GAP, 1800 * SECOND), ("client", 86_400 * SECOND), (b"c", 86_400 * SECOND)]
)
def test_the_longest_pause(client: Client, longest_us: int) -> None:
    """Half an hour, and in a session of a client's id a day; exactly so long is within one session."""
    first, within, beyond = (SessionSpan(start, start + 1, 1, 1, 0) for start in (0, longest_us + 1, longest_us + 2))
    assert merged_spans([first, within], client, Definitions()) == [SessionSpan(0, longest_us + 2, 2, 2, 0)]
    assert merged_spans([first, beyond], client, Definitions()) == [first, beyond]


def test_a_placeholder_is_no_session_id() -> None:
    """What programs write for no id makes no session of all who have none."""
    given = (None, "", "undefined", "NULL", "0", "\u200b", "s", "undefined-1")
    assert [client_of(session_id) for session_id in given] == [BY_GAP] * 6 + ["s", "undefined-1"]


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
    """What begins after the last one ended counts, and nothing before."""
    early, late = SessionSpan(1, 5, 1, 0, 0), SessionSpan(11, 12, 1, 0, 0)
    parts: dict[SessionKey, list[SessionSpan]] = {
        (1, BY_GAP): [early, late],
        (1, "s"): [early, late],
        (1, "t"): [early],
        (2, BY_GAP): [early],
        (3, BY_GAP): [early],
    }
    counted: dict[SessionKey, int] = {(1, BY_GAP): 10, (1, "s"): 10, (1, "t"): 10, (3, BY_GAP): 10}
    left = {(1, BY_GAP): [late], (1, "s"): [late], (2, BY_GAP): [early]}
    assert dict(without_counted(parts, counted)) == left
