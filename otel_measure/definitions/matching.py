"""Moments matched one to one with the intervals in which they lie."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import TypeVar

K = TypeVar("K", bound=tuple[str, ...])


def greatest_matching(moments: Iterable[tuple[int, K]], intervals: Iterable[tuple[int, int, K]]) -> list[tuple[K, K]]:
    """Return as many pairs as there can be of a moment and an interval around it, each of them in one pair at most.

    In order of time each moment takes, of the free intervals around it, the one that ends first. That gives the
    greatest number of pairs: a later moment can do with an interval that ends later, and not the other way round.

    Args:
        moments: when, and a key.
        intervals: first and last moment, and a key.
    """
    coming = sorted(intervals, reverse=True)
    free: list[tuple[int, K]] = []
    pairs = []
    for at, key in sorted(moments):
        while coming and coming[-1][0] <= at:
            _, last, interval = coming.pop()
            heappush(free, (last, interval))
        while free and free[0][0] < at:
            heappop(free)
        if free:
            pairs.append((key, heappop(free)[1]))
    return pairs
