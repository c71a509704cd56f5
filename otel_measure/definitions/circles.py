"""Spans that stand in a circle: a parent of theirs is inside of them, which no true trace has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K", bound=tuple[str, ...])


def first_of_circles(outer: Mapping[K, K | None]) -> set[K]:
    """Return the first, by its key, of each circle of spans.

    Args:
        outer: what each span stands in; `None`, or what is not here itself, ends a way outwards.
    """
    first: set[K] = set()
    settled: set[K] = set()
    for key in outer:
        path: list[K] = []
        passed: set[K] = set()
        at: K | None = key
        while at is not None and at not in settled and at not in passed:
            path.append(at)
            passed.add(at)
            at = outer.get(at)
        if at is not None and at in passed:
            first.add(min(path[path.index(at) :]))
        settled |= passed
    return first
