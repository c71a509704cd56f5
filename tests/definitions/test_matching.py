"""Moments matched one to one with intervals around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.matching import greatest_matching

MOMENTS = st.lists(st.integers(0, 9), max_size=6)
INTERVALS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda both: (min(both), max(both))), max_size=6
)


def size_of_greatest(moments: list[int], intervals: list[tuple[int, int]]) -> int:
    """Return the size of a greatest matching, found by trying all."""
    if not moments:
        return 0
    at, *rest = moments
    without = size_of_greatest(rest, intervals)
    return max(
        [
            without,
            *(
                1 + size_of_greatest(rest, [*intervals[:i], *intervals[i + 1 :]])
                for i, (first, last) in enumerate(intervals)
                if first <= at <= last
            ),
        ]
    )


@given(MOMENTS, INTERVALS)
def test_there_are_as_many_pairs_as_there_can_be(moments: list[int], intervals: list[tuple[int, int]]) -> None:
    """A moment and an interval around it make a pair, each of them one at most; no other way gives more."""
    pairs = greatest_matching(
        [(at, (f"m{i}",)) for i, at in enumerate(moments)],
        [(first, last, (f"i{i}",)) for i, (first, last) in enumerate(intervals)],
    )
    assert len({moment for moment, _ in pairs}) == len({interval for _, interval in pairs}) == len(pairs)
    for (moment,), (interval,) in pairs:
        first, last = intervals[int(interval[1:])]
        assert first <= moments[int(moment[1:])] <= last
    assert len(pairs) == size_of_greatest(moments, intervals)
